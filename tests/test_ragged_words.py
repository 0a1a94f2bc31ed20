"""Words of different lengths: scored as far as they go, with or without an end, and nobody looks at the padding."""

from __future__ import annotations

import pyro
import pytest
import torch
from families import randomise
from invariants import assert_close
from torch import Tensor

from pgm_rnn import InputError, PrefixTree, Sequences, compare_models, fit, fused, processes, score, stepwise
from pgm_rnn.experiment.ladder import compare_ladder
from pgm_rnn.family import Family
from pgm_rnn.models import BernoulliHalt, EndSymbol, Markov, PredictedLength, Recurrent, Tabular
from pgm_rnn.sampling import sample_words

T = 4
LENGTHS = torch.tensor([1, 3, 4, 2, 2, 4, 1])
LAYOUTS = ("union", "forest", "batch")


def families(replicates: int | None = None) -> dict[str, Family]:
    R = {"replicates": replicates}
    made = {
        "table": Tabular(2, T, **R),
        "chain": Markov(2, 1, **R),
        "network": Recurrent(2, 3, **R),
        "lstm": Recurrent(2, 2, cell="lstm", **R),
        "end symbol": EndSymbol(Recurrent(3, 3, **R)),
        "halt": BernoulliHalt(Markov(2, 1, **R)),
        "length": PredictedLength(Recurrent(2, 3, context_dim=T, **R), T),
    }
    for model in made.values():
        randomise(model.double())
    return made


NAMES = list(families())


def words(padding: int = 0, seed: int = 0, lengths: Tensor = LENGTHS) -> Sequences:
    """The same words whatever the padding is, which may be no symbol at all."""
    symbols = torch.randint(2, (len(lengths), T), generator=torch.Generator().manual_seed(seed))
    return Sequences(torch.where(torch.arange(T) < lengths.unsqueeze(-1), symbols, padding), 2, lengths)


