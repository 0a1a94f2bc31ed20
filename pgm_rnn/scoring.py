"""How far a model is from the truth: exactly on the prefix tree, or along words drawn from it where asked for."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pgm_rnn.checks import check_duration, check_integer, check_seed, check_table, reject
from pgm_rnn.distribution import SequenceDistribution, check_law
from pgm_rnn.family import Family, ParameterCount
from pgm_rnn.lanes import join_lanes
from pgm_rnn.models.tabular import TabularLaw
from pgm_rnn.prefix_tree import PrefixTree
from pgm_rnn.sequences import Sequences
from pgm_rnn.tree_layout import lanes_at_once, states_below

ROUNDING = 1e-9
"""How far an exact loss may be below the exact entropy, for each nat of it."""


@dataclass(frozen=True)
class Score:
    """Nats per word; with replicates every number has a leading axis R.

    Attributes:
        divergence: KL(truth || model), infinite if the model forbids what the truth allows; None without a truth.
        cross_entropy: the expected loss ``-log Q``.
        entropy: the part of it that no model can avoid; None without a truth.
        standard_error: of the divergence, paired, or of the cross-entropy without a truth; 0 if exact.
        method: ``"exact"``, ``"monte-carlo"`` or ``"data"``.
        divergence_by_position: ``(T,)``, the divergence of each conditional law of y_t; None without a truth.
        standard_error_by_position: ``(T,)``, of those, paired; 0 if exact; None without a truth.
    """

    divergence: Any
    cross_entropy: Any
    entropy: Any
    standard_error: Any
    method: str
    divergence_by_position: Tensor | None
    standard_error_by_position: Tensor | None


def score(
    model: Family,
    process: Family | Sequences,
    duration: int | None = None,
    *,
    num_sequences: int | None = None,
    seed: int = 0,
) -> Score:
    r"""Score a model against a process, or on words without a known truth, in float64.

    .. math:: KL(P \| Q) = \sum_{t} \sum_{|v| = t - 1} P(v)\, KL(P(\cdot \mid v) \| Q(\cdot \mid v))

    Args:
        model: any family.
        process: the truth (any family), or Sequences. A model that ends scores words with their length,
            :math:`\log Q(y_1 \ldots y_\tau, \tau)`; another scores them as far as they go.
        duration: T; not used with Sequences.
        num_sequences: None for the exact sum over the prefix tree, or the number of words drawn from the truth.
        seed: of those words.

    Raises:
        InputError: if the exact sum would pass the node budget, naming ``num_sequences``; or if arguments do not fit.

    Example:
        >>> from pgm_rnn import processes
        >>> round(score(processes.golden_mean(0.6), processes.golden_mean(0.5), 10).divergence, 9)
        0.127854296
    """
    if isinstance(process, Sequences):
        return _score_words(model, process)
    if duration is None:
        raise reject("duration", "an integer of at least 1", "None")
    model, truth = double("model", model), double("process", process)
    truth, duration = truth.to(device_of(model)), check_duration(duration)
    if truth.alphabet_size != model.alphabet_size:
        raise reject("model", f"alphabet_size {truth.alphabet_size}, as in the process", model.alphabet_size)
    with torch.no_grad():
        if num_sequences is None:
            return _exact(model, truth, duration)
        return _monte_carlo(model, truth, duration, num_sequences, seed)


def double(argument: str, family: Family) -> Family:
    """The same family in float64, if it is one and its parameters are numbers."""
    if not isinstance(family, Family):
        raise reject(argument, "a model or a process", type(family).__name__)
    for name, tensor in family.state_dict().items():
        if bool(tensor.isnan().any()):
            raise reject(argument, "parameters that are numbers", f"NaN in {name}")
    return copy.deepcopy(family).double()


def device_of(family: Family) -> torch.device:
    """Where a family's tensors are."""
    return next((tensor.device for tensor in family.state_dict().values()), torch.device("cpu"))


def log_probs(model: Family, data: Sequences) -> Tensor:
    """Conditional log-probabilities of words, in parts: ``(N, T)``, or ``(R, N, T)`` with replicates.

    Of words as the model reads them: with their END where it has one, and zeros where a word has no more symbols.
    """
    parts = []
    with torch.no_grad():
        for part in in_parts(model.read(data), model):
            terms = model(part.duration, **part.sides.given).conditional_log_probs(part.symbols)
            parts.append(torch.where(part.there, terms, 0.0))
    return torch.cat(parts, -2)


