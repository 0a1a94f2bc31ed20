"""A distribution over words, given by a state that is updated symbol by symbol: the one contract of the library."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from pyro.distributions import TorchDistribution, constraints
from torch import Tensor

from pgm_rnn.checks import (
    MAX_TABLE_BYTES,
    InputError,
    as_tensor,
    check_alphabet,
    check_broadcast,
    check_budget,
    check_duration,
    check_shape,
    check_symbols,
    check_words,
    reject,
)
from pgm_rnn.edges import Edges
from pgm_rnn.lanes import State, expand_lanes, map_state, select_lanes


class SequenceDistribution(TorchDistribution):
    r"""A law over words :math:`y_1 \ldots y_T` of ``k`` symbols, by the chain rule over a state.

    .. math:: \log P(y_1, \ldots, y_T) = \sum_{t=1}^T \log P(y_t \mid s_t), \qquad
              s_1 = \text{initial}, \quad s_{t+1} = \text{update}(s_t, y_t).

    A family implements the **contract**:

    ``initial_state(shape)``
        the state before any symbol, with leading dimensions ``shape = (*batch, lanes)``;
    ``next_logits(state)``
        unnormalised log-probabilities of the next symbol, ``(*shape, k)``, in nats; ``-inf`` forbids a symbol;
    ``update(state, symbol)``
        the state after one more symbol, ``symbol`` being int64 and broadcastable to ``shape``;
    ``mediator(state)``
        the tensor ``(*shape, H)`` through which the past acts on the future, or None where the past acts directly.

    A state is a tensor or a tuple of tensors with leading dimensions ``shape``, and of plain ints, such as the
    position ``t``, which all lanes share. A state must be finite and usable even after a forbidden symbol, whose
    ``-inf`` is counted once, where it occurs.

    Everything else is derived here, once: :meth:`log_prob`, :meth:`sample`, :meth:`given`,
    :meth:`enumerate_support`; and elsewhere the Pyro programs, tabulation, prefix trees and divergences.

    Args:
        alphabet_size: the number ``k >= 2`` of symbols, which are the integers ``0..k-1``.
        duration: the number ``T >= 1`` of steps.
        batch_shape: ``()``, or ``(R, 1)`` with replicates: words ``(N, T)`` then have log-probabilities ``(R, N)``.
        device: where the law's tensors are; words are brought there.

    Source: Goodfellow, Bengio and Courville, *Deep Learning* (2016), section 10.2.3.
    """

    arg_constraints = {}  # noqa: RUF012  # torch reads this from the class
    has_enumerate_support = True

    def __init__(
        self,
        alphabet_size: int,
        duration: int,
        batch_shape: Sequence[int] = (),
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.alphabet_size = check_alphabet(alphabet_size)
        self.duration = check_duration(duration)
        super().__init__(torch.Size(batch_shape), torch.Size((self.duration,)), validate_args=False)

    # The contract.

    def initial_state(self, shape: Sequence[int]) -> State:
        raise NotImplementedError(f"{type(self).__name__} is abstract")

    def next_logits(self, state: State) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} is abstract")

    def update(self, state: State, symbol: Tensor) -> State:
        raise NotImplementedError(f"{type(self).__name__} is abstract")

    def mediator(self, state: State) -> Tensor | None:
        return None

    def with_mediator(self, state: State, mediator: Tensor) -> State:
        """The state whose mediator has been replaced: what an intervention on ``h_t`` does."""
        return mediator

    def support_size(self) -> int:
        """An upper bound, found without enumerating, on the number of words with positive probability."""
        return self.alphabet_size**self.duration

    # What follows from it.

    def select(self, state: State, parent: Tensor) -> State:
        """The state of lanes ``parent``, as :func:`pgm_rnn.lanes.select_lanes` gathers them."""
        return map_state(lambda tensor: select_lanes(tensor, parent), state)

    def states_along(self, state: State, edges: Edges) -> list[State]:
        """The state and those of every level below it."""
        states = [state]
        for parent, symbol in edges:
            above = states[-1] if parent is None else self.select(states[-1], parent)
            states.append(self.update(above, symbol))
        return states

    def logits_along(self, state: State, edges: Edges) -> Tensor:
        """Next-symbol logits of :meth:`states_along`, concatenated along the lanes: ``(*batch, all lanes, k)``.

        Families override this where fewer calls do the same.
        """
        return torch.cat([self.next_logits(below) for below in self.states_along(state, edges)], -2)

    @property
    def support(self) -> constraints.Constraint:
        return constraints.independent(constraints.integer_interval(0, self.alphabet_size - 1), 1)

    def log_prob(self, words: Tensor) -> Tensor:
        """Log-probability in nats of words ``(..., T)``: shape ``(...)`` broadcast with :attr:`batch_shape`.

        Raises:
            InputError: if the symbols are no integers in ``0..k-1``, or the words are not ``T`` long.
        """
        return self.conditional_log_probs(words).sum(-1)

    def conditional_log_probs(self, words: Tensor) -> Tensor:
        r"""The terms :math:`\log P(y_t \mid y_{<t})` of :meth:`log_prob`, ``(..., T)``."""
        log_p = self.conditional_laws(words)
        index = as_tensor("words", words).to(log_p.device, torch.long).expand(log_p.shape[:-1])
        return log_p.gather(-1, index.unsqueeze(-1)).squeeze(-1)

    def conditional_laws(self, words: Tensor) -> Tensor:
        r"""The laws :math:`\log P(\cdot \mid y_{<t})` of every next symbol along words ``(..., T)``: ``(..., T, k)``.

        Words and errors are those of :meth:`log_prob`; the last symbol of a word has no influence.
        """
        words = check_words("words", words, self.alphabet_size, self.duration).to(self.device)
        shape = check_broadcast("words", words.shape[:-1], self.batch_shape)
        lanes = shape or (1,)
        words = words.expand(*lanes, self.duration)
        edges = Edges([(None, symbol) for symbol in words.unbind(-1)[:-1]], lanes[-1])
        log_p = self.logits_along(self.initial_state(lanes), edges).log_softmax(-1)  # (*batch, T * lanes, k)
        log_p = log_p.unflatten(-2, (self.duration, lanes[-1])).transpose(-3, -2)  # (*batch, lanes, T, k)
        return log_p.reshape(*shape, self.duration, self.alphabet_size)

    def sample(self, sample_shape: Sequence[int] = torch.Size(), *, generator: torch.Generator | None = None) -> Tensor:
        """Words ``(*sample_shape, *batch_shape, T)``, symbol by symbol; from torch's generator if none is given."""
        shape = check_shape("sample_shape", sample_shape) + self.batch_shape
        lanes = shape or torch.Size((1,))
        with torch.no_grad():
            state = self.initial_state(lanes)
            symbols: list[Tensor] = []
            for t in range(self.duration):
                if t:
                    state = self.update(state, symbols[-1])
                symbols.append(draw(self.next_logits(state).expand(*lanes, -1), generator))
        return torch.stack(symbols, -1).reshape(*shape, self.duration)

    def given(self, prefix: Tensor | Sequence[int]) -> SequenceDistribution:
        """The law of the remaining ``T - t`` symbols after a prefix ``(..., t)`` with ``t < T``.

        The batch shape becomes that of the prefix broadcast with this law's.

        Raises:
            InputError: if the prefix is not shorter than ``T``, or has probability zero.
        """
        prefix = as_tensor("prefix", prefix)
        if prefix.ndim < 1 or prefix.shape[-1] >= self.duration:
            raise reject("prefix", f"shape (..., t) with t in 0..{self.duration - 1}", tuple(prefix.shape))
        prefix = check_symbols("prefix", prefix if prefix.numel() else prefix.long(), self.alphabet_size)
        return Continuation(self, prefix.to(self.device))

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All ``k^T`` words in lexicographic order: ``(k^T, *batch_shape, T)``, or with 1 for each batch dimension."""
        count = self.alphabet_size**self.duration
        way_out = "use a smaller duration, or score with num_sequences"
        check_budget("enumerate_support", 8 * count * self.duration, MAX_TABLE_BYTES, "bytes for all words", way_out)
        digits = self.alphabet_size ** torch.arange(self.duration - 1, -1, -1, device=self.device)
        words = torch.arange(count, device=self.device).unsqueeze(-1) // digits % self.alphabet_size
        words = words.reshape(count, *(1,) * len(self.batch_shape), self.duration)
        return words.expand(count, *self.batch_shape, self.duration) if expand else words

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> SequenceDistribution:
        """The same law with a larger batch shape; no tensor is copied."""
        new = copy.copy(self)
        new._batch_shape = torch.broadcast_shapes(self.batch_shape, torch.Size(batch_shape))
        return new


class Continuation(SequenceDistribution):
    """The law of what follows a prefix: the same contract, started from the state that the prefix leads to."""

    def __init__(self, law: SequenceDistribution, prefix: Tensor) -> None:
        elapsed = prefix.shape[-1]
        batch_shape = check_broadcast("prefix", prefix.shape[:-1], law.batch_shape)
        super().__init__(law.alphabet_size, law.duration - elapsed, batch_shape, law.device)
        self.law = law
        self._lanes = batch_shape or torch.Size((1,))
        state = law.initial_state(self._lanes)
        for symbol in prefix.expand(*self._lanes, elapsed).unbind(-1):
            log_p = law.next_logits(state).log_softmax(-1).expand(*self._lanes, -1)
            if bool(torch.isneginf(log_p.gather(-1, symbol.unsqueeze(-1))).any()):
                raise reject("prefix", "a prefix of positive probability", prefix.tolist())
            state = law.update(state, symbol)
        self._state = state

    def initial_state(self, shape: Sequence[int]) -> State:
        return expand_lanes(self._state, len(self._lanes), shape)

    def next_logits(self, state: State) -> Tensor:
        return self.law.next_logits(state)

    def update(self, state: State, symbol: Tensor) -> State:
        return self.law.update(state, symbol)

    def mediator(self, state: State) -> Tensor | None:
        return self.law.mediator(state)

    def with_mediator(self, state: State, mediator: Tensor) -> State:
        return self.law.with_mediator(state, mediator)

    def support_size(self) -> int:
        return min(super().support_size(), self.law.support_size())


def check_law(argument: str, law: object) -> SequenceDistribution:
    """``law``, if it is a law with one root per replicate: not a family, and not one law for each of many prefixes."""
    if not isinstance(law, SequenceDistribution):
        raise reject(argument, "a law, as family(duration) gives", type(law).__name__)
    if law.batch_shape[-1:] not in ((), (1,)):
        way_out = "take the laws one by one"
        raise reject(argument, "a law with batch shape () or (R, 1)", tuple(law.batch_shape), way_out)
    return law


def draw(logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """One symbol per row of ``logits (..., k)``, by inverting the cumulative distribution.

    A symbol of probability zero is never drawn: its interval is empty, and the last one ends at exactly 1.

    Raises:
        InputError: if a row has no distribution, because a parameter is NaN.

    >>> draw(torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]]))
    tensor([0, 1])
    """
    return invert(logits, uniform(logits.shape[:-1], logits.device, generator))


def invert(logits: Tensor, numbers: Tensor) -> Tensor:
    """:func:`draw` with ``numbers (...)`` from [0, 1) that are given.

    >>> invert(torch.zeros(3, 2), torch.tensor([0.1, 0.5, 0.9]))
    tensor([0, 1, 1])
    """
    cumulative = logits.detach().double().softmax(-1).cumsum(-1)
    cumulative = cumulative / cumulative[..., -1:]
    if bool(cumulative[..., -1].isnan().any()):
        raise reject("law", "probabilities to draw from", "NaN", "look for NaN among the model's parameters")
    return (numbers.unsqueeze(-1) >= cumulative[..., :-1]).sum(-1)


def uniform(shape: Sequence[int], device: torch.device, generator: torch.Generator | None) -> Tensor:
    """Numbers from [0, 1) in float64: a generator on the CPU gives the same ones on every device."""
    source = device if generator is None else generator.device
    return torch.rand(shape, dtype=torch.float64, device=source, generator=generator).to(device)


__all__ = ["Continuation", "InputError", "SequenceDistribution", "check_law", "draw", "invert", "uniform"]
