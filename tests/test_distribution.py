"""What the contract gives: continuations, samples, all words in order, larger batch shapes."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from families import randomise
from hypothesis import given, settings
from hypothesis import strategies as st
from invariants import assert_close, chi_square_p, word_counts
from oracles import all_words
from torch.profiler import ProfilerActivity, profile

from pgm_rnn.checks import InputError
from pgm_rnn.distribution import SequenceDistribution, draw
from pgm_rnn.family import Family
from pgm_rnn.lanes import times
from pgm_rnn.models import Markov, Recurrent, Tabular
from pgm_rnn.prefix_tree import PrefixTree
from pgm_rnn.processes import PROCESSES
from pgm_rnn.scoring import tabulate


def made(family: Family) -> Family:
    randomise(family)
    return family.double()


FAMILIES = {
    "recurrent": made(Recurrent(2, 3)),
    "replicates": made(Recurrent(2, 3, replicates=2)),
    "markov": made(Markov(3, 2)),
    "tabular": made(Tabular(2, 5, replicates=2)),
    "even": PROCESSES["even"](),
    "mess3": PROCESSES["mess3"](),
}
named = pytest.mark.parametrize("name", FAMILIES)


@named
@pytest.mark.parametrize("prefix", [[], [1], [1, 1, 0]])
def test_continuation_is_joint_over_prefix(name: str, prefix: list[int]) -> None:
    family = FAMILIES[name]
    law = family(5)
    after = law.given(prefix)
    assert after.duration == 5 - len(prefix)
    assert after.batch_shape == law.batch_shape
    rest = all_words(family.alphabet_size, after.duration)
    joint = law.log_prob(torch.cat([torch.tensor(prefix, dtype=torch.long).expand(len(rest), -1), rest], -1))
    assert_close(after.log_prob(rest), joint - joint.logsumexp(-1, keepdim=True), 1e-10)


@named
def test_one_prefix_for_each_word(name: str) -> None:
    """A batch of prefixes gives a law of that batch shape, each word after its own prefix."""
    law = FAMILIES[name](5)
    prefixes, rest = torch.tensor([[0, 1], [1, 1], [1, 0]]), torch.tensor([[1, 1, 0], [0, 1, 1], [1, 1, 1]])
    after = law.given(prefixes)
    assert after.batch_shape == (*law.batch_shape[:-1], 3)
    joint = law.log_prob(torch.cat([prefixes, rest], -1))
    assert_close(after.log_prob(rest), joint - FAMILIES[name](2).log_prob(prefixes), 1e-10)
    assert after.sample((4,)).shape == (4, *law.batch_shape[:-1], 3, 3)


@named
def test_continuing_twice_is_continuing_once(name: str) -> None:
    law, words = FAMILIES[name](5), all_words(FAMILIES[name].alphabet_size, 2)
    assert_close(law.given([1]).given([1, 0]).log_prob(words), law.given([1, 1, 0]).log_prob(words), 1e-10)


@named
def test_continuations_are_sampled_by_their_law(name: str) -> None:
    family = FAMILIES[name]
    after = family(5).given([1, 1, 0])
    words = after.sample((3000,), generator=torch.Generator().manual_seed(2))
    p = after.log_prob(all_words(family.alphabet_size, 2)).detach().exp()
    first = words if words.ndim == 2 else words[:, 0, 0]
    assert chi_square_p(word_counts(first, family.alphabet_size), p if p.ndim == 1 else p[0]) > 1e-4


def test_gradient_flows_through_a_continuation() -> None:
    family = FAMILIES["recurrent"]
    value = family(4).given([1, 0]).log_prob(torch.tensor([1, 1]))
    whole = family(4).log_prob(torch.tensor([1, 0, 1, 1])) - family(2).log_prob(torch.tensor([1, 0]))
    for one, other in zip(*(torch.autograd.grad(v, list(family.parameters())) for v in (value, whole)), strict=True):
        assert_close(one, other, 1e-10)


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        ([0, 1, 0], r"prefix: expected a prefix of positive probability, got \[0, 1, 0\]"),
        ([2], r"prefix: expected symbols in 0..1, got 2 at index \(0,\)"),
        ([0.5], "prefix: expected integer symbols, got dtype float64"),
        ([0] * 5, r"prefix: expected shape \(..., t\) with t in 0..4, got \(5,\)"),
        (1, r"prefix: expected shape \(..., t\) with t in 0..4, got \(\)"),
    ],
)
def test_bad_prefix(prefix: object, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        PROCESSES["even"]()(5).given(prefix)


@named
def test_the_generator_decides_the_sample(name: str) -> None:
    law = FAMILIES[name](5)
    draws = [law.sample((20,), generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    torch.manual_seed(3)
    first = law.sample((20,))
    torch.manual_seed(3)
    state = torch.get_rng_state()
    assert torch.equal(law.sample((20,)), first)
    assert not torch.equal(torch.get_rng_state(), state), "without a generator it is torch's own that moves on"
    before = torch.get_rng_state()
    law.sample((20,), generator=torch.Generator())
    assert torch.equal(torch.get_rng_state(), before), "with a generator torch's own stays where it was"


@given(
    weights=st.lists(st.floats(0, 1), min_size=2, max_size=5).filter(lambda p: sum(p) > 1e-3),
    seed=st.integers(0, 2**31),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
@settings(max_examples=30, deadline=None)
def test_draw_follows_the_logits_and_never_draws_the_impossible(
    weights: list[float], seed: int, dtype: torch.dtype
) -> None:
    logits = torch.tensor(weights, dtype=dtype).log()
    symbols = draw(logits.expand(2000, -1), torch.Generator().manual_seed(seed))
    p = logits.double().softmax(-1)
    assert chi_square_p(torch.bincount(symbols, minlength=len(weights)), p) > 1e-7


@pytest.mark.parametrize(("k", "T"), [(2, 1), (2, 4), (3, 3), (5, 2)])
def test_enumeration_is_lexicographic(k: int, T: int) -> None:
    law = Recurrent(k, 2)(T)
    assert torch.equal(law.enumerate_support(), all_words(k, T))
    both = Recurrent(k, 2, replicates=2)(T)
    assert torch.equal(both.enumerate_support()[:, 1, 0], all_words(k, T))
    assert both.enumerate_support(expand=False).shape == (k**T, 1, 1, T)


@named
def test_expand_repeats_the_law(name: str) -> None:
    law = FAMILIES[name](3)
    lead = law.batch_shape[:-1]
    wide = law.expand((4, *lead, 6))
    assert wide.batch_shape == (4, *lead, 6)
    words = all_words(law.alphabet_size, 3)[:6]
    assert_close(wide.log_prob(words), law.log_prob(words).expand(4, *lead, 6), 1e-12)
    assert wide.log_prob(words[0]).shape == (4, *lead, 6)
    assert wide.sample((2,)).shape == (2, 4, *lead, 6, 3)
    assert wide.given([1]).batch_shape == (4, *lead, 6)
    assert law.batch_shape == FAMILIES[name](3).batch_shape, "the law itself is as it was"
    if lead:
        with pytest.raises(RuntimeError):
            law.expand((lead[0] + 1, 6))


def test_support() -> None:
    law = FAMILIES["markov"](3)
    good, bad = torch.tensor([0, 2, 1]), torch.tensor([0, 3, 1])
    assert bool(law.support.check(good))
    assert not bool(law.support.check(bad))


@pytest.mark.parametrize("method", ["initial_state", "next_logits", "update"])
def test_the_contract_is_abstract(method: str) -> None:
    law = SequenceDistribution(2, 3)
    arguments = {"initial_state": ((1,),), "next_logits": (None,), "update": (None, torch.tensor([0]))}[method]
    with pytest.raises(NotImplementedError, match="SequenceDistribution is abstract"):
        getattr(law, method)(*arguments)
    assert law.mediator(None) is None


@pytest.mark.parametrize("words", [[[0, 1, 1]], [[0, 1, 1], [1, 0, 0]]])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_any_integer_dtype_is_the_same_word(words: list[list[int]], dtype: torch.dtype) -> None:
    law = FAMILIES["recurrent"](3)
    assert torch.equal(law.log_prob(torch.tensor(words, dtype=dtype)), law.log_prob(torch.tensor(words)))


def test_a_law_keeps_the_tensors_it_was_built_from() -> None:
    """A law holds the tensors its module had when it was built."""
    model = copy.deepcopy(FAMILIES["recurrent"])
    words = torch.tensor([[0, 1, 1]])
    law = model(3)
    before = law.log_prob(words)
    model.c = torch.nn.Parameter(model.c.detach() + torch.tensor([1.0, 0.0]))
    assert torch.equal(law.log_prob(words), before)
    assert not torch.equal(model(3).log_prob(words), before)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda law: law.log_prob("abc"), "words: expected a rectangular array"),
        (lambda law: law.log_prob(None), "words: expected a rectangular array"),
        (lambda law: law.log_prob([[0, 1, 1], [1]]), "words: expected a rectangular array"),
        (lambda law: law.log_prob(torch.zeros(5, 7, 3).long()), r"words: expected leading dimensions"),
        (lambda law: law.given(torch.zeros(5, 7, 1).long()), r"prefix: expected leading dimensions"),
        (lambda law: law.given("a"), "prefix: expected a rectangular array"),
        (lambda law: law.sample(5), "sample_shape: expected a tuple"),
        (lambda law: law.sample((-1,)), "sample_shape: expected a tuple"),
        (lambda law: law.sample((2.5,)), "sample_shape: expected a tuple"),
        (lambda law: PrefixTree.from_law(law.given([[0], [1]])), "law: expected a law with batch shape"),
        (lambda law: tabulate(law.given([[0], [1]])), "law: expected a law with batch shape"),
    ],
)
def test_bad_input_is_named(call: Callable[[SequenceDistribution], object], says: str) -> None:
    with pytest.raises(InputError, match=f"^{says}"):
        call(Recurrent(2, 3, replicates=3)(3))


def test_nothing_is_drawn_from_nan() -> None:
    with pytest.raises(InputError, match="got NaN"):
        draw(torch.tensor([[0.0, 0.0], [torch.nan, 0.0]]))


def test_a_continuation_has_no_more_words_than_its_law() -> None:
    law = PROCESSES["golden-mean"]()(25).given([1])
    assert law.support_size() <= 317_811 < 2**24
    assert PrefixTree.from_law(law).num_nodes == 317_808  # sums of Fibonacci numbers


def test_many_samples_of_replicates_copy_no_weights() -> None:
    model = Recurrent(2, 3, replicates=2)
    words = torch.randint(2, (5, 4, 2, 1, 3))
    expected = torch.stack([model.replicate(r)(3).log_prob(words[:, :, r]) for r in range(2)], 2)
    torch.testing.assert_close(model(3).log_prob(words), expected)
    state, matrix = torch.rand(1000, 2, 1, 3), torch.rand(2, 3, 64)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        product = times(state, matrix)
    assert sum(max(event.self_cpu_memory_usage, 0) for event in seen.key_averages()) < 2 * product.nbytes
