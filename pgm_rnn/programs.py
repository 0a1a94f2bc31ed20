"""Every family as a Pyro program: symbol by symbol, or as one fused site."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import pyro
import pyro.distributions as dist
import torch
from pyro.poutine.runtime import get_plates
from torch import Tensor

from pgm_rnn.checks import MAX_INTEGER, check_budget, check_integer, reject
from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.lanes import State, expand_lanes
from pgm_rnn.sequences import Sequences

LawBuilder = Callable[..., SequenceDistribution]
"""A family, or any callable ``duration -> law``; whatever it samples becomes a site of the program."""

Data = Sequences | Sequence[Sequences]
"""One data set, or a list of ``R``, one for each replicate."""


def stepwise(
    family: LawBuilder,
    sequences: Data | None = None,
    *,
    duration: int | None = None,
    num_sequences: int | None = None,
    mediators: bool = False,
) -> Tensor:
    r"""The program :math:`y_t \sim P(\cdot \mid s_t),\ s_{t+1} = \mathrm{update}(s_t, y_t)`, with sites ``y_1 .. y_T``.

    A Pyro model: trace it, condition it, replay it, hand it to ``Predictive`` or ``SVI``. With ``sequences`` every
    symbol is observed; without, ``num_sequences`` words (1 by default) of ``duration`` symbols are sampled, from
    torch's global generator as in all of Pyro. Conditioned on a prefix it samples the continuations.

    Args:
        family: called inside the program as ``family(duration)``, with ``context`` and ``inputs`` where the data have
            them, so that a prior's draws are sites too: see :func:`pgm_rnn.inference.bayes.bayesian`.
        sequences: N words, or a list of R data sets of N words each for a family with replicates. Words of different
            lengths count as far as they go, and with their END where the family ends.
        duration: T, if no sequences are given.
        num_sequences: N, if no sequences are given. A law given N contexts, as ``lambda T: family(T, context=x)``
            builds it, samples one word for each.
        mediators: also record ``h_t``, deterministic, through which all earlier symbols act on ``y_t``; families
            without a mediator have no such sites.

    Returns:
        The words, ``(N, T)``, or ``(R, N, T)`` under a law with replicates.

    Plates: ``sequences`` (dim -1) and, only under a law with replicates, ``replicates`` (dim -2).

    Raises:
        InputError: if neither sequences nor a duration come, or they do not fit each other or the law.

    Example:
        >>> from pgm_rnn.models import Recurrent
        >>> trace = pyro.poutine.trace(stepwise).get_trace(Recurrent(2, 4), duration=2, mediators=True)
        >>> [name for name in trace.nodes if name[0] in "yh"]
        ['h_1', 'y_1', 'h_2', 'y_2']
    """
    law, words, there, lanes = _begin(family, sequences, duration, num_sequences)
    symbols: list[Tensor] = []
    with _plates(lanes):
        state = law.initial_state(lanes)
        for t in range(1, law.duration + 1):
            if symbols:
                lanes, state = _widen(lanes, state, symbols[-1])
                state = law.update(state, symbols[-1].expand(lanes))
            mediator = law.mediator(state) if mediators else None
            if mediator is not None:
                mediator = pyro.deterministic(f"h_{t}", mediator, event_dim=1)
                state = law.with_mediator(state, mediator.expand(*lanes, -1))
            conditional = dist.Categorical(logits=law.next_logits(state))
            if there is not None:
                conditional = conditional.mask(there[..., t - 1])
            symbols.append(pyro.sample(f"y_{t}", conditional, obs=None if words is None else words[..., t - 1]))
    return torch.stack([symbol.expand(lanes) for symbol in symbols], -1)


def fused(
    family: LawBuilder,
    sequences: Data | None = None,
    *,
    duration: int | None = None,
    num_sequences: int | None = None,
) -> Tensor:
    """The same program as :func:`stepwise` with all steps in one site ``y``, whose law is ``family(duration)``.

    Arguments, plates, errors and what is returned are those of :func:`stepwise`, and so is the log-probability.

    Example:
        >>> from pgm_rnn.models import Recurrent
        >>> fused(Recurrent(2, 4, replicates=3), duration=5, num_sequences=7).shape
        torch.Size([3, 7, 5])
    """
    law, words, there, lanes = _begin(family, sequences, duration, num_sequences)
    with _plates(lanes):
        return pyro.sample("y", law if there is None else Prefixes(law, there), obs=words)


class Prefixes(SequenceDistribution):
    """A law under which a word counts as far as it goes: ``there (*lanes, T)`` says which of its symbols do."""

    def __init__(self, law: SequenceDistribution, there: Tensor) -> None:
        super().__init__(law.alphabet_size, law.duration, there.shape[:-1], law.device)
        self.law = law
        self.there = there

    def log_prob(self, words: Tensor) -> Tensor:
        return torch.where(self.there, self.law.conditional_log_probs(words), 0.0).sum(-1)


def _begin(
    family: LawBuilder, sequences: Data | None, duration: int | None, num_sequences: int | None
) -> tuple[SequenceDistribution, Tensor | None, Tensor | None, torch.Size]:
    """The law, the observed words ``(*lanes, T)`` if there are any, which of their symbols count if not all do, and
    ``lanes``, which is ``(N,)`` or ``(R, N)``."""
    if not callable(family):
        raise reject("family", "a family, or a function from a duration to a law", type(family).__name__)
    if sequences is None:
        if duration is None:
            raise reject("sequences", "data to observe, or a duration to sample", "neither")
        law = family(duration)
        roots = law.batch_shape[-1] if law.batch_shape else 1
        count = check_integer("num_sequences", roots if num_sequences is None else num_sequences, 1)
        check_budget("num_sequences", count, MAX_INTEGER, "words", "sample fewer")
        if roots not in (1, count):
            raise reject("num_sequences", f"None or {roots}, one word for each of the law's contexts or inputs", count)
        return law, None, None, torch.Size((*law.batch_shape[:-1], count))
    parts, alphabet_size = _observed(sequences, getattr(family, "read", None))
    words, there = parts.pop("symbols"), parts.pop("there")
    asked = {"num_sequences": num_sequences, "duration": duration}
    for (argument, value), own in zip(asked.items(), words.shape[-2:], strict=True):
        if value not in (None, own):
            raise reject(argument, f"None or {own}, as in the sequences", value)
    law = family(words.shape[-1], **parts)
    lanes = law.batch_shape[:-1] + words.shape[-2:-1]
    if law.alphabet_size != alphabet_size:
        raise reject("sequences", f"alphabet_size {law.alphabet_size}, as in the law", alphabet_size)
    if words.ndim > 2 and words.shape[:-1] != lanes:
        replicates = lanes[0] if len(lanes) > 1 else "no"
        raise reject("sequences", f"one data set, or one for each of the law's {replicates} replicates", len(words))
    words, there = (part.to(law.device).expand(*lanes, -1) for part in (words, there))
    return law, words, None if bool(there.all()) else there, lanes


def _observed(sequences: Data, read: Callable[[Sequences], Sequences] | None) -> tuple[dict[str, Tensor], int]:
    """The symbols, which of them count and, where there are any, the context and inputs, of ``R`` data sets stacked, as
    a family reads them; and k."""
    if isinstance(sequences, Sequences):
        data = sequences if read is None else read(sequences)
        return {"symbols": data.symbols, "there": data.there} | data.sides.given, data.alphabet_size
    if not isinstance(sequences, Sequence):
        raise reject("sequences", "Sequences, or a list of them", type(sequences).__name__)
    columns = [_observed(data, read) for data in sequences if isinstance(data, Sequences)]
    shapes = [{name: tuple(part.shape) for name, part in parts.items()} | {"k": k} for parts, k in columns]
    if not shapes or len(shapes) < len(sequences) or any(shape != shapes[0] for shape in shapes):
        raise reject("sequences", "Sequences, or a list of them that have one N, T and k", shapes)
    parts, k = columns[0]
    return {name: torch.stack([column[name] for column, _ in columns]) for name in parts}, k


def _widen(lanes: torch.Size, state: State, symbol: Tensor) -> tuple[torch.Size, State]:
    """Lanes and state broadcast with a symbol: a conditioned one may be smaller, one in an outer plate is larger."""
    shape = torch.broadcast_shapes(lanes, symbol.shape)
    return shape, expand_lanes(state, len(lanes), shape)


@contextmanager
def _plates(lanes: torch.Size) -> Iterator[None]:
    """The plates of the lanes; the outer one may be there already, where the weights have parallel draws."""
    taken = any(frame.dim == -2 for frame in get_plates())
    replicates = nullcontext() if taken or len(lanes) < 2 else pyro.plate("replicates", lanes[-2], dim=-2)
    with replicates, pyro.plate("sequences", lanes[-1], dim=-1):
        yield
