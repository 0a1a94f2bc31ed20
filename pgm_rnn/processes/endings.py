"""Sources of finite words, whose length is random and has a law that is known exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pgm_rnn.checks import MAX_DURATION, MAX_TABLE_BYTES, as_tensor, check_budget, check_integer, check_number, reject
from pgm_rnn.processes.hidden_markov import which_table
from pgm_rnn.processes.length_laws import bimodal, geometric, uniform
from pgm_rnn.processes.process import Process
from pgm_rnn.processes.source import ROUNDING, check_probabilities
from pgm_rnn.processes.time_varying import MAX_HORIZON, TimeVarying, repeating
from pgm_rnn.processes.zoo import named


class FiniteWords(TimeVarying):
    r"""A hidden Markov source of finite words :math:`y_1 \ldots y_\tau`: the last of its symbols is an absorbing END.

    With k symbols besides END, a word of :math:`\tau` of them is the word over ``k + 1`` symbols that goes on with END
    for ever, so that

    .. math:: P(y_1 \ldots y_\tau, \tau) = \pi J^{(1)}_{y_1} \cdots J^{(\tau)}_{y_\tau} J^{(\tau + 1)}_{END} 1.

    The law of ``T + 1`` steps tells all words of at most T symbols apart; the longer ones are cut. A word has at least
    one symbol.

    Args:
        joint, initial, period, name: as for :class:`~pgm_rnn.processes.time_varying.TimeVarying`, END being symbol k.

    Raises:
        InputError: also if something but END follows END, or a word may be empty.

    Example:
        >>> coin = geometric_length(halt=0.2, repeat=0.5)
        >>> coin(3).log_prob(torch.tensor([[0, 2, 2], [0, 1, 2], [0, 1, 1]])).exp()
        tensor([0.1000, 0.0400, 0.0800], dtype=torch.float64)
        >>> coin.length_law(2)
        tensor([0.0000, 0.2000, 0.1600, 0.6400], dtype=torch.float64)
    """

    ends = True

    def __init__(
        self,
        joint: Tensor | np.ndarray | Sequence[Any],
        initial: Tensor | np.ndarray | Sequence[float],
        period: int,
        name: str | None = None,
    ) -> None:
        super().__init__(joint, initial, period, "finite-words" if name is None else name)
        if self.alphabet_size < 3:
            raise reject("joint", "at least 2 symbols and END", f"{self.alphabet_size} symbols in all")
        halts = self.joint[:, -1]  # (L, S, S)
        ended = (halts > 0).any(0).any(0)
        if bool((halts[:, ended].sum(-1) < 1 - ROUNDING).any()):
            state = int(ended.nonzero()[0])
            raise reject(
                "joint", "END to be followed by END alone", f"other symbols from state {state}, where END leads"
            )
        if bool((self.initial @ halts[0] > 0).any()):
            raise reject("joint", "words of at least one symbol", "END as a first symbol")

    def __repr__(self) -> str:
        tables, symbols, states = self.joint.shape[:3]
        return f"FiniteWords({self.name!r}, k={symbols - 1} and END, states={states}, tables={tables})"

    def check_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        FiniteWords(tensors["joint"], tensors["initial"], self.period)

    def length_law(self, longest: int) -> Tensor:
        r""":math:`P(\tau = 0), \ldots, P(\tau = T)` and, last, :math:`P(\tau > T)`, for T = ``longest``: ``(T + 2,)``.

        >>> brackets(depth=1, halt=0.5).length_law(4)
        tensor([0.0000, 0.0000, 0.5000, 0.0000, 0.2500, 0.2500], dtype=torch.float64)
        """
        going_on, law = self.initial, []
        for t in range(1, check_integer("longest", longest, 1, MAX_DURATION) + 2):
            table = self.joint[which_table(t, len(self.joint), self.period)]
            law.append((going_on @ table[-1]).sum())
            going_on = going_on @ table[:-1].sum(0)
        return torch.stack([*law, going_on.sum()])


def halting(process: Process, hazards: Tensor | np.ndarray | Sequence[float]) -> FiniteWords:
    r"""Words of a stationary process that halt after :math:`\ell` symbols, whatever these are, with a probability of
    :math:`P(\tau = \ell \mid \tau \ge \ell)`: ``hazards (L,)`` for :math:`\ell = 1..L`, and the last from there on.

    Example:
        >>> from pgm_rnn.processes.zoo import golden_mean
        >>> halting(golden_mean(), [0.0, 0.5, 1.0]).length_law(3)
        tensor([0.0000, 0.0000, 0.5000, 0.5000, 0.0000], dtype=torch.float64)
    """
    risks = check_probabilities("hazards", as_tensor("hazards", hazards))
    if risks.ndim != 1 or not len(risks) or bool((risks > 1).any()):
        raise reject("hazards", "shape (L,) with L >= 1 probabilities", risks.tolist())
    risks = torch.cat([risks.new_zeros(1), risks])
    k, S = process.joint.shape[:2]
    needed = 8 * len(risks) * (k + 1) * (S + 1) ** 2
    check_budget("hazards", needed, MAX_TABLE_BYTES, "bytes for the transition matrices", "use fewer hazards")
    joint = risks.new_zeros(len(risks), k + 1, S + 1, S + 1)
    joint[:, :k, :S, :S] = (1 - risks).reshape(-1, 1, 1, 1) * process.joint
    joint[:, k, :S, S] = risks.unsqueeze(-1)
    joint[:, k, S, S] = 1.0
    return FiniteWords(joint, torch.cat([process.initial, risks[:1]]), period=1)


def at_most(source: FiniteWords, longest: int) -> FiniteWords:
    r"""A source given that its words have at most T = ``longest`` symbols: each step is weighted by the probability
    :math:`b_t(s) = P(\tau \le T \mid s_t = s)` that the word still ends in time,

    .. math:: J'^{(t)}_y[s, s'] = J^{(t)}_y[s, s'] \, b_{t+1}(s') / b_t(s).

    Raises:
        InputError: if no word is that short.

    Example:
        >>> at_most(geometric_length(halt=0.5), 2).length_law(2)
        tensor([0.0000, 0.6667, 0.3333, 0.0000], dtype=torch.float64)

    Source: Doob's h-transform, for example Levin, Peres and Wilmer (2017), *Markov chains and mixing times*, 17.6.1.
    """
    steps = check_integer("longest", longest, 1, MAX_HORIZON) + 1
    needed = 8 * steps * source.joint[0].numel()
    check_budget("longest", needed, MAX_TABLE_BYTES, "bytes for the transition matrices", "use a smaller one")
    ended = (source.joint[:, -1] > 0).any(0).any(0).to(source.joint.dtype)
    in_time, tables = ended, []
    for t in range(steps, 0, -1):
        weighted = source.joint[which_table(t, len(source.joint), source.period)] * in_time
        in_time = weighted.sum((0, 2))
        late = in_time == 0  # no word comes here: say that it ends
        weighted[-1, late] = ended / ended.sum()
        tables.append(weighted / torch.where(late, 1.0, in_time)[:, None])
    start = source.initial * in_time
    if not bool(start.any()):
        raise reject("longest", "the length of some word", longest)
    return FiniteWords(torch.stack(tables[::-1]), start / start.sum(), period=1)


def bounded(source: FiniteWords, longest: int | None) -> FiniteWords:
    """The source itself where no ``longest`` is given, and :func:`at_most` that otherwise."""
    return source if longest is None else at_most(source, longest)


def sticky(repeat: float) -> Process:
    """The stationary binary chain that repeats the last symbol with probability ``repeat``: every word is possible."""
    return Process(repeating(check_number("repeat", repeat, 0, 1, open_ends=True)))


@named
def geometric_length(halt: float = 0.25, repeat: float = 0.8, longest: int | None = None) -> FiniteWords:
    r"""Halts with probability ``halt`` after every symbol, :math:`P(\tau) = h (1 - h)^{\tau - 1}`: no memory is needed.

    Its symbols, like those of :func:`uniform_length` and :func:`bimodal_length`, are those of a chain that repeats the
    last one with probability ``repeat``, and tell nothing of the length. With ``longest``, :func:`at_most` that long.

    >>> geometric_length(halt=0.5).length_law(3)
    tensor([0.0000, 0.5000, 0.2500, 0.1250, 0.1250], dtype=torch.float64)
    """
    return bounded(halting(sticky(repeat), geometric(halt)), longest)


@named
def uniform_length(longest: int = 8, repeat: float = 0.8) -> FiniteWords:
    r"""Every length up to ``longest`` is as likely, :math:`P(\tau) = 1 / L`: a sampler has to count.

    >>> uniform_length(longest=4).length_law(4)
    tensor([0.0000, 0.2500, 0.2500, 0.2500, 0.2500, 0.0000], dtype=torch.float64)
    """
    return halting(sticky(repeat), uniform(longest))


@named
def bimodal_length(short: int = 2, long: int = 7, share: float = 0.5, repeat: float = 0.8) -> FiniteWords:
    """Short words or long ones, a ``share`` of the first: each kind is of its length, or with half the probability of
    that one symbol more or less.

    >>> bimodal_length().length_law(8)
    tensor([0.0000, 0.1250, 0.2500, 0.1250, 0.0000, 0.0000, 0.1250, 0.2500, 0.1250,
            0.0000], dtype=torch.float64)
    """
    return halting(sticky(repeat), bimodal(short, long, share))


@named
def brackets(depth: int = 3, nest: float = 0.3, halt: float = 0.6, longest: int | None = None) -> FiniteWords:
    """Balanced brackets, 0 opening and 1 closing one, at most ``depth`` deep: an early end shows.

    Inside a bracket the next symbol opens another with probability ``nest``, as far as the depth allows; after the
    outermost has closed the word ends with probability ``halt``. With ``longest``, :func:`at_most` that long.

    A stack of bounded depth is a finite machine. Without the bound the words are Dyck's, which none generates.

    >>> pair, early = [0, 1, 2, 2], [0, 0, 1, 2]
    >>> brackets()(4).log_prob(torch.tensor([pair, early])).exp()  # (), closed and ended: 0.7 * 0.6
    tensor([0.4200, 0.0000], dtype=torch.float64)
    """
    depth = check_integer("depth", depth, 1)
    check_budget("depth", 24 * (depth + 3) ** 2, MAX_TABLE_BYTES, "bytes for the transition matrix", "nest less deep")
    nest, halt = check_number("nest", nest, 0, 1, open_ends=True), check_number("halt", halt, 0, 1, open_ends=True)
    before, closed, ended = 0, depth + 1, depth + 2  # and 1..depth, how many brackets are open
    joint = torch.zeros(1, 3, depth + 3, depth + 3, dtype=torch.double)
    opens, closes, ends = joint[0]
    opens[before, 1] = 1.0
    for level in range(1, depth + 1):
        goes_deeper = nest if level < depth else 0.0
        opens[level, level + 1] = goes_deeper
        closes[level, closed if level == 1 else level - 1] = 1 - goes_deeper
    opens[closed, 1], ends[closed, ended], ends[ended, ended] = 1 - halt, halt, 1.0
    return bounded(FiniteWords(joint, torch.eye(depth + 3, dtype=torch.double)[before], period=1), longest)
