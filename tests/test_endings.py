"""Endings against what they stand for: programs by hand, sums over lengths, counts, samples; and what is refused."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from families import randomise
from invariants import assert_close, chi_square_p
from torch import Tensor

import pgm_rnn
from pgm_rnn import InputError, PrefixTree, Sequences, fit, processes, score
from pgm_rnn.family import Family
from pgm_rnn.lengths import FiniteWordTable
from pgm_rnn.models import BernoulliHalt, EndSymbol, Markov, PredictedLength, Recurrent, Tabular, with_ending
from pgm_rnn.models.endings import CountedEnding
from pgm_rnn.sampling import sample_words

L, T = 4, 5
WORDS = {tau: list(itertools.product((0, 1), repeat=tau)) for tau in range(1, L + 1)}

MODELS: dict[str, Callable[..., Family]] = {
    "end-symbol, table": lambda R=None: EndSymbol(Tabular(3, T, replicates=R)),
    "end-symbol, chain": lambda R=None: EndSymbol(Markov(3, 1, replicates=R)),
    "end-symbol, network": lambda R=None: EndSymbol(Recurrent(3, 3, replicates=R)),
    "halt, table": lambda R=None: BernoulliHalt(Tabular(2, T, replicates=R)),
    "halt, chain": lambda R=None: BernoulliHalt(Markov(2, 1, replicates=R)),
    "halt, network": lambda R=None: BernoulliHalt(Recurrent(2, 3, replicates=R)),
    "halt, gru": lambda R=None: BernoulliHalt(Recurrent(2, 2, cell="gru", replicates=R)),
    "halt, lstm": lambda R=None: BernoulliHalt(Recurrent(2, 2, cell="lstm", replicates=R)),
    "length, table": lambda R=None: PredictedLength(Tabular(2, L, replicates=R, context_dim=L), L),
    "length, chain": lambda R=None: PredictedLength(Markov(2, 1, replicates=R, context_dim=L), L),
    "length, network": lambda R=None: PredictedLength(Recurrent(2, 3, replicates=R, context_dim=L), L),
    "length, lstm": lambda R=None: PredictedLength(Recurrent(2, 2, "lstm", replicates=R, context_dim=L), L),
    "remaining, table": lambda R=None: PredictedLength(Tabular(2, L, replicates=R, input_dim=L), L, remaining=True),
    "remaining, chain": lambda R=None: PredictedLength(Markov(2, 1, replicates=R, input_dim=L), L, remaining=True),
    "remaining, network": lambda R=None: PredictedLength(Recurrent(2, 3, replicates=R, input_dim=L), L, remaining=True),
    "remaining, gru": lambda R=None: PredictedLength(Recurrent(2, 2, "gru", replicates=R, input_dim=L), L, True),
}
every = pytest.mark.parametrize("name", MODELS)
predicted = pytest.mark.parametrize("name", [name for name in MODELS if name.split(",")[0] in ("length", "remaining")])
counted = pytest.mark.parametrize("name", [name for name in MODELS if name.endswith(("table", "chain"))])


def made(name: str, replicates: int | None = None) -> Family:
    model = MODELS[name](replicates).double()
    randomise(model)
    return model


def ended(words: list[tuple[int, ...]], steps: int = T) -> Tensor:
    """Words with END behind them, up to ``steps`` symbols."""
    return torch.tensor([[*word, *[2] * (steps - len(word))] for word in words])


def finite_words(seed: int = 0, count: int = 60) -> Sequences:
    """Words of one to L symbols in which a 1 is likely to be the last."""
    generator = torch.Generator().manual_seed(seed)
    symbols = torch.randint(2, (count, L), generator=generator)
    lengths = torch.where(symbols.any(-1), symbols.argmax(-1) + 1, L)
    longer = torch.rand(count, generator=generator) < 0.3
    return Sequences(symbols, 2, torch.where(longer, L, lengths))


def sigma(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def softmax(o: np.ndarray) -> np.ndarray:
    return np.exp(o - o.max()) / np.exp(o - o.max()).sum()


# What each ending stands for.


def test_a_network_that_halts_by_hand() -> None:
    model = made("halt, network")
    p = {name.removeprefix("inner."): part.detach().numpy() for name, part in model.named_parameters()}
    for word in itertools.chain(*WORDS.values()):
        h, expected = np.tanh(p["b"]), 1.0
        for t, y in enumerate(word):
            if t:
                expected *= 1 - sigma(p["v"] @ h + p["d"])
            expected *= softmax(p["c"] + p["V"] @ h)[y]
            h = np.tanh(p["b"] + p["W"] @ h + p["U"][:, y])
        expected *= sigma(p["v"] @ h + p["d"])
        got = model(T).log_prob(ended([word])).exp()
        assert float(got.detach()) == pytest.approx(expected, rel=1e-12)


def test_a_network_with_an_end_symbol_by_hand() -> None:
    model = made("end-symbol, network")
    p = {name.removeprefix("inner."): part.detach().numpy() for name, part in model.named_parameters()}
    for word in itertools.chain(*WORDS.values()):
        h, expected = np.tanh(p["b"]), 1.0
        for t, y in enumerate([*word, 2]):
            o = p["c"] + p["V"] @ h
            expected *= softmax(o[:2])[y] if t == 0 else softmax(o)[y]
            h = np.tanh(p["b"] + p["W"] @ h + p["U"][:, y])
        got = model(T).log_prob(ended([word])).exp()
        assert float(got.detach()) == pytest.approx(expected, rel=1e-12)


@predicted
def test_a_predicted_length_is_its_own_factor(name: str) -> None:
    r"""Symbol by symbol, a mixture over lengths: log P(tau) + log P(y_1 .. y_tau | tau) all the same."""
    model = made(name)
    assert isinstance(model, PredictedLength)
    prior = model.length_logits.detach().log_softmax(-1)
    for tau, words in WORDS.items():
        told = torch.tensor([tau - 1])
        if model.remaining:
            inner = model.inner(tau, inputs=torch.arange(tau - 1, -1, -1).unsqueeze(0))
        else:
            inner = model.inner(tau, context=told)
        given = inner.log_prob(torch.tensor(words).unsqueeze(1)).squeeze(1)
        assert_close(model(T).log_prob(ended(words)), prior[tau - 1] + given, 1e-10)


@every
def test_words_and_the_tail_sum_to_one(name: str) -> None:
    """However short the law is cut, and the tail is the words that have not ended."""
    model = made(name, 2)
    for steps in range(2, T + 2 if "table" not in name else T):
        table = FiniteWordTable(model(steps))
        listed = torch.stack([part.sum(-1) for part in table.words]).sum(0)
        assert_close(listed + table.cut, torch.ones(2), 1e-12)
        still_open = torch.tensor(list(itertools.product((0, 1), repeat=steps)))
        assert_close(table.cut, model(steps).log_prob(still_open).exp().sum(-1), 1e-12)
    if "length" in name or "remaining" in name:
        assert_close(FiniteWordTable(model(T)).cut, torch.zeros(2), 1e-12)


@every
def test_what_follows_a_prefix(name: str) -> None:
    law = made(name)(T)
    rest = law.given([0, 1])
    for word in ((2, 2, 2), (0, 2, 2), (1, 1, 2)):
        whole = law.log_prob(torch.tensor([0, 1, *word]))
        head = torch.logsumexp(
            law.log_prob(torch.tensor([[0, 1, *w] for w in itertools.product(range(3), repeat=3)])), 0
        )
        assert_close(rest.log_prob(torch.tensor(word)), whole - head, 1e-10)
    over = law.given([0, 2])
    assert over.log_prob(torch.tensor([2, 2, 2])).detach() == pytest.approx(0.0, abs=1e-12)
    assert over.sample((3,)).tolist() == [[2, 2, 2]] * 3
    with pytest.raises(InputError, match=r"^prefix: expected a prefix of positive probability"):
        law.given([0, 2, 1])


def test_halting_rows_are_end_symbols_otherwise_written() -> None:
    halting, symbol = made("halt, table"), EndSymbol(Tabular(3, T)).double()
    contexts = {k: [c for n in range(T) for c in itertools.product(range(k), repeat=n)] for k in (2, 3)}
    o, g = halting.inner.logits.detach(), halting.halt.detach()
    for row, context in enumerate(contexts[2]):
        logits = torch.cat([o[row].log_softmax(-1), g[row : row + 1]])  # odds of END against going on: exp g
        symbol.inner.logits.data[contexts[3].index(context)] = logits
    words = torch.cat([ended(words) for words in WORDS.values()])
    assert_close(symbol(T).log_prob(words), halting(T).log_prob(words), 1e-12)


# Samples.


@every
def test_samples_have_the_lengths_of_the_law(name: str) -> None:
    model, longest = made(name), 3
    drawn = sample_words(model, 4000, longest, generator=torch.Generator().manual_seed(3))
    table = FiniteWordTable(model(longest + 1))
    lengths = torch.bincount(drawn.words.word_lengths, minlength=longest + 1)
    lengths[longest] -= drawn.cut
    observed = torch.cat([lengths, torch.tensor([drawn.cut])])
    assert chi_square_p(observed, table.lengths.detach()) > 1e-4
    words = Counter(drawn.words.to_csv().split())
    short = torch.tensor([words[str(y)] for y in (0, 1)])
    rest = torch.tensor([4000 - int(short.sum())])
    p = table.words[1].detach()
    assert chi_square_p(torch.cat([short, rest]), torch.cat([p, 1 - p.sum(-1, keepdim=True)])) > 1e-4


# Fits.


def by_hand(
    words: list[tuple[int, ...]], order: int, beta: float, columns: int
) -> Callable[[tuple[int, ...]], list[float]]:
    """Smoothed counts of what follows each context: symbols and END together, or END against going on."""
    counts: dict[tuple[int, ...], list[float]] = {}
    for word in words:
        for t, y in enumerate([*word, 2]):
            counts.setdefault(tuple(word[max(0, t - order) : t]), [0.0] * 3)[y] += 1

    def row(context: tuple[int, ...]) -> list[float]:
        n = counts.get(context, [0.0] * 3)
        if columns == 3 or not context:
            return [(count + beta) / (sum(n) + 3 * beta) for count in n]
        halt = (n[2] + beta) / (sum(n) + 2 * beta)
        return [(1 - halt) * (count + beta) / (n[0] + n[1] + 2 * beta) for count in n[:2]] + [halt]

    return row


@pytest.mark.parametrize("beta", [0.5, 2.0])
@pytest.mark.parametrize("order", [1, L])
@pytest.mark.parametrize("ending", ["end-symbol", "halt"])
def test_rows_are_counted(ending: str, order: int, beta: float) -> None:
    k = 3 if ending == "end-symbol" else 2
    inner = Tabular(k, T, beta) if order == L else Markov(k, order, beta)
    data = finite_words()
    model = fit(EndSymbol(inner) if k == 3 else BernoulliHalt(inner), data).model
    words = [tuple(word[:n]) for word, n in zip(data.symbols.tolist(), data.word_lengths.tolist(), strict=True)]
    row = by_hand(words, order, beta, k)
    for word in itertools.chain(*WORDS.values()):
        first = row(())
        expected = first[word[0]] / (first[0] + first[1])
        for t in range(1, len(word) + 1):
            expected *= row(word[max(0, t - order) : t])[[*word, 2][t]]
        assert float(model(T).log_prob(ended([word])).detach().exp()) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("source", ["brackets(longest=4)", "bimodal-length(short=2, long=2)"])
@pytest.mark.parametrize("inner", ["table", "order 0", "order 1"])
@pytest.mark.parametrize("ending", ["end-symbol", "halt", "length"])
def test_what_is_counted_is_the_maximum(ending: str, inner: str, source: str) -> None:
    """At the estimate from a law the likelihood has no slope; in a chain of order 0 this takes the first step apart."""
    k = 3 if ending == "end-symbol" else 2
    told = {"context_dim": L} if ending == "length" else {}
    steps = L if ending == "length" else T
    rows = Tabular(k, steps, **told) if inner == "table" else Markov(k, int(inner[-1]), **told)
    model = PredictedLength(rows, L) if told else EndSymbol(rows) if k == 3 else BernoulliHalt(rows)
    law = processes.parse(source)(T)
    fitted = fit(model.double(), law).model
    loss = -PrefixTree.from_law(law).expected_log_prob(fitted(T))
    for gradient in torch.autograd.grad(loss, list(fitted.parameters())):
        assert float(gradient.nan_to_num(0.0).abs().max()) < 1e-12
    if inner == "table":
        assert score(fitted, processes.parse(source), T).divergence == pytest.approx(0.0, abs=1e-12)


@every
def test_a_fit_to_a_law_finds_its_length_law(name: str) -> None:
    source = processes.parse("uniform-length(longest=4, repeat=0.7)")
    fitted = fit(MODELS[name](), source(T), restarts=2, max_steps=400, seed=1)
    found = score(fitted.model, source, T)
    assert found.cross_entropy == pytest.approx(float(fitted.losses[-1]), abs=1e-9)
    assert found.divergence > -1e-10
    if name not in ("end-symbol, chain", "halt, chain"):  # which cannot count
        assert_close(FiniteWordTable(fitted.model(T)).lengths, source.length_law(L), 5e-2)
        assert found.divergence < 1e-2  # a halt that is certain takes a logit without bound


@predicted
def test_a_law_given_its_length_is_trained_on_a_root_for_every_length(name: str) -> None:
    model = made(name, 2)
    assert isinstance(model, PredictedLength)
    tree = PrefixTree.from_law(processes.brackets(longest=4)(T))
    told = model.told_tree(tree)
    prior = model.length_logits.detach().log_softmax(-1)
    apart = told.expected_log_prob(told.law(model.inner)) + (model.lengths(told) * prior).sum(-1)
    assert_close(tree.expected_log_prob(model(T)), apart, 1e-10)
    law = processes.brackets(longest=4).length_law(L)
    assert_close(model.lengths(told), law[1 : L + 1], 1e-12)
    words = finite_words()
    drawn = PrefixTree.from_sequences(model.read(words), "union")
    for one in (model.told_tree(drawn), PrefixTree.from_sequences(model.told(words))):
        assert_close(
            one.expected_log_prob(one.law(model.inner)),
            drawn.expected_log_prob(model(T)) - (model.lengths(one) * prior).sum(-1),
            1e-10,
        )


def test_lengths_are_counted_too() -> None:
    data = finite_words()
    result = fit(PredictedLength(Markov(2, 1, context_dim=L), L), data)
    seen = torch.bincount(data.word_lengths, minlength=L + 1)[1:]
    assert_close(result.model.length_logits.softmax(-1), (seen.double() + 0.5) / (len(data) + 2), 1e-12)
    assert float(result.losses[-1]) == pytest.approx(score(result.model, data).cross_entropy, abs=1e-12)
    padded = Sequences(torch.nn.functional.pad(data.symbols, (0, 3)), 2, data.word_lengths)  # longer, but not its words
    again = fit(PredictedLength(Tabular(2, L, context_dim=L), L), padded)
    assert float(again.losses[-1]) == pytest.approx(score(again.model, padded).cross_entropy, abs=1e-12)


def test_a_table_is_told_the_same_by_the_length_and_by_what_is_left() -> None:
    """Where t is known, each says the other; a chain does not know t, and learns another law from each."""
    words, laws = torch.cat([ended(words) for words in WORDS.values()]), {}
    for inner, remaining in itertools.product(("table", "chain"), (False, True)):
        name = f"{'remaining' if remaining else 'length'}, {inner}"
        laws[inner, remaining] = fit(MODELS[name](), finite_words()).model(T).log_prob(words)
    assert_close(laws["table", True], laws["table", False], 1e-12)
    assert float((laws["chain", True] - laws["chain", False]).detach().abs().max()) > 0.1


@every
def test_data_sets_give_together_what_each_gives_alone(name: str) -> None:
    sets = [finite_words(seed, 40) for seed in range(2)]
    how = {"restarts": 1, "max_steps": 25}
    together = fit(MODELS[name](), sets, **how)
    for r, data in enumerate(sets):
        alone, one = fit(MODELS[name](), data, **how), together.model.replicate(r)
        words = torch.cat([ended(words) for words in WORDS.values()])
        torch.testing.assert_close(one(T).log_prob(words), alone.model(T).log_prob(words), rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(together.losses[r, -1], alone.losses[-1], rtol=1e-6, atol=1e-6)
        if alone.validation_losses is not None:
            lowest = together.validation_losses[r].min(), alone.validation_losses.min()
            torch.testing.assert_close(*lowest, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("ending", [EndSymbol, BernoulliHalt])
def test_a_chain_whose_order_is_chosen_keeps_its_ending(ending: type[CountedEnding], tmp_path: Path) -> None:
    k = 3 if ending is EndSymbol else 2
    sets = [finite_words(seed, 80) for seed in range(2)]
    together = fit(ending(Markov(k, None, None)), sets).model
    for r, data in enumerate(sets):
        alone = fit(ending(Markov(k, None, None)), data).model
        assert alone.inner.max_length < Markov(k, None).max_length
        words = data.with_end().symbols
        assert_close(together.replicate(r)(T).log_prob(words), alone(T).log_prob(words), 1e-12)
        pgm_rnn.save(alone, tmp_path / "model")
        assert_close(pgm_rnn.load(tmp_path / "model")(T).log_prob(words), alone(T).log_prob(words), 0.0)


@pytest.mark.parametrize("build", [
    lambda: EndSymbol(Recurrent(3, 3, context_dim=2)),
    lambda: BernoulliHalt(Recurrent(2, 3, context_dim=2)),
    lambda: EndSymbol(Tabular(3, T, 0.0, context_dim=2)),
    lambda: BernoulliHalt(Tabular(2, T, 0.0, context_dim=2)),
])  # fmt: skip
def test_an_ending_may_depend_on_a_context(build: Callable[[], Family]) -> None:
    """Words of label 0 have one symbol, those of label 1 have three."""
    label = torch.tensor([0, 1] * 20)
    data = Sequences(torch.ones(40, 3, dtype=torch.long), 2, 1 + 2 * label, context=label)
    model = fit(build(), PrefixTree.from_sequences(build().read(data)), restarts=1, max_steps=300).model
    assert score(model, data).cross_entropy < 0.02
    for x, length in ((0, 1), (1, 3)):
        law = model(4, context=torch.tensor([x]))
        assert float(FiniteWordTable(law).lengths.detach().reshape(-1)[length]) > 0.98


# What they store.


def rank(model: Family) -> int:
    """In how many directions the probabilities of finite words move with the parameters."""
    words = torch.cat([ended(words) for words in WORDS.values()])
    still_open = torch.tensor(list(itertools.product((0, 1), repeat=T)))
    words = words if isinstance(model, PredictedLength) else torch.cat([words, still_open])
    names, values = zip(*model.named_parameters(), strict=True)

    def log_prob(*tensors: Tensor) -> Tensor:
        return torch.func.functional_call(model, dict(zip(names, tensors, strict=True)), (T,)).log_prob(words)

    columns = [part.reshape(len(words), -1) for part in torch.autograd.functional.jacobian(log_prob, values)]
    return int(torch.linalg.matrix_rank(torch.cat(columns, -1), rtol=1e-13))  # rounding is below 1e-15


SMALL: dict[str, Callable[[], Family]] = {
    "symbol alone, H=1": lambda: EndSymbol(Recurrent(3, 1, recurrence="output")),
    "symbol alone, H=2": lambda: EndSymbol(Recurrent(3, 2, recurrence="output")),
    "symbol alone, H=8": lambda: EndSymbol(Recurrent(3, 8, recurrence="output")),
    "symbol alone, halt, H=8": lambda: BernoulliHalt(Recurrent(2, 8, recurrence="output")),
    "symbol alone, halt, clock 2": lambda: BernoulliHalt(Recurrent(2, 2, clock=2, recurrence="output")),
    "symbol alone, halt, clock 3": lambda: BernoulliHalt(Recurrent(2, 2, clock=3, recurrence="output")),
    "symbol alone, clock 3": lambda: EndSymbol(Recurrent(3, 3, clock=3, recurrence="output")),
    "symbol alone, length": lambda: PredictedLength(Recurrent(2, 2, context_dim=L, recurrence="output"), L),
    "symbol alone, remaining": lambda: PredictedLength(Recurrent(2, 8, input_dim=L, recurrence="output"), L, True),
    "symbol alone, length, clock": lambda: PredictedLength(
        Recurrent(2, 8, context_dim=L, recurrence="output", clock=2), L
    ),
    "symbol alone, halt": lambda: BernoulliHalt(Recurrent(2, 2, recurrence="output")),
    "vector": lambda: EndSymbol(Recurrent(3, 2, recurrence="output", feedback="vector")),
    "vector, halt": lambda: BernoulliHalt(Recurrent(2, 2, recurrence="output", feedback="vector")),
    "order 0": lambda: EndSymbol(Markov(3, 0)),
    "order 0, halt": lambda: BernoulliHalt(Markov(2, 0)),
    "order 2": lambda: EndSymbol(Markov(3, 2)),
    "order 2, halt": lambda: BernoulliHalt(Markov(2, 2)),
    "network": lambda: EndSymbol(Recurrent(3, 2)),
    "network, halt": lambda: BernoulliHalt(Recurrent(2, 2)),
    "gru, halt": lambda: BernoulliHalt(Recurrent(2, 1, cell="gru")),
    "lstm": lambda: EndSymbol(Recurrent(3, 1, cell="lstm")),
    "table": MODELS["end-symbol, table"],
    "table, halt": MODELS["halt, table"],
    "table, length": MODELS["length, table"],
    "chain, length": MODELS["length, chain"],
    "table, remaining": MODELS["remaining, table"],
    "chain, remaining": MODELS["remaining, chain"],
    "order 2, remaining": lambda: PredictedLength(Markov(2, 2, input_dim=L), L, remaining=True),
    "network, remaining": lambda: PredictedLength(Recurrent(2, 2, input_dim=L), L, remaining=True),
}


@pytest.mark.parametrize("name", SMALL)
def test_free_parameters_are_the_directions_the_law_depends_on(name: str) -> None:
    model = SMALL[name]().double()
    randomise(model)
    count = pgm_rnn.count_parameters(model, T)
    assert count.stored == sum(parameter.numel() for parameter in model.parameters())
    assert count.free == rank(model)


def test_a_label_says_no_more_than_its_words_can_show() -> None:
    """Of H = 2 numbers that tell the length 1 of two symbols, one can be seen."""
    model = PredictedLength(Recurrent(2, 2, context_dim=L), L).double()
    randomise(model)
    assert rank(model) == pgm_rnn.count_parameters(model, T).free - 1


# What is refused.


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: EndSymbol(Markov(2, 1)), "inner: expected at least 2 symbols and END, got alphabet_size 2"),
        (lambda: EndSymbol(EndSymbol(Markov(4, 1))), "inner: expected a model without an ending of its own"),
        (lambda: EndSymbol(processes.mess3()), "inner: expected a model without an ending of its own, got Process"),
        (lambda: BernoulliHalt(processes.even()), "inner: expected a model without an ending of its own, got Process"),
        (lambda: PredictedLength(processes.grammars(), 3), "inner: expected a model without an ending of its own, got"),
        (
            lambda: PredictedLength(Tabular(2, 3, context_dim=4), 4),
            "inner: expected a table of max_length=4 steps, got duration=3",
        ),
        (lambda: BernoulliHalt(Recurrent(2, 3, input_dim=2)), "inner: expected a family without inputs"),
        (lambda: PredictedLength(Recurrent(2, 3), 4), "inner: expected a family told the length, by context_dim=4"),
        (lambda: PredictedLength(Recurrent(2, 3, context_dim=3), 4), "inner: expected a family told the length"),
        (lambda: PredictedLength(Recurrent(2, 3, context_dim=4), 4, True), "inner: expected a family told the length"),
        (lambda: PredictedLength(Recurrent(2, 3, context_dim=4), 1), "max_length: expected an integer of at least 2"),
        (
            lambda: with_ending("length", Markov, 2, 3, context_dim=4),
            "ending: expected 'end-symbol' or 'halt' for words with a context, got 'length'",
        ),
        (
            lambda: with_ending("halt", Markov, 2, 3, input_dim=4),
            "ending: expected None for words with inputs, whose number tells the length, got 'halt'",
        ),
        (lambda: with_ending("stop", Markov, 2, 3), "ending: expected one of end-symbol, halt, length, remaining"),
        (lambda: with_ending("halt", Markov, 2, 0), "max_length: expected an integer of at least 1, got 0"),
        (lambda: made("halt, chain")(3, context=torch.zeros(1, 2)), "context: expected None"),
        (lambda: fit(made("length, chain"), Sequences([[0] * 5], 2)), "sequences: expected words of at most 4 symbols"),
        (lambda: score(made("length, chain"), Sequences([[0] * 5], 2)), "sequences: expected words of at most 4 symb"),
        (lambda: fit(made("length, chain"), Sequences([[0, 1, 0]], 3)), "sequences: expected words with END behind"),
        (lambda: fit(made("halt, table"), Sequences([[0] * 5], 2)), "duration: expected at most 5, the table's own"),
        (lambda: fit(made("halt, chain"), Sequences([[0, 3]], 4)), "model: expected alphabet_size 4, as in the data"),
        (lambda: fit(made("halt, chain"), Sequences([[2, 0]], 4)), "model: expected alphabet_size 4, as in the data"),
        (lambda: fit(made("length, chain"), Sequences([[0, 3]], 4)), "sequences: expected words over 2 symbols"),
        (lambda: fit(made("length, chain"), processes.brackets()(T)), "data: expected words that end within 4 symbols"),
        (lambda: fit(made("length, chain"), processes.brackets(longest=8)(9)), "data: expected at most 5 steps"),
        (
            lambda: fit(made("length, chain"), PrefixTree.from_sequences(finite_words().with_end(), "batch")),
            "data: expected a tree in the layout 'union', got 'batch'; pass the words themselves",
        ),
        (
            lambda: fit(made("length, chain"), Sequences([[0]], 2, context=torch.tensor([1]))),
            "sequences: expected words without context and inputs",
        ),
        (
            lambda: fit(made("halt, network"), Sequences([[0]], 2, inputs=torch.tensor([[1]]))),
            "sequences: expected words without inputs",
        ),
        (
            lambda: fit(made("halt, network"), finite_words(), mode="free-running"),
            "mode: expected 'teacher-forcing' for BernoulliHalt, got 'free-running'",
        ),
        (lambda: fit(made("halt, chain"), Sequences([[2, 2]], 3)), "sequences: expected words of at least one symbol"),
        (lambda: score(made("length, chain"), Sequences([[2, 2]], 3)), "sequences: expected words of at least one sym"),
        (lambda: sample_words(Markov(2, 1), 3, 4), "family: expected a family with an END, got Markov; give it one"),
        (lambda: sample_words(made("halt, chain", 2), 3, 4), "family: expected one without replicates"),
        (lambda: sample_words(made("halt, chain"), 3, 0), "longest: expected an integer of at least 1, got 0"),
        (lambda: Sequences([[0, 1]], 2, lengths=[0]), "lengths: expected integers in 1..2, got 0..0"),
        (lambda: Sequences([[0, 1]], 2, lengths=[3]), "lengths: expected integers in 1..2, got 3..3"),
        (lambda: Sequences([[2, 2], [0, 2]], 3).until_end(), "lengths: expected integers in 1..1, got 0..1"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(call: Callable[[], object], says: str) -> None:
    with pytest.raises(InputError, match=f"^{says}"):
        call()


@pytest.mark.parametrize("name", ["end-symbol", "halt", "length"])
def test_a_hostile_configuration_builds_nothing(name: str, tmp_path: Path) -> None:
    """A file's inner family is one of the models, whatever the file says."""
    from safetensors.torch import save_file

    for inner in ({"family": "os.system", "configuration": {}}, {"family": ["x"], "configuration": {}}, 3, None):
        metadata = {
            "format": "pgm_rnn-1",
            "family": name,
            "configuration": pgm_rnn.storage.json.dumps({"inner": inner}),
        }
        save_file({"x": torch.zeros(1)}, tmp_path / "forged", metadata=metadata)
        with pytest.raises(InputError, match=r"^path: expected a model file written by save"):
            pgm_rnn.load(tmp_path / "forged")


def test_nothing_follows_end() -> None:
    with pytest.raises(InputError, match="sequences: expected words with nothing behind END"):
        fit(EndSymbol(Recurrent(3, 2)), Sequences([[0, 2, 1], [0, 1, 2]], 3))
