"""Named processes, each written down as its edges: state, probability, symbol, next state."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

import numpy as np
import torch

from pgm_rnn.checks import MAX_TABLE_BYTES, as_tensor, check_budget, check_number, check_symbols, reject
from pgm_rnn.processes.process import Process
from pgm_rnn.processes.source import Source

P = ParamSpec("P")
S = TypeVar("S", bound=Source)
Edge = tuple[str, float, int, str]


def named(constructor: Callable[P, S]) -> Callable[P, S]:
    """Name the source after its constructor and arguments, as ``parse`` reads it: ``mess3(x=0.05, a=0.85)``."""

    @functools.wraps(constructor)
    def build(*args: P.args, **kwargs: P.kwargs) -> S:
        bound = inspect.signature(constructor).bind(*args, **kwargs)
        bound.apply_defaults()
        process = constructor(*args, **kwargs)
        arguments = ", ".join(f"{name}={_literal(value)}" for name, value in bound.arguments.items())
        process.name = constructor.__name__.replace("_", "-") + (f"({arguments})" if arguments else "")
        return process

    return build


def _literal(value: object) -> str:
    return repr(value.tolist() if hasattr(value, "tolist") else value)


def machine(edges: Sequence[Edge], alphabet_size: int = 2) -> Process:
    """The process with the given edges; states are numbered as they first come.

    >>> machine([("A", 0.5, 1, "A"), ("A", 0.5, 0, "B"), ("B", 1.0, 1, "A")]).joint[1]
    tensor([[0.5000, 0.0000],
            [1.0000, 0.0000]], dtype=torch.float64)
    """
    number = {state: s for s, state in enumerate(dict.fromkeys(edge[0] for edge in edges))}
    joint = torch.zeros(alphabet_size, len(number), len(number), dtype=torch.double)
    for state, probability, symbol, following in edges:
        joint[symbol, number[state], number[following]] += probability
    return Process(joint)


@named
def biased_coin(p: float = 0.5) -> Process:
    """Independent symbols with ``P(1) = p``: h is the entropy of the coin, E = C = 0.

    >>> round(biased_coin(0.3).entropy_rate(), 10)
    0.6108643021
    """
    p = check_number("p", p, 0, 1)
    return machine([("A", 1 - p, 0, "A"), ("A", p, 1, "A")])


@named
def periodic(word: str | Sequence[int] = "01") -> Process:
    """Repeats ``word``, a string of digits or a list of symbols, from a random phase: h = 0, E = C = log(period).

    >>> round(periodic("001").statistical_complexity(), 10)
    1.0986122887
    """
    if not (word.isdecimal() if isinstance(word, str) else np.ndim(word) == 1 and len(word)):
        raise reject("word", "a string of digits or a list of symbols", repr(word))
    symbols = as_tensor("word", [int(digit) for digit in word] if isinstance(word, str) else word)
    numbers = check_symbols("word", symbols, max(2, int(symbols.max()) + 1)).tolist()
    k = max(2, max(numbers) + 1)
    check_budget("word", 8 * k * len(numbers) ** 2, MAX_TABLE_BYTES, "bytes for the process", "use a shorter word")
    edges = [(str(n), 1.0, symbol, str((n + 1) % len(numbers))) for n, symbol in enumerate(numbers)]
    return machine(edges, k)


@named
def golden_mean(p: float = 0.5) -> Process:
    """No two zeros in a row: after a 1, another with probability ``p``. A chain of order 1, h = H2(p) / (2 - p).

    Source: Crutchfield and Feldman (2003), *Regularities unseen, randomness observed*.

    >>> golden_mean()(2).log_prob(torch.tensor([0, 0]))
    tensor(-inf, dtype=torch.float64)
    """
    p = check_number("p", p, 0, 1)
    return machine([("A", p, 1, "A"), ("A", 1 - p, 0, "B"), ("B", 1.0, 1, "A")])


@named
def even(p: float = 0.5) -> Process:
    """Ones come in runs of even length between zeros: no finite order, h = H2(p) / (2 - p), E = C = H2(1 / (2 - p)).

    Source: Weiss (1973), *Subshifts of finite type and sofic systems*; Crutchfield and Feldman (2003).

    >>> even()(4).log_prob(torch.tensor([[0, 1, 1, 0], [1, 1, 1, 1]])).exp()
    tensor([0.0833, 0.2500], dtype=torch.float64)
    """
    p = check_number("p", p, 0, 1)
    return machine([("A", p, 0, "A"), ("A", 1 - p, 1, "B"), ("B", 1.0, 1, "A")])


@named
def rrxor() -> Process:
    """Two fair bits, then their exclusive or, from a random phase: h = 2/3 bit, E = C = log2(3) + 2/3 bits.

    Source: Crutchfield and Feldman (2003).

    >>> round(rrxor().excess_entropy(), 8)  # (log2(3) + 2/3) log(2)
    1.56071041
    """
    flips = [("S", 0.5, 0, "0"), ("S", 0.5, 1, "1")]
    again = [("0", 0.5, 0, "even"), ("0", 0.5, 1, "odd"), ("1", 0.5, 1, "even"), ("1", 0.5, 0, "odd")]
    return machine([*flips, *again, ("even", 1.0, 0, "S"), ("odd", 1.0, 1, "S")])


@named
def zero_one_random() -> Process:
    """0, 1, a fair bit, repeated from a random phase: h = 1/3 bit, reached at the fourth symbol.

    Source: Crutchfield and Feldman (2003).

    >>> zero_one_random().conditional_entropies(5) / torch.tensor(2.0).log()
    tensor([1.0000, 0.9183, 0.6667, 0.3333, 0.3333], dtype=torch.float64)
    """
    return machine([("A", 1.0, 0, "B"), ("B", 1.0, 1, "C"), ("C", 0.5, 0, "A"), ("C", 0.5, 1, "A")])


@named
def mess3(x: float = 0.05, a: float = 0.85) -> Process:
    """Three states that stay with probability ``1 - 2x``; the one arrived at is seen rightly with probability ``a``.

    Every word is possible and every one leads to a belief of its own: its causal states are uncountable.

    Source: Marzen and Crutchfield (2017), *Nearly maximally predictive features and their dimensions*.

    >>> round(mess3().entropy_rate(), 11)
    0.79345754574
    """
    x, a = check_number("x", x, 0, 0.5), check_number("a", a, 0, 1)
    diagonal = torch.eye(3, dtype=torch.double)
    moves = x + (1 - 3 * x) * diagonal
    sees = (1 - a) / 2 + (a - (1 - a) / 2) * diagonal
    return Process(torch.einsum("sn,ny->ysn", moves, sees))


@named
def simple_nonunifilar(p: float = 0.5, q: float = 0.5) -> Process:
    """Two states that look alike but for the 0 on the way from B to A: causal states count the ones since then.

    Source: Marzen and Crutchfield (2015), *Informational and causal architecture of discrete-time renewal processes*.

    >>> round(simple_nonunifilar().statistical_complexity(), 6)  # 2.7114687 bits
    1.879447
    """
    p, q = check_number("p", p, 0, 1), check_number("q", q, 0, 1)
    return machine([("A", p, 1, "A"), ("A", 1 - p, 1, "B"), ("B", q, 1, "B"), ("B", 1 - q, 0, "A")])


@named
def noisy_random_phase_slip() -> Process:
    """Five states whose period slips by one when a fair coin says so: h = 1/2 bit, C = 2.251629167 bits.

    Source: Crutchfield, Ellison and Mahoney (2009), *Time's barbed arrow: irreversibility, crypticity, and stored
    information*.

    >>> round(noisy_random_phase_slip().entropy_rate(), 10)  # log(2) / 2
    0.3465735903
    """
    fair = [(state, 0.5, symbol, following) for state, symbol, following in (("A", 0, "A"), ("A", 1, "B"))]
    noisy = [("D", 0.5, symbol, "E") for symbol in (0, 1)]
    return machine([*fair, ("B", 1.0, 0, "C"), ("C", 1.0, 1, "D"), *noisy, ("E", 1.0, 0, "A")])


@named
def nemo(p: float = 0.5, q: float = 0.5) -> Process:
    """Three states that no finite word tells apart for certain: at p = q = 1/2, h = 3/4 bit and C = 3/2 bits.

    Source: Mahoney, Ellison, James and Crutchfield (2011), *How hidden are hidden processes?*

    >>> round(nemo().statistical_complexity(), 8)  # 1.5 log(2)
    1.03972077
    """
    p, q = check_number("p", p, 0, 1), check_number("q", q, 0, 1)
    return machine([("A", p, 1, "A"), ("A", 1 - p, 0, "B"), ("B", 1.0, 0, "C"), ("C", q, 1, "A"), ("C", 1 - q, 0, "A")])
