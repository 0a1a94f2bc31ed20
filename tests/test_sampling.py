"""Words drawn from families: what they are given, how they begin, how often each comes, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from families import randomise
from invariants import chi_square_p
from oracles import all_words
from torch import Tensor

from pgm_rnn import InputError, models, processes
from pgm_rnn.family import Family
from pgm_rnn.sampling import sample_sequences, sample_words


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(model: Family) -> Family:
    randomise(model.double())
    return model


CONTEXT = torch.tensor([0, 1, 1])
INPUTS = torch.tensor([[0, 1, 1], [1, 0, 1]])
GIVEN: dict[str, tuple[Callable[[], Family], dict[str, Tensor], int]] = {
    "nothing": (lambda: models.Markov(2, 1), {}, 1),
    "labels": (lambda: models.Tabular(2, 3, context_dim=2), {"context": CONTEXT}, 3),
    "vectors": (lambda: models.Recurrent(2, 3, context_dim=2), {"context": torch.eye(2)}, 2),
    "input labels": (lambda: models.Markov(2, 1, input_dim=2), {"inputs": INPUTS}, 2),
    "one context for all inputs": (
        lambda: models.Recurrent(2, 3, context_dim=2, input_dim=2),
        {"context": CONTEXT[:1], "inputs": INPUTS},
        2,
    ),
}


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("prefix", [[], [1], [0, 1]])
def test_words_follow_the_law_of_what_they_are_given(name: str, prefix: list[int]) -> None:
    """Each root's N words come one after the other, with its side beside them, and as often as the law says."""
    build, sides, roots = GIVEN[name]
    model, N = made(build()), 2000
    drawn = sample_sequences(model, N, 3, prefix=prefix, generator=seeded(), **sides)
    assert drawn.symbols.shape == (roots * N, 3)
    log_p = model(3, **sides).log_prob(all_words(2, 3).unsqueeze(1)).detach()
    starts = (all_words(2, 3)[:, : len(prefix)] == torch.tensor(prefix, dtype=torch.long)).all(-1)
    for root in range(roots):
        own = drawn.symbols[root * N : (root + 1) * N]
        counts = torch.bincount(own @ torch.tensor([4, 2, 1]), minlength=8)
        assert int(counts[~starts].sum()) == 0
        law = log_p.expand(8, roots)[:, root].exp()[starts]
        assert chi_square_p(counts[starts], law / law.sum()) > 1e-4
        for part, given in zip(drawn.sides.given.values(), sides.values(), strict=True):
            its = given[root if len(given) > 1 else 0]
            assert torch.equal(part[root * N : (root + 1) * N], its.expand(N, *its.shape))


def test_the_same_seed_gives_the_same_words() -> None:
    source = processes.mess3()
    first, second, third = (sample_sequences(source, 40, 6, generator=seeded(seed)).symbols for seed in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_words_that_end_under_contexts() -> None:
    """A label that halts at once beside one that never does."""
    model = models.BernoulliHalt(models.Markov(2, 0, context_dim=2)).double()
    with torch.no_grad():
        model.get_parameter("halt").copy_(torch.tensor([40.0, -40.0]))
    words, cut = sample_words(model, 5, 4, prefix=[1], context=torch.tensor([0, 1]), generator=seeded())
    assert words.lengths is not None
    assert words.lengths.tolist() == [1] * 5 + [4] * 5
    assert cut == 5
    assert words.context is not None
    assert words.context.tolist() == [0] * 5 + [1] * 5
    assert words.symbols[:, 0].tolist() == [1] * 10


def draw(model: Family, count: int = 3, duration: int = 3, **how: Any) -> object:
    return sample_sequences(model, count, duration, **how)


CHAIN, TOLD = models.Markov(2, 1), models.Recurrent(2, 3, context_dim=2, input_dim=2)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: draw(models.Markov(2, 1, replicates=2)), "family: expected one without replicates, got 2 replicates"),
        (lambda: draw(CHAIN, 0), "num_sequences: expected an integer of at least 1, got 0"),
        (lambda: draw(CHAIN, duration=0), "duration: expected an integer of at least 1, got 0"),
        (lambda: draw(CHAIN, 10**12), "num_sequences: expected at most"),
        (lambda: draw(CHAIN, prefix=[0, 1, 0]), r"prefix: expected shape \(\.\.\., t\) with t in 0\.\.2, got \(3,\)"),
        (lambda: draw(CHAIN, prefix=[2]), r"prefix: expected symbols in 0\.\.1"),
        (lambda: draw(CHAIN, context=CONTEXT), "context: expected None, because Markov takes no context"),
        (lambda: draw(TOLD, inputs=INPUTS), "context: expected one for each sequence, of dimension 2, got None"),
        (lambda: draw(processes.running_parity(), 3, 4, inputs=INPUTS), "inputs: expected 4 steps, as many as symbols"),
        (
            lambda: draw(TOLD, context=CONTEXT, inputs=INPUTS),
            "inputs: expected one for each of the 3 contexts, got 2",
        ),
        (lambda: sample_words(CHAIN, 3, 3), "family: expected a family with an END, got Markov; give it one, such as"),
    ],
)
def test_bad_input_is_refused(call: Callable[[], object], says: str) -> None:
    with pytest.raises(InputError, match=f"^{says}"):
        call()
