"""Endings against what they stand for: programs by hand, sums over lengths, samples; and what is refused."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ending_models import WORDS, T, ended, every, finite_words, made, predicted
from invariants import assert_close, chi_square_p

import pgm_rnn
from pgm_rnn import InputError, PrefixTree, Sequences, fit, processes, score
from pgm_rnn.lengths import FiniteWordTable
from pgm_rnn.models import BernoulliHalt, EndSymbol, Markov, PredictedLength, Recurrent, Tabular, with_ending
from pgm_rnn.sampling import sample_words


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