def one_by_one(model: Family, data: Sequences) -> Tensor:
    """Each word alone: cut to its length, with END behind it where the model ends; ``(N,)`` or ``(R, N)``."""
    log_p = []
    for word, length in zip(data.symbols, data.word_lengths.tolist(), strict=True):
        word = word[:length]
        if model.ends:
            word = torch.cat([word, torch.tensor([2])])
        log_p.append(model(len(word)).log_prob(word))
    return torch.stack(log_p, -1).reshape(*model.lead, -1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_trees_score_words_as_far_as_they_go(name: str, layout: str) -> None:
    sets = [words(seed=0), words(seed=1, lengths=LENGTHS[:4]), words(seed=2, lengths=LENGTHS.clamp(max=2))]
    together, alone = families(3)[name], families()[name]
    for model, data in ((together, sets), (alone, sets[0])):
        read = [model.read(part) for part in sets] if isinstance(data, list) else model.read(data)
        tree = PrefixTree.from_sequences(read, layout)
        law = model(tree.duration)
        value = tree.expected_log_prob(law)
        means = [one_by_one(model, part).mean(-1) for part in sets]
        expected = torch.stack([mean[r] for r, mean in enumerate(means)]) if isinstance(data, list) else means[0]
        assert_close(value, expected, 1e-10)
        assert_close(tree.expected_log_probs(law).sum(-1), expected, 1e-10)
        wanted = torch.autograd.grad(expected.sum(), list(model.parameters()), allow_unused=True)
        got = torch.autograd.grad(value.sum(), list(model.parameters()), allow_unused=True)
        for parameter, one, other in zip(model.parameters(), got, wanted, strict=True):
            zero = torch.zeros_like(parameter)
            assert_close(zero if one is None else one, zero if other is None else other, 1e-10)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_are_the_shares_of_words_that_are_so_long(layout: str) -> None:
    tree = PrefixTree.from_sequences(words(), layout)
    longer = [float((t < LENGTHS).double().mean()) for t in range(T)]
    assert_close(torch.stack([level.weights.sum() for level in tree.levels]), torch.tensor(longer).double(), 1e-6)
    if layout != "batch":  # where equal prefixes are lanes apart
        table = fit(Tabular(2, T, 0.0), words()).model
        assert_close(tree.entropies(), -tree.expected_log_probs(table(T)), 1e-12)
    assert tree.num_nodes == len({tuple(w[: t + 1]) for w in rows(words()) for t in range(len(w))})


def rows(data: Sequences) -> list[list[int]]:
    return [[int(y) for y in line.split(",")] for line in data.to_csv().split()]


def test_levels_that_no_word_reaches() -> None:
    """A held-out part may lack the longest words."""
    short = Sequences([[0, 0, 0], [1, 0, 0]], 2, lengths=[1, 1])
    for layout in LAYOUTS:
        tree = PrefixTree.from_sequences(short, layout)
        assert (tree.duration, tree.num_nodes) == (3, 2)
        assert [float(level.weights.sum()) for level in tree.levels] == [1.0, 0.0, 0.0]
        for name in ("table", "network"):
            model = families()[name]
            assert_close(tree.expected_log_prob(model(3)), one_by_one(model, short).mean(), 1e-12)


def test_blocks_of_ragged_words_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tree = families()["network"], PrefixTree.from_sequences(words(), "union")
    whole = tree.expected_log_probs(model(T))
    monkeypatch.setattr("pgm_rnn.tree_layout.MAX_CELLS", 3)
    assert_close(tree.expected_log_probs(model(T)), whole, 1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("replicates", [None, 2])
def test_both_programs_score_them(name: str, replicates: int | None) -> None:
    model = families(replicates)[name]
    expected = one_by_one(model, words()).sum()
    for program in (stepwise, fused):
        assert_close(pyro.poutine.trace(program).get_trace(model, words()).log_prob_sum(), expected, 1e-10)
    trace = pyro.poutine.trace(stepwise).get_trace(model, words(), mediators=True)
    assert_close(trace.log_prob_sum(), expected, 1e-10)
    if replicates:
        sets = [words(seed=0), words(seed=1, lengths=LENGTHS.flip(0))]
        apart = sum(one_by_one(model, data)[r].sum() for r, data in enumerate(sets))
        for program in (stepwise, fused):
            assert_close(pyro.poutine.trace(program).get_trace(model, sets).log_prob_sum(), apart, 1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_nobody_sees_the_padding(name: str) -> None:
    """Whatever stands there, every number is the same to the last bit."""
    results = []
    for padding in (0, 1, -7, 10**6):
        data, model = words(padding), families()[name]
        trees = [PrefixTree.from_sequences(model.read(data), layout) for layout in LAYOUTS]
        numbers = [tree.expected_log_probs(model(tree.duration)) for tree in trees]
        numbers += [pyro.poutine.trace(program).get_trace(model, data).log_prob_sum() for program in (stepwise, fused)]
        result = fit(model, data, restarts=1, max_steps=10)
        numbers += [result.losses, torch.tensor(score(result.model, data).cross_entropy)]
        numbers += [parameter.detach() for parameter in result.model.parameters()]
        results.append(torch.cat([number.detach().double().flatten() for number in numbers]))
    assert all(torch.equal(results[0], other) for other in results[1:])


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_means_of_the_words(name: str) -> None:
    model = families()[name]
    found, alone = score(model, words()), -one_by_one(model, words())
    assert found.cross_entropy == pytest.approx(float(alone.mean().detach()), abs=1e-12)
    assert found.standard_error == pytest.approx(float(alone.std().detach()) / len(LENGTHS) ** 0.5, abs=1e-12)


def test_a_fit_without_an_end_is_the_likelihood_of_prefixes() -> None:
    """Its counts are those of every symbol that is there."""
    chain = fit(Markov(2, 0, pseudocount=0.0), words()).model
    symbols = torch.cat([torch.tensor(row) for row in rows(words())])
    assert float(chain.logits.detach().exp()[0, 1]) == pytest.approx(float(symbols.double().mean()), abs=1e-12)


def test_models_are_ranked_on_words_that_end() -> None:
    source = processes.brackets(longest=4)
    data = sample_words(source, 60, T, generator=torch.Generator().manual_seed(0)).words
    models = {"order 0": EndSymbol(Markov(3, 0)), "order 1": BernoulliHalt(Markov(2, 1))}
    fitted = {name: fit(model, data).model for name, model in models.items()}
    table = compare_models(fitted, data, source)
    assert list(table.index) == ["truth", "order 1", "order 0"]
    own = -one_by_one(fitted["order 1"], data).sum() / data.word_lengths.sum()
    assert float(table.nats_per_symbol["order 1"]) == pytest.approx(float(own.detach()), abs=1e-12)
    assert float(table.kl_nats_per_word["truth"]) == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(InputError, match=r"^models: expected models that all end, or none that does, got order 1"):
        compare_models({"order 1": fitted["order 1"], "none": Markov(2, 1)}, data)
    ladder = compare_ladder(data, progress=False)
    assert set(ladder.index) == {"iid", "markov", "rnn-4", "rnn-16", "table"}
    assert float(ladder.nats_per_symbol["markov"]) < float(ladder.nats_per_symbol["iid"])


@pytest.mark.parametrize("wrong", [-1, 99, torch.nan])
def test_inputs_behind_a_word_s_end_are_padding(wrong: float) -> None:
    """Whatever stands there is neither checked nor seen: the words are the same, and so is their tree."""
    labels = isinstance(wrong, int)
    inputs = torch.tensor([[0, 1, 1], [1, 0, 0]]) if labels else torch.rand(2, 3, 2, dtype=torch.double)
    spoilt = inputs.clone()
    spoilt[0, 2:], spoilt[1, 1:] = wrong, wrong
    words = [Sequences([[0, 1, 0], [1, 0, 0]], 2, lengths=[2, 1], inputs=given) for given in (inputs, spoilt)]
    assert all(word.inputs is not None for word in words)
    assert torch.equal(*(word.inputs for word in words if word.inputs is not None))
