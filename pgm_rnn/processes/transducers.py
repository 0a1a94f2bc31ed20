"""Sources that answer an input word with an output word of the same length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from pgm_rnn.checks import as_tensor, check_duration, check_integer, reject
from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.family import ParameterCount
from pgm_rnn.placed import Placed, first_roots
from pgm_rnn.prefix_tree import PrefixTree
from pgm_rnn.processes.chains import recurrent_classes
from pgm_rnn.processes.hidden_markov import Transition, safe_log
from pgm_rnn.processes.process import Process
from pgm_rnn.processes.source import Source, check_initial, check_joint
from pgm_rnn.sides import Conditions, Sides, labels


class TransducerLaw(SequenceDistribution):
    r"""Output words given input words: one law for each of G input words, batch shape ``(G,)``.

    A state keeps the log-belief ``(..., S)``. Step t reads the label :math:`r_t`, and the belief is filtered as in
    :class:`~pgm_rnn.processes.hidden_markov.HiddenMarkovLaw` with the pair of label and symbol for a symbol.

    Args:
        duration: T.
        joint: ``(L, k, S, S)``, :math:`P(y_t = y, s_{t+1} = s' \mid s_t = s, r_t = r)` at ``[r, y, s, s']``.
        initial: ``(S,)``, the distribution of :math:`s_1`.
        read: ``(G, T)``, the labels.
    """

    def __init__(self, duration: int, joint: Tensor, initial: Tensor, read: Tensor) -> None:
        super().__init__(joint.shape[1], duration, read.shape[:1], joint.device)
        self.pairs = Transition(joint.flatten(0, 1))
        self.log_initial = safe_log(initial)
        self.read = read

    def initial_state(self, shape: Sequence[int]) -> Placed:
        root = first_roots(shape, len(self.read), self.device)
        return Placed(self.log_initial.expand(*shape, -1), root, 0)

    def next_logits(self, state: Placed) -> Tensor:
        each_label = self.pairs.predict(state.past)
        columns = self._pair(state, torch.zeros_like(state.root)).unsqueeze(-1)
        return each_label.gather(-1, columns + torch.arange(self.alphabet_size, device=self.device))

    def update(self, state: Placed, symbol: Tensor) -> Placed:
        log_belief = self.pairs.condition(state.past, self._pair(state, symbol), self.log_initial)
        return Placed(log_belief, state.root.expand(log_belief.shape[:-1]), state.t + 1)

    def mediator(self, state: Placed) -> Tensor:
        return state.past

    def with_mediator(self, state: Placed, mediator: Tensor) -> Placed:
        return state._replace(past=mediator)

    def _pair(self, state: Placed, symbol: Tensor) -> Tensor:
        """The number of (label, symbol) at this step."""
        return self.read[state.root, state.t] * self.alphabet_size + symbol


class Transducer(Source):
    r"""A finite-state channel: while it reads :math:`x_1 \ldots x_T` it writes :math:`y_1 \ldots y_T`.

    .. math:: \text{joint}[x, y, s, s'] = P(y_t = y, s_{t+1} = s' \mid s_t = s, x_{t+a} = x), \qquad
              P(y_1 \ldots y_T \mid x_1 \ldots x_T) = \pi J_{x_{1+a}, y_1} \cdots J_{x_{T+a}, y_T} 1.

    With a lookahead :math:`a > 0` no machine that reads and writes step by step can have this law. The last a steps
    have no input of theirs; each reads a label drawn with the stationary probabilities of the inputs.

    Args:
        joint: ``(K, k, S, S)`` for K input labels and k symbols, non-negative, ``joint[x, :, s, :]`` summing to 1.
        initial: ``(S,)``, the distribution :math:`\pi` of :math:`s_1`.
        inputs: the law of the input words over K labels; by default all of them are equally likely.
        lookahead: a, at least 0.
        name: what tables and pages call it.

    Raises:
        InputError: if a shape, a number or a row is wrong, or the inputs have not K labels.

    Source: Gallager (1968), *Information theory and reliable communication*, section 4.6, on finite-state channels.

    Example:
        >>> noisy = [[[[0.9]], [[0.1]]], [[[0.1]], [[0.9]]]]
        >>> channel = Transducer(noisy, [1.0])
        >>> channel(2, inputs=torch.tensor([[0, 1], [1, 1]])).log_prob(torch.tensor([0, 1])).exp()
        tensor([0.8100, 0.0900], dtype=torch.float64)
    """

    joint: Tensor
    initial: Tensor
    inputs: Process
    input_dim: int

    def __init__(
        self,
        joint: Tensor | np.ndarray | Sequence[Any],
        initial: Tensor | np.ndarray | Sequence[float],
        inputs: Process | None = None,
        lookahead: int = 0,
        name: str | None = None,
    ) -> None:
        tables = as_tensor("joint", joint)
        if tables.ndim != 4 or len(tables) < 2:
            raise reject("joint", "shape (K, k, S, S) with at least two input labels", tuple(tables.shape))
        tables = torch.stack([check_joint(f"joint[{x}]", table) for x, table in enumerate(tables)])
        start = check_initial(as_tensor("initial", initial), tables.shape[-1])
        super().__init__(tables.shape[1], "transducer" if name is None else name, joint=tables, initial=start)
        self.inputs = uniform_inputs(len(tables)) if inputs is None else inputs
        self.input_dim = self.inputs.alphabet_size
        if self.input_dim != len(tables):
            raise reject("inputs", f"a process over the {len(tables)} labels of joint", f"{self.input_dim} symbols")
        self.lookahead = check_integer("lookahead", lookahead, 0)

    def __repr__(self) -> str:
        states, ahead = self.joint.shape[-1], f", lookahead={self.lookahead}" if self.lookahead else ""
        return f"Transducer({self.name!r}, labels={self.input_dim}, k={self.alphabet_size}, states={states}{ahead})"

    def law(self, duration: int, inputs: Tensor) -> TransducerLaw:
        x = labels("inputs", inputs, self.input_dim).to(self.joint.device)
        if x.ndim != 2:
            raise reject("inputs", f"labels of shape (G, {duration})", tuple(x.shape))
        return TransducerLaw(duration, torch.cat([self.joint, self._unread]), self.initial, self.labels_read(x))

    def labels_read(self, inputs: Tensor) -> Tensor:
        """The label that each step reads, :math:`x_{t+a}`, or K where there is none any more: ``(G, T)``."""
        past_the_end = inputs.new_full((len(inputs), self.lookahead), self.input_dim)
        return torch.cat([inputs, past_the_end], -1)[:, self.lookahead :]

    @property
    def _unread(self) -> Tensor:
        """What a step does whose input never comes: ``(1, k, S, S)``."""
        shares = self.inputs.initial @ self.inputs.joint.sum(-1).mT
        return torch.einsum("x,xyst->yst", shares, self.joint).unsqueeze(0)

    def conditions(self, duration: int) -> Conditions:
        """All input words of positive probability, and their probabilities."""
        law = self.inputs(duration)
        words = law.enumerate_support()
        shares = law.log_prob(words).exp()
        return Conditions(Sides(inputs=words[shares > 0]), shares[shares > 0])

    def draw_conditions(self, count: int, duration: int, generator: torch.Generator) -> Sides:
        return Sides(inputs=self.inputs(duration).sample((count,), generator=generator))

    def conditional_entropies(self, duration: int) -> Tensor:
        r""":math:`H(y_t \mid y_1 \ldots y_{t-1}, x_1 \ldots x_T)`, ``(T,)``, in nats: the whole input word is known.

        Raises:
            InputError: if the input words with all prefixes of their answers are too many.
        """
        return PrefixTree.from_source(self, check_duration(duration)).entropies()

    def entropy_rate(self, tolerance: float = 1e-10) -> float:
        r""":math:`\lim H(y_1 \ldots y_T \mid x_1 \ldots x_T) / T` in nats per symbol, whatever the lookahead.

        It is the rate of the pairs :math:`(x_t, y_t)` less that of the inputs.

        Raises:
            InputError: if the rate depends on how the source began, or cannot be had to the tolerance.
        """
        pairs = torch.einsum("xuv,xyst->xyusvt", self.inputs.joint, self.joint)  # (x, y), (u, s) -> (v, t)
        chain = pairs.flatten(4, 5).flatten(2, 3).flatten(0, 1)
        classes = recurrent_classes(chain.sum(0))
        if len(classes) > 1:
            expected = "states that all lead to one class, for an entropy rate"
            raise reject("source", expected, f"{len(classes)} classes that are never left", "take its block_entropy")
        kept = chain[:, classes[0]][:, :, classes[0]]
        return Process(kept).entropy_rate(tolerance / 2) - self.inputs.entropy_rate(tolerance / 2)

    def parameter_count(self, duration: int) -> ParameterCount:
        """Of the channel, as :class:`Process` counts, and of its initial distribution; the inputs are given."""
        possible, (K, _, S, _) = int((self.joint > 0).sum()), self.joint.shape
        return ParameterCount(self.joint.numel() + S, possible - K * S + S - 1)

    def configuration(self) -> dict[str, Any]:
        """The arguments of :meth:`blank`."""
        states = self.joint.shape[-1]
        own = {"alphabet_size": self.alphabet_size, "states": states, "lookahead": self.lookahead, "name": self.name}
        return own | {"inputs": self.inputs.configuration()}

    @classmethod
    def blank(cls, alphabet_size: int, states: int, lookahead: int, name: str, inputs: dict[str, Any]) -> Self:
        """A transducer of the right shape whose tensors are still to be loaded."""
        source = cls.__new__(cls)
        read = Process.blank(**inputs)
        joint = torch.empty(read.alphabet_size, alphabet_size, states, states, dtype=torch.double)
        Source.__init__(source, alphabet_size, name, joint=joint, initial=torch.empty(states, dtype=torch.double))
        source.inputs, source.input_dim = read, read.alphabet_size
        source.lookahead = check_integer("lookahead", lookahead, 0)
        return source

    def check_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        Transducer(tensors["joint"], tensors["initial"], lookahead=self.lookahead)
        self.inputs.check_tensors({name: tensors[f"inputs.{name}"] for name in ("joint", "initial")})


def uniform_inputs(count: int) -> Process:
    """Independent labels, each of ``count`` as likely."""
    return Process(torch.full((count, 1, 1), 1 / count, dtype=torch.double), name=f"uniform({count})")