def in_parts(words: Sequences, *families: Family) -> Iterator[Sequences]:
    """The words in parts that all families can evaluate at once."""
    one = words[torch.tensor([0], device=words.symbols.device)]
    laws = [family(words.duration, **family.relevant(one.sides)) for family in families]
    size = max(1, min(lanes_at_once(law) // words.duration for law in laws))
    for part in torch.arange(len(words), device=words.symbols.device).split(size):
        yield words[part]


def _exact(model: Family, truth: Family, duration: int) -> Score:
    """Every root's own divergence, weighted by its share, where the truth is a conditional one."""
    tree = PrefixTree.from_source(truth, duration)
    entropies = tree.entropies()
    cross_entropies = -tree.expected_log_probs(model(duration, **model.relevant(tree.sides)))
    divergences = cross_entropies - entropies
    below = float((-divergences.sum(-1)).max())
    if below > ROUNDING * max(1.0, float(entropies.sum(-1).max())):
        raise ArithmeticError(f"the loss is {below:.3g} nats below the entropy, which no law can reach: this is a bug")
    return Score(
        divergence=plain(divergences.sum(-1)),
        cross_entropy=plain(cross_entropies.sum(-1)),
        entropy=plain(entropies.sum(-1)),
        standard_error=0.0,
        method="exact",
        divergence_by_position=divergences,
        standard_error_by_position=torch.zeros_like(divergences),
    )


def _monte_carlo(model: Family, truth: Family, duration: int, num_sequences: int, seed: int) -> Score:
    r"""The sum over prefixes :math:`y_{<t}` sampled from the truth; at each of them the sum over symbols is exact.

    Both filters run along the same words (unpaired errors would be ten times larger) and the log-ratio of the symbol
    that happened to follow gives way to its expectation, :math:`KL(P(\cdot \mid y_{<t}) \| Q(\cdot \mid y_{<t}))`: no
    term is negative, and none is noisier than what it stands for (Rao-Blackwell).
    """
    count = check_integer("num_sequences", num_sequences, 2)
    if truth.replicates is not None:
        raise reject("process", "a truth without replicates", f"{truth.replicates} replicates")
    generator = torch.Generator().manual_seed(check_seed(seed))
    sides = truth.draw_conditions(count, duration, generator)
    law = truth(duration, **sides.given)
    symbols = law.sample(() if sides.given else (count,), generator=generator)
    words = Sequences(symbols, truth.alphabet_size, None, *sides)
    parts = [conditional_terms(model, truth, part) for part in in_parts(words, model, truth)]
    gaps, losses, entropies = (torch.cat(column, -2) for column in zip(*parts, strict=True))  # (*batch, N, T or 1)
    return Score(
        divergence=plain(gaps.sum(-1).mean(-1)),
        cross_entropy=plain(losses.mean((-2, -1))),
        entropy=plain(entropies.mean((-2, -1))),
        standard_error=plain(_standard_error(gaps.sum(-1), -1)),
        method="monte-carlo",
        divergence_by_position=gaps.mean(-2),
        standard_error_by_position=_standard_error(gaps, -2),
    )


def conditional_terms(model: Family, truth: Family, words: Sequences) -> tuple[Tensor, Tensor, Tensor]:
    """Along N words: the divergences ``(*lead, N, T)``, and summed over t cross-entropy and entropy."""
    true, claimed = (
        family(words.duration, **family.relevant(words.sides)).conditional_laws(words.symbols)
        for family in (truth, model)
    )  # (*lead, N, T, k)
    p = true.exp()
    gaps, losses, surprises = (
        (p * nats.masked_fill(p == 0, 0.0)).sum(-1) for nats in (true - claimed, -claimed, -true)
    )
    return gaps, losses.sum(-1, keepdim=True), surprises.sum(-1, keepdim=True)


def _standard_error(values: Tensor, dim: int) -> Tensor:
    """Of the mean along ``dim``; infinite where that is."""
    error = values.std(dim) / values.shape[dim] ** 0.5
    return torch.where(values.isinf().any(dim), torch.inf, error)


def _score_words(model: Family, words: Sequences) -> Score:
    model = double("model", model)
    words = model.read(words)
    if model.alphabet_size != words.alphabet_size:
        raise reject("model", f"alphabet_size {words.alphabet_size}, as in the data", model.alphabet_size)
    losses = -log_probs(model, words).sum(-1)
    error = losses.std(-1, correction=min(1, len(words) - 1)) / len(words) ** 0.5
    return Score(None, plain(losses.mean(-1)), None, plain(error), "data", None, None)


def plain(value: Tensor) -> Any:
    """A float for a single number, the tensor with a leading axis R otherwise."""
    return value.item() if value.ndim == 0 else value


def count_parameters(model: Family, duration: int) -> ParameterCount:
    """Stored and free parameters of one replicate for words of ``duration`` symbols, as Python ints.

    Example:
        >>> from pgm_rnn import models
        >>> count_parameters(models.Recurrent(2, 16), 10)
        ParameterCount(stored=338, free=321)
    """
    if not isinstance(model, Family):
        raise reject("model", "a model or a process", type(model).__name__)
    return model.parameter_count(check_duration(duration))


def tabulate(law: SequenceDistribution) -> TabularLaw:
    r"""The full table that assigns every word the same probability: marginalising h.

    The hidden states are deterministic given the symbols, so summing them out leaves
    :math:`P(y_t \mid y_{<t})` as a row for every prefix: the complete graph over y.

    Raises:
        InputError: before allocating, if the table would need more than ``MAX_TABLE_BYTES``.
    """
    check_law("law", law)
    check_table("law", law.alphabet_size, law.duration, 8, max(law.batch_shape.numel(), 1))
    k, batch = law.alphabet_size, law.batch_shape[:-1]
    state = law.initial_state((*batch, 1))
    rows = [law.next_logits(state).expand(*batch, 1, k)]
    for t in range(1, law.duration):
        prefixes = torch.arange(k**t, device=law.device)
        parts = []
        for part in states_below(law, state, prefixes // k, prefixes % k):
            rows.append(law.next_logits(part))
            if t + 1 < law.duration:  # the last level's states are many times its rows
                parts.append(part)
        state = join_lanes(parts, len(batch)) if parts else state
    return TabularLaw(law.duration, torch.cat(rows, -2).log_softmax(-1))


__all__ = ["Score", "count_parameters", "double", "log_probs", "plain", "score", "tabulate"]
