"""Sources whose law moves with t: the counterparts of stationary processes, known just as exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from pgm_rnn.checks import (
    MAX_TABLE_BYTES,
    as_tensor,
    check_budget,
    check_duration,
    check_integer,
    check_number,
    check_seed,
    reject,
)
from pgm_rnn.family import ParameterCount
from pgm_rnn.processes.chains import recurrent_classes, stationary_distribution
from pgm_rnn.processes.drawn import chain_of_rows
from pgm_rnn.processes.hidden_markov import HiddenMarkovLaw, which_table
from pgm_rnn.processes.mixed_states import MixedStates
from pgm_rnn.processes.process import Process
from pgm_rnn.processes.source import Source, check_initial, check_joint
from pgm_rnn.processes.zoo import even, named


class TimeVarying(Source):
    r"""A hidden Markov source with labelled transition matrices of its own for every step.

    .. math:: \text{joint}[l, y, s, s'] = P(y_t = y, s_{t+1} = s' \mid s_t = s), \qquad
              P(y_1 \ldots y_T) = \pi J^{(1)}_{y_1} \cdots J^{(T)}_{y_T} 1.

    Step t = 1..L reads table ``l = t - 1``; after that the last ``period`` tables repeat for ever. So all that a law
    can do in time is said by two numbers: ``period = L`` is cyclostationary, ``period = 1`` moves and then holds.

    Args:
        joint: ``(L, k, S, S)``, each table non-negative with ``joint[l, :, s, :]`` summing to 1 for every state ``s``.
        initial: ``(S,)``, the distribution of :math:`s_1`.
        period: 1..L.
        name: what tables and pages call it.

    Raises:
        InputError: if a shape, a number or a row is wrong.

    Source: Gladyshev (1961), *Periodically correlated random sequences*, for the periodic case.

    Example:
        >>> coin = TimeVarying([[[[0.9]], [[0.1]]], [[[0.5]], [[0.5]]]], [1.0], period=2, name="two coins in turn")
        >>> coin
        TimeVarying('two coins in turn', k=2, states=1, tables=2, period=2)
        >>> coin(3).log_prob(torch.tensor([0, 1, 0])).exp()
        tensor(0.4050, dtype=torch.float64)
    """

    joint: Tensor
    initial: Tensor

    def __init__(
        self,
        joint: Tensor | np.ndarray | Sequence[Any],
        initial: Tensor | np.ndarray | Sequence[float],
        period: int,
        name: str | None = None,
    ) -> None:
        tables = as_tensor("joint", joint)
        if tables.ndim != 4 or not len(tables):
            raise reject("joint", "shape (L, k, S, S) with at least one table", tuple(tables.shape))
        tables = torch.stack([check_joint(f"joint[{index}]", table) for index, table in enumerate(tables)])
        start = check_initial(as_tensor("initial", initial), tables.shape[-1])
        name = "time-varying" if name is None else name
        super().__init__(tables.shape[1], name, joint=tables, initial=start)
        self.period = check_integer("period", period, 1, len(tables))

    def __repr__(self) -> str:
        tables, k, states = self.joint.shape[:3]
        return f"TimeVarying({self.name!r}, k={k}, states={states}, tables={tables}, period={self.period})"

    def law(self, duration: int) -> HiddenMarkovLaw:
        return HiddenMarkovLaw(duration, self.joint, self.initial, self.period)

    def configuration(self) -> dict[str, Any]:
        """The arguments of :meth:`blank`."""
        tables, k, states = self.joint.shape[:3]
        return {"alphabet_size": k, "states": states, "tables": tables, "period": self.period, "name": self.name}

    @classmethod
    def blank(cls, alphabet_size: int, states: int, tables: int, period: int, name: str) -> Self:
        """A source of the right shape whose tensors are still to be loaded."""
        source = cls.__new__(cls)
        joint = torch.empty(tables, alphabet_size, states, states, dtype=torch.double)
        Source.__init__(source, alphabet_size, name, joint=joint, initial=torch.empty(states, dtype=torch.double))
        source.period = check_integer("period", period, 1, tables)
        return source

    def check_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        TimeVarying(tensors["joint"], tensors["initial"], self.period)

    def parameter_count(self, duration: int) -> ParameterCount:
        """Of the tables that ``duration`` steps read, each counted as a :class:`Process` counts its one, and of the
        initial distribution."""
        read = self.joint[:duration]
        states = read.shape[-1]
        free = int((read > 0).sum()) - len(read) * states + states - 1
        return ParameterCount(read.numel() + states, free)

    def conditional_entropies(self, duration: int) -> Tensor:
        r""":math:`h_t = H(y_t \mid y_1 \ldots y_{t-1})` for ``t = 1..T``: ``(T,)``, float64, in nats, to 1e-12.

        Words that lead to the same belief are followed together. Unlike a stationary process's, ``h_t`` may rise.

        Raises:
            InputError: if there are too many distinct beliefs.
        """
        seen, values = MixedStates(self.initial.unsqueeze(0), torch.ones_like(self.initial[:1])), []
        for t in range(1, check_duration(duration) + 1):
            joint = self.joint[which_table(t, len(self.joint), self.period)]
            values.append(seen.symbol_entropy(joint))
            if t < duration:
                seen = seen.advance(joint)
        return torch.tensor(values, dtype=self.joint.dtype, device=self.joint.device)

    def entropy_rate(self, tolerance: float = 1e-10) -> float:
        r""":math:`\lim H(T) / T` in nats per symbol: the rate of the tables that repeat, entered at a random phase.

        Not knowing the phase costs at most ``log(period)`` nats a word, and so nothing a symbol.

        Raises:
            InputError: if the rate depends on how the source began, or cannot be had to the tolerance.
        """
        joint = rotation(self.joint[-self.period :])
        classes = recurrent_classes(joint.sum(0))
        if len(classes) > 1:
            expected = "states that all lead to one class, for an entropy rate"
            raise reject("source", expected, f"{len(classes)} classes that are never left", "take its block_entropy")
        return Process(joint[:, classes[0]][:, :, classes[0]]).entropy_rate(tolerance)

    def stationary_twin(self) -> Process:
        """The stationary process whose one table is the mean of this source's: as many symbols, as many states."""
        return Process(self.joint.mean(0), name=f"twin of {self.name}")


