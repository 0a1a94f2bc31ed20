"""The invariants of families that are given a context or inputs, root by root: models, their endings, and sources."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from families import randomise
from invariants import assert_close, chi_square_p
from oracles import all_words
from torch import Tensor

import pgm_rnn
from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.family import Family
from pgm_rnn.models import BernoulliHalt, EndSymbol, Markov, Recurrent, Tabular
from pgm_rnn.processes import CONDITIONAL, TRANSDUCERS

T, D, G = 3, 2, 3
LABELS = torch.tensor([0, 1, 1])
VECTORS = torch.randn(G, D, generator=torch.Generator().manual_seed(0), dtype=torch.double)
NUMBERS = torch.tensor([[0.1], [0.5], [0.9]], dtype=torch.double)
INPUTS = torch.tensor([[0, 1, 1], [1, 0, 1], [0, 0, 1]])

Sided = tuple[Callable[[int | None], Family], dict[str, Tensor]]
MODELS: dict[str, Sided] = {
    "table, context": (lambda R: Tabular(3, T, context_dim=D, replicates=R), {"context": LABELS}),
    "table, inputs": (lambda R: Tabular(3, T, input_dim=D, replicates=R), {"inputs": INPUTS}),
    "chain, both": (
        lambda R: Markov(3, 1, context_dim=D, input_dim=D, replicates=R),
        {"context": LABELS, "inputs": INPUTS},
    ),
    "network, both": (
        lambda R: Recurrent(3, 3, context_dim=D, input_dim=D, replicates=R),
        {"context": VECTORS, "inputs": INPUTS},
    ),
    "gru, h_0": (
        lambda R: Recurrent(3, 2, "gru", context_dim=D, context_as="initial", replicates=R),
        {"context": VECTORS},
    ),
    "END, table": (lambda R: EndSymbol(Tabular(3, T, context_dim=D, replicates=R)), {"context": LABELS}),
    "END, chain": (lambda R: EndSymbol(Markov(3, 0, context_dim=D, replicates=R)), {"context": LABELS}),
    "END, lstm": (
        lambda R: EndSymbol(Recurrent(3, 2, "lstm", context_dim=D, context_as="both", replicates=R)),
        {"context": VECTORS},
    ),
    "halt, table": (lambda R: BernoulliHalt(Tabular(2, T, context_dim=D, replicates=R)), {"context": LABELS}),
    "halt, chain": (lambda R: BernoulliHalt(Markov(2, 1, context_dim=D, replicates=R)), {"context": LABELS}),
    "halt, network": (lambda R: BernoulliHalt(Recurrent(2, 3, context_dim=D, replicates=R)), {"context": VECTORS}),
}
SOURCES: dict[str, Sided] = {
    **{
        name: (lambda _, build=build: build(), {"context": NUMBERS if name.startswith("sliding") else LABELS})
        for name, build in CONDITIONAL.items()
    },
    **{name: (lambda _, build=build: build(), {"inputs": INPUTS}) for name, build in TRANSDUCERS.items()},
}
CASES = [(name, R) for name in MODELS for R in (None, 2)] + [(name, None) for name in SOURCES]
every = pytest.mark.parametrize(("name", "replicates"), CASES)


def made(name: str, replicates: int | None) -> Family:
    family = {**MODELS, **SOURCES}[name][0](replicates)
    if name in MODELS:
        randomise(family.double())
    return family


def sides(name: str, steps: int = T) -> dict[str, Tensor]:
    given = {**MODELS, **SOURCES}[name][1]
    return {part: values[:, :steps] if part == "inputs" else values for part, values in given.items()}


def probabilities(law: SequenceDistribution) -> Tensor:
    """Of all words, in lexicographic order: ``(k^T, *batch)``."""
    words = all_words(law.alphabet_size, law.duration)
    return law.log_prob(words.reshape(-1, *(1,) * len(law.batch_shape), law.duration)).detach().exp()


@every
def test_words_sum_to_one_and_last_symbols_out(name: str, replicates: int | None) -> None:
    family = made(name, replicates)
    whole, shorter = (probabilities(family(steps, **sides(name, steps))) for steps in (T, T - 1))
    lead = () if replicates is None else (replicates,)
    assert whole.shape[1:] == (*lead, G)
    assert_close(whole.sum(0), torch.ones(*lead, G), 1e-12)
    summed = whole.unflatten(0, (-1, family.alphabet_size)).sum(1)
    if name != "preview":  # it answers an input that the shorter word does not have
        assert_close(summed, shorter, 1e-12)


@every
def test_every_root_is_what_it_is_alone(name: str, replicates: int | None) -> None:
    family = made(name, replicates)
    together = probabilities(family(T, **sides(name)))
    for root in range(G):
        alone = family(T, **{part: values[root : root + 1] for part, values in sides(name).items()})
        assert alone.batch_shape == (*together.shape[1:-1], 1)
        assert_close(probabilities(alone), together[..., root : root + 1], 1e-12)
    if replicates is not None:
        for r in range(replicates):
            assert_close(probabilities(family.replicate(r)(T, **sides(name))), together[:, r], 1e-12)


@every
def test_the_chain_rule_by_the_contract(name: str, replicates: int | None) -> None:
    law = made(name, replicates)(T, **sides(name))
    expected = probabilities(law)
    for word, wanted in zip(all_words(law.alphabet_size, T), expected, strict=True):
        state, got = law.initial_state(law.batch_shape), torch.ones(law.batch_shape, dtype=torch.double)
        for y in word:
            got = got * law.next_logits(state).detach().softmax(-1).expand(*law.batch_shape, -1)[..., y]
            state = law.update(state, y.expand(law.batch_shape))
        assert_close(got, wanted, 1e-12)


@every
def test_samples_and_what_follows_a_prefix(name: str, replicates: int | None) -> None:
    law = made(name, replicates)(T, **sides(name))
    k, expected = law.alphabet_size, probabilities(law)
    drawn = law.sample((2000,), generator=torch.Generator().manual_seed(2))
    assert drawn.shape == (2000, *law.batch_shape, T)
    index = (drawn * k ** torch.arange(T - 1, -1, -1)).sum(-1).flatten(1)
    for column, p in zip(index.T, expected.flatten(1).T, strict=True):
        assert chi_square_p(torch.bincount(column, minlength=k**T), p) > 1e-5
    first = int(expected.unflatten(0, (k, -1)).sum(1).flatten(1).min(-1).values.argmax())  # possible under every root
    begun = expected.unflatten(0, (k, -1))[first]
    assert_close(probabilities(law.given([first])), begun / begun.sum(0), 1e-10)


@every
def test_files_keep_every_word_s_probability(name: str, replicates: int | None, tmp_path: Path) -> None:
    family = made(name, replicates)
    pgm_rnn.save(family, tmp_path / "family")
    again = pgm_rnn.load(tmp_path / "family")
    assert torch.equal(probabilities(again(T, **sides(name))), probabilities(family(T, **sides(name))))
