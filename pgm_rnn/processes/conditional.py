"""Sources of words given a context x, fixed for each word: a label that picks a process, or a number that bends one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from pgm_rnn.checks import as_tensor, check_integer, reject
from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.family import ParameterCount
from pgm_rnn.processes.chains import stationary_distribution
from pgm_rnn.processes.conditional_law import Chains, ConditionalLaw
from pgm_rnn.processes.process import Process
from pgm_rnn.processes.source import ROUNDING, Source, check_initial, check_joint, check_probabilities
from pgm_rnn.processes.time_varying import TimeVarying
from pgm_rnn.sides import Conditions, Sides, encode, labels


class Conditional(Source):
    r"""A source whose chain depends on a context x: what :class:`Mixture` and :class:`Interpolated` have in common.

    ``source(T, context=x)`` is the law of words given x, ``source(T)`` that of words whose x is hidden,

    .. math:: P(y_1 \ldots y_T) = \sum_x P(x) P(y_1 \ldots y_T \mid x).
    """

    context_dim: int

    def chains(self, context: Tensor) -> Chains:
        """The chains of G contexts, as :meth:`forward` takes them."""
        raise NotImplementedError(f"{type(self).__name__} is abstract")

    def all_conditions(self) -> Conditions:
        """All contexts, or the nodes of a quadrature over them, with their probabilities."""
        raise NotImplementedError(f"{type(self).__name__} is abstract")

    def conditions(self, duration: int) -> Conditions:
        return self.all_conditions()

    def forward(
        self, duration: int, context: Tensor | None = None, inputs: Tensor | None = None
    ) -> SequenceDistribution:
        """The law given contexts, with batch shape ``(G,)``; without, that of words whose context is hidden."""
        if context is None and inputs is None:
            return self.hidden()(duration)
        return super().forward(duration, context, inputs)

    def law(self, duration: int, context: Tensor) -> ConditionalLaw:
        if context.ndim != 1 + context.dtype.is_floating_point:
            raise reject("context", "one for each word, (G,) labels or (G, D) vectors", f"shape {tuple(context.shape)}")
        return ConditionalLaw(duration, self.chains(context.to(next(self.buffers()).device)))

    def hidden(self) -> TimeVarying:
        """The same words with x hidden: a chain in as many parts as there are contexts, which never leaves its own."""
        (context, _), shares = self.all_conditions()
        assert context is not None  # that is what the source is conditioned on
        joint, initial = self.chains(context)
        together = torch.stack([torch.block_diag(*parts) for parts in joint.unbind(1)])
        start = (shares.unsqueeze(-1) * initial).flatten()
        return TimeVarying(together.unsqueeze(0), start, period=1, name=f"{self.name}, x hidden")

    def conditional_entropies(self, duration: int) -> Tensor:
        r""":math:`H(y_t \mid y_{<t})` where x is hidden, for ``t = 1..T``: ``(T,)``, float64, in nats."""
        return self.hidden().conditional_entropies(duration)

    def entropies_given_context(self, duration: int) -> Tensor:
        r""":math:`H(y_t \mid y_{<t}, x)`, likewise."""
        (context, _), shares = self.all_conditions()
        assert context is not None  # as above
        each = [
            TimeVarying(joint.unsqueeze(0), initial, period=1).conditional_entropies(duration)
            for joint, initial in zip(*self.chains(context), strict=True)
        ]
        return shares @ torch.stack(each)

    def information(self, duration: int) -> Tensor:
        r""":math:`I(x; y_t \mid y_{<t})` for ``t = 1..T``: ``(T,)`` in nats, whose sum is :math:`I(x; y_1 \ldots y_T)`.

        .. math:: I(x; y_1 \ldots y_T) = H(y_1 \ldots y_T) - \sum_x P(x) H(y_1 \ldots y_T \mid x)

        is what knowing x is worth: the least loss of a model without context exceeds that of one with it by so much.

        Source: Cover and Thomas, *Elements of information theory*, sections 2.4 and 2.5.

        >>> from pgm_rnn.processes import bells
        >>> float(bells(q=0.5).information(2).sum()) < float(torch.tensor(2.0).log())  # never more than H(x)
        True
        """
        return self.conditional_entropies(duration) - self.entropies_given_context(duration)


class Mixture(Conditional):
    """A label x in ``0..K-1`` picks one of K processes for the whole word.

    Args:
        processes: K processes over the same symbols.
        shares: ``(K,)``, the probabilities of the labels; equal if None.
        name: what tables and pages call it.

    Raises:
        InputError: if the alphabets differ, or the shares are no distribution over the processes.

    Example:
        >>> from pgm_rnn.processes import biased_coin
        >>> source = Mixture([biased_coin(0.1), biased_coin(0.9)])
        >>> source(2, context=torch.tensor([0, 1])).log_prob(torch.tensor([1, 1])).exp()
        tensor([0.0100, 0.8100], dtype=torch.float64)
        >>> source(2).log_prob(torch.tensor([1, 1])).exp()
        tensor(0.4100, dtype=torch.float64)
    """

    joint: Tensor
    initial: Tensor
    shares: Tensor

    def __init__(
        self,
        processes: Sequence[Process],
        shares: Tensor | np.ndarray | Sequence[float] | None = None,
        name: str = "mixture",
    ) -> None:
        if not processes or not all(isinstance(process, Process) for process in processes):
            raise reject("processes", "at least one Process", [type(process).__name__ for process in processes])
        alphabets = sorted({process.alphabet_size for process in processes})
        if len(alphabets) > 1:
            raise reject("processes", "processes over the same symbols", f"alphabet sizes {alphabets}")
        count, states = len(processes), max(process.joint.shape[1] for process in processes)
        joint = torch.zeros(count, alphabets[0], states, states, dtype=torch.double)
        initial = torch.zeros(count, states, dtype=torch.double)
        joint[:, 0] = torch.eye(states, dtype=torch.double)  # a state that a process lacks stays what it is, unvisited
        for x, process in enumerate(processes):
            own = process.joint.shape[1]
            joint[x, :, :own, :own] = process.joint
            initial[x, :own] = process.initial
        weights = np.full(count, 1 / count) if shares is None else shares
        super().__init__(alphabets[0], name, joint=joint, initial=initial, shares=check_shares(weights, count))
        self.context_dim = count

    def __repr__(self) -> str:
        return f"Mixture({self.name!r}, k={self.alphabet_size}, labels={self.context_dim})"

    def configuration(self) -> dict[str, Any]:
        """The arguments of :meth:`blank`."""
        labels, k, states = self.joint.shape[:3]
        return {"alphabet_size": k, "states": states, "labels": labels, "name": self.name}

    @classmethod
    def blank(cls, alphabet_size: int, states: int, labels: int, name: str) -> Self:
        """A mixture of the right shape whose tensors are still to be loaded."""
        source = cls.__new__(cls)
        joint = torch.empty(labels, alphabet_size, states, states, dtype=torch.double)
        initial, shares = (torch.empty(shape, dtype=torch.double) for shape in ((labels, states), (labels,)))
        Source.__init__(source, alphabet_size, name, joint=joint, initial=initial, shares=shares)
        source.context_dim = labels
        return source

    def check_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        check_shares(tensors["shares"], self.context_dim)
        for x, (joint, initial) in enumerate(zip(tensors["joint"], tensors["initial"], strict=True)):
            onward = initial @ check_joint(f"joint[{x}]", joint).sum(0)
            if not torch.allclose(onward, check_initial(initial, len(initial)), rtol=1e-9, atol=1e-12):
                raise reject("initial", f"a stationary distribution of joint[{x}]", initial.tolist()[:8])

    def chains(self, context: Tensor) -> Chains:
        label = labels("context", context, self.context_dim)
        return Chains(self.joint[label], self.initial[label])

    def all_conditions(self) -> Conditions:
        return Conditions(Sides(context=torch.arange(self.context_dim, device=self.shares.device)), self.shares)

    def draw_conditions(self, count: int, duration: int, generator: torch.Generator) -> Sides:
        drawn = torch.multinomial(self.shares.to(generator.device), count, replacement=True, generator=generator)
        return Sides(context=drawn.to(self.shares.device))

    def parameter_count(self, duration: int) -> ParameterCount:
        """Of K chains, each counted as a :class:`Process` is, and of the shares."""
        visited = (self.joint > 0).sum((-1, -3)) * (self.initial > 0)
        free = int((visited - (self.initial > 0).long()).sum()) + self.context_dim - 1
        return ParameterCount(self.joint.numel() + self.context_dim, free)


class Interpolated(Conditional):
    r"""A number x, uniform on [0, 1], moves every transition from one process to another.

    .. math:: J_y(x) = (1 - x) J_y^{first} + x J_y^{last},

    started in the stationary distribution of :math:`J(x)`. Contexts are ``(G, 1)``; x may leave [0, 1] as long as no
    probability is negative. Integrals over x are taken by Gauss and Legendre's rule, exact for polynomials of degree
    ``2 nodes - 1``: a word's probability is one of degree T over the stationary distribution's denominator, so at T up
    to ``nodes`` they are exact but for rounding, as halving the nodes shows.

    Args:
        first, last: two processes with as many symbols and states.
        nodes: of the quadrature, at least 2.
        name: what tables and pages call it.

    Raises:
        InputError: if the processes do not have the same shape.

    Source: Press et al. (2007), *Numerical recipes*, section 4.6, for the quadrature.

    Example:
        >>> from pgm_rnn.processes import golden_mean
        >>> source = Interpolated(golden_mean(0.2), golden_mean(0.8))
        >>> halfway = source(3, context=torch.tensor([[0.5]])).log_prob(torch.tensor([1, 0, 1]))
        >>> torch.allclose(halfway, golden_mean(0.5)(3).log_prob(torch.tensor([1, 0, 1])))
        True
    """

    first: Tensor
    last: Tensor

    def __init__(self, first: Process, last: Process, nodes: int = 16, name: str = "interpolated") -> None:
        for argument, process in (("first", first), ("last", last)):
            if not isinstance(process, Process):
                raise reject(argument, "a Process", type(process).__name__)
        if first.joint.shape != last.joint.shape:
            raise reject("last", f"a process of shape {tuple(first.joint.shape)}, as first", tuple(last.joint.shape))
        super().__init__(first.alphabet_size, name, first=first.joint.clone(), last=last.joint.clone())
        self.context_dim, self.nodes = 1, check_integer("nodes", nodes, 2)

    def __repr__(self) -> str:
        return f"Interpolated({self.name!r}, k={self.alphabet_size}, nodes={self.nodes})"

    def configuration(self) -> dict[str, Any]:
        """The arguments of :meth:`blank`."""
        k, states = self.first.shape[:2]
        return {"alphabet_size": k, "states": states, "nodes": self.nodes, "name": self.name}

    @classmethod
    def blank(cls, alphabet_size: int, states: int, nodes: int, name: str) -> Self:
        """A source of the right shape whose tensors are still to be loaded."""
        source = cls.__new__(cls)
        first, last = torch.empty(2, alphabet_size, states, states, dtype=torch.double)
        Source.__init__(source, alphabet_size, name, first=first, last=last)
        source.context_dim, source.nodes = 1, check_integer("nodes", nodes, 2)
        return source

    def check_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        for name in ("first", "last"):
            Process(tensors[name])

    def chains(self, context: Tensor) -> Chains:
        if not context.dtype.is_floating_point:
            raise reject("context", "numbers of shape (G, 1)", f"dtype {str(context.dtype).removeprefix('torch.')}")
        x = encode("context", context, 1).reshape(-1, 1, 1, 1)
        joint = (1 - x) * self.first + x * self.last
        if bool((joint < 0).any()):
            wrong = float(x[(joint < 0).flatten(1).any(-1)][0])
            raise reject("context", "numbers that leave every probability at 0 or above", f"{wrong:g}")
        return Chains(joint, torch.stack([stationary_distribution(transition) for transition in joint.sum(1)]))

    def all_conditions(self) -> Conditions:
        roots, weights = np.polynomial.legendre.leggauss(self.nodes)  # on [-1, 1], of total weight 2
        device = self.first.device
        nodes, shares = (torch.from_numpy(values).to(device) for values in ((1 + roots) / 2, weights / 2))
        return Conditions(Sides(context=nodes.unsqueeze(-1)), shares)

    def draw_conditions(self, count: int, duration: int, generator: torch.Generator) -> Sides:
        drawn = torch.rand(count, 1, dtype=torch.double, device=generator.device, generator=generator)
        return Sides(context=drawn.to(self.first.device))

    def parameter_count(self, duration: int) -> ParameterCount:
        """Of two chains, each counted as a :class:`Process` is."""
        free = [int((joint > 0).sum()) - joint.shape[1] for joint in (self.first, self.last)]
        return ParameterCount(2 * self.first.numel(), sum(free))


def check_shares(values: Tensor | np.ndarray | Sequence[float], count: int) -> Tensor:
    """Probabilities ``(count,)`` in float64 that sum to 1."""
    shares = check_probabilities("shares", as_tensor("shares", values))
    if shares.shape != (count,) or abs(float(shares.sum()) - 1) > ROUNDING:
        raise reject("shares", f"{count} probabilities that sum to 1", shares.tolist())
    return shares / shares.sum()