def rotation(tables: Tensor) -> Tensor:
    """One chain ``(k, P S, P S)`` over (phase, state) that does what ``tables (P, k, S, S)`` do in turn.

    >>> rotation(torch.tensor([[[[0.9]], [[0.1]]], [[[0.5]], [[0.5]]]]))[0]
    tensor([[0.0000, 0.9000],
            [0.5000, 0.0000]])
    """
    period, k, states, _ = tables.shape
    phase = torch.arange(period, device=tables.device)
    joint = tables.new_zeros(period, period, k, states, states)
    joint[phase, (phase + 1) % period] = tables
    return joint.permute(2, 0, 3, 1, 4).reshape(k, period * states, period * states)


MAX_HORIZON = 2**16
"""Steps for which a source keeps a table each."""

ROWS = (((0.95, 0.05), (0.2, 0.8)), ((0.7, 0.3), (0.05, 0.95)), ((0.4, 0.6), (0.3, 0.7)))


@named
def cyclostationary(rows: Tensor | np.ndarray | Sequence[Any] = ROWS) -> TimeVarying:
    r"""A chain of order m whose rows come round: :math:`P(y_t \mid y_{t-m} \ldots y_{t-1})` has period P in t.

    It starts so that all of its law has: the words from t on and from t + P on are alike.

    Args:
        rows: shape ``(P, k, ..., k)``: the phase, one axis for each of the last m symbols, oldest first, and one for
            the next. ``(P, k)`` are P dice thrown in turn.

    >>> coins = cyclostationary([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]])
    >>> coins(4).log_prob(torch.tensor([0, 0, 1, 0])).exp()
    tensor(0.3240, dtype=torch.float64)
    """
    table = as_tensor("rows", rows)
    period, k = (table.shape[0], table.shape[-1]) if table.ndim > 1 else (0, 0)
    if not period or k < 2 or table.shape[1:] != (k,) * (table.ndim - 1):
        raise reject("rows", "shape (P, k, ..., k) with P >= 1 and k >= 2", tuple(table.shape))
    contexts = k ** (table.ndim - 2)
    needed = 8 * period * k * contexts**2
    check_budget("rows", needed, MAX_TABLE_BYTES, "bytes for the transition matrices", "use a smaller order")
    joint = torch.stack([check_joint("rows", chain_of_rows(part.double())) for part in table.reshape(period, -1, k)])
    return TimeVarying(joint, cyclic_start(joint), period)


