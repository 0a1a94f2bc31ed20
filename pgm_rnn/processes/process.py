"""Process: a stationary source whose every quantity is known exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from pgm_rnn.checks import as_tensor, check_duration, reject
from pgm_rnn.family import ParameterCount
from pgm_rnn.processes import entropy
from pgm_rnn.processes.chains import reachability, stationary_distribution
from pgm_rnn.processes.hidden_markov import HiddenMarkovLaw
from pgm_rnn.processes.source import Source, check_joint


class Process(Source):
    r"""A stationary hidden Markov process, given by its labelled transition matrices.

    .. math:: \text{joint}[y, s, s'] = P(y_t = y, s_{t+1} = s' \mid s_t = s), \qquad
              P(y_1 \ldots y_T) = \pi J_{y_1} \cdots J_{y_T} 1,

    started in its stationary distribution :math:`\pi`. It is a family without parameters to learn:
    ``process(duration)`` is the law of its words. Its numbers stay float64 whatever the module is cast to.

    Args:
        joint: ``(k, S, S)``, non-negative, with ``joint[:, s, :]`` summing to 1 for every state ``s``.
        name: what tables and pages call it.

    Raises:
        InputError: if the shape, a number or a row is wrong, or a state cannot be reached from another.

    Source: Crutchfield and Feldman (2003), *Regularities unseen, randomness observed: levels of entropy convergence*.

    Example:
        >>> process = Process([[[0.0, 0.5], [0.0, 0.0]], [[0.5, 0.0], [1.0, 0.0]]], name="golden-mean")
        >>> process
        Process('golden-mean', k=2, states=2)
        >>> process(4).log_prob(torch.tensor([1, 0, 1, 1])).exp()
        tensor(0.1667, dtype=torch.float64)
        >>> round(process.entropy_rate(), 8)
        0.46209812
    """

    joint: Tensor
    initial: Tensor

    def __init__(self, joint: Tensor | np.ndarray | Sequence[Any], name: str | None = None) -> None:
        matrices = _check_irreducible(check_joint("joint", as_tensor("joint", joint)))
        initial = stationary_distribution(matrices.sum(0))
        super().__init__(len(matrices), "process" if name is None else name, joint=matrices, initial=initial)

    def __repr__(self) -> str:
        return f"Process({self.name!r}, k={self.alphabet_size}, states={self.joint.shape[1]})"

    def law(self, duration: int) -> HiddenMarkovLaw:
        return HiddenMarkovLaw(duration, self.joint, self.initial)

    def configuration(self) -> dict[str, Any]:
        """The arguments of :meth:`blank`."""
        return {"alphabet_size": self.alphabet_size, "states": self.joint.shape[1], "name": self.name}

    @classmethod
    def blank(cls, alphabet_size: int, states: int, name: str) -> Self:
        """A process of the right shape whose tensors are still to be loaded."""
        process = cls.__new__(cls)
        joint = torch.empty(alphabet_size, states, states, dtype=torch.double)
        Source.__init__(process, alphabet_size, name, joint=joint, initial=torch.empty(states, dtype=torch.double))
        return process

    def check_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        checked = Process(tensors["joint"])
        if not torch.allclose(checked.initial, tensors["initial"], rtol=1e-9, atol=1e-12):
            raise reject("initial", "the stationary distribution of joint", tensors["initial"].tolist()[:8])

    def parameter_count(self, duration: int) -> ParameterCount:
        """Stored: ``k S^2``; free: one less than the possible (symbol, next state) pairs of each state."""
        possible = int((self.joint > 0).sum())
        return ParameterCount(self.joint.numel(), possible - self.joint.shape[1])

    def conditional_entropies(self, duration: int) -> Tensor:
        r""":math:`h_t = H(y_t \mid y_1 \ldots y_{t-1})` for ``t = 1..T``: ``(T,)``, float64, in nats, to 1e-12.

        Words that lead to the same belief are followed together, so a long duration is cheap where there are few.

        Raises:
            InputError: if there are too many distinct beliefs.
        """
        return entropy.conditional_entropies(self.joint, check_duration(duration))

    def entropy_rate(self, tolerance: float = 1e-10) -> float:
        r"""The entropy rate h in nats per symbol: :math:`-\sum_s \pi_s \sum_y P(y|s) \log P(y|s)` if unifilar.

        Otherwise :meth:`entropy_rate_bracket` grows until it has closed, or its extrapolated ends agree, to
        ``tolerance``.

        Raises:
            InputError: if it does not within the budget, with the bracket that was reached.
        """
        return entropy.entropy_rate(self.joint, tolerance)

    def entropy_rate_bracket(self, duration: int) -> tuple[float, float]:
        r""":math:`H(y_T \mid y_{<T}, s_1) \le h \le H(y_T \mid y_{<T})` in nats; both are monotone in T.

        Source: Cover and Thomas, *Elements of information theory*, section 4.5.
        """
        return entropy.rate_bracket(self.joint, check_duration(duration))

    def excess_entropy(self, tolerance: float = 1e-11) -> float:
        r"""The mutual information of past and future in nats, :math:`E = \sum_t (h_t - h)`, to ``tolerance``.

        Raises:
            InputError: if the distinct mixed states are too many to reach the tolerance, with what was reached.
        """
        return entropy.excess_entropy(self.joint, tolerance)

    def statistical_complexity(self) -> float:
        """The entropy of the causal states in nats: the memory that predicting as well as possible takes.

        Raises:
            InputError: if there are too many causal states to list; then it may well be infinite.
        """
        return entropy.statistical_complexity(self.joint)


def _check_irreducible(joint: Tensor) -> Tensor:
    """``joint (k, S, S)``, if every state leads to every other."""
    cut_off = ~reachability(joint.sum(0))
    if bool(cut_off.any()):
        state = int(cut_off.any(-1).nonzero()[0])
        lost = ", ".join(str(s) for s in cut_off[state].nonzero().flatten().tolist()[:8])
        way_out = "keep one class of states that lead to each other"
        raise reject("joint", "an irreducible chain", f"state {state}, which never leads to state {lost}", way_out)
    return joint