def cyclic_start(joint: Tensor) -> Tensor:
    """The distribution ``(S,)`` of states that comes back after the tables ``(P, k, S, S)`` have each been used."""
    turn = torch.eye(joint.shape[-1], dtype=joint.dtype)
    for transition in joint.sum(1):
        turn = turn @ transition
    classes = recurrent_classes(turn)
    if len(classes) > 1:
        raise reject("rows", "one class of contexts that lead to each other", f"{len(classes)} over a period")
    start = torch.zeros_like(turn[0])
    start[classes[0]] = stationary_distribution(turn[classes[0]][:, classes[0]])
    return start


@named
def drifting(first: float = 0.2, last: float = 0.8, horizon: int = 16) -> TimeVarying:
    """The even process whose p moves from ``first`` at t = 1 to ``last`` at t = ``horizon`` in equal steps, and holds.

    Like :func:`~pgm_rnn.processes.zoo.even` it is of no finite order. Its stationary twin is ``even`` at the mean p.

    >>> drifting(first=0.5, last=0.5)(4).log_prob(torch.tensor([[0, 1, 1, 0], [1, 1, 1, 1]])).exp()
    tensor([0.0833, 0.2500], dtype=torch.float64)
    """
    first = check_number("first", first, 0, 1, open_ends=True)
    last = check_number("last", last, 0, 1, open_ends=True)
    path = np.linspace(first, last, check_integer("horizon", horizon, 2, MAX_HORIZON))
    return TimeVarying(torch.stack([even(float(p)).joint for p in path]), even(first).initial, period=1)


@named
def erratic(k: int = 2, horizon: int = 16, seed: int = 0) -> TimeVarying:
    """A chain of order 1 whose rows are drawn anew, each uniform over all distributions, for each step up to
    ``horizon``, and then hold: nothing in one t tells of another.

    >>> erratic(k=3, seed=1)
    TimeVarying('erratic(k=3, horizon=16, seed=1)', k=3, states=3, tables=16, period=1)
    """
    k, horizon = check_integer("k", k, 2), check_integer("horizon", horizon, 1, MAX_HORIZON)
    check_budget("k", 8 * horizon * k**3, MAX_TABLE_BYTES, "bytes for the transition matrices", "use fewer symbols")
    generator = np.random.default_rng(check_seed(seed))
    rows = torch.from_numpy(generator.dirichlet([1.0] * k, size=(horizon, k)))
    joint = torch.stack([chain_of_rows(table) for table in rows])
    return TimeVarying(joint, np.full(k, 1 / k), period=1)


@named
def alternating(p: float = 0.9, q: float = 0.3) -> TimeVarying:
    """Repeats the last symbol with probability ``p`` at even t and ``q`` at odd t, from a fair start.

    Every single symbol is fair at every t, as in its stationary twin, which repeats with probability (p + q) / 2:
    only how symbols depend on each other moves.

    >>> alternating()(3).log_prob(torch.tensor([0, 0, 1])).exp()  # 0.5 * 0.9 * (1 - 0.3)
    tensor(0.3150, dtype=torch.float64)
    """
    p, q = check_number("p", p, 0, 1), check_number("q", q, 0, 1)
    return TimeVarying(torch.stack([repeating(q), repeating(p)]), [0.5, 0.5], period=2)


@named
def settling(p: float = 0.9) -> TimeVarying:
    """Repeats the last symbol with probability ``p`` at every t, and starts as if after a 0.

    Its one table serves every t, yet no two symbols have the same distribution: P(y_t = 0) settles at 1/2 as
    (1 + (2p - 1)^t) / 2. Its stationary twin is the same chain from a fair start.

    >>> settling()(2).log_prob(torch.tensor([0, 1])).exp()
    tensor(0.0900, dtype=torch.float64)
    """
    return TimeVarying(repeating(check_number("p", p, 0, 1)).unsqueeze(0), [1.0, 0.0], period=1)


def repeating(p: float) -> Tensor:
    """The binary chain that repeats the last symbol with probability ``p``, ``(2, 2, 2)``."""
    return chain_of_rows(torch.tensor([[p, 1 - p], [1 - p, p]], dtype=torch.double))
