"""Contexts and inputs: laws by hand, trees with a root for every side, and what does not go together."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import invariants as inv
import numpy as np
import pyro
import pytest
import torch
from families import randomise
from torch import Tensor

import pgm_rnn
from pgm_rnn import PrefixTree, Sequences, fit, fused, models, score, stepwise
from pgm_rnn.checks import InputError
from pgm_rnn.family import Family
from pgm_rnn.models import Markov, Recurrent, Tabular

K, H, T, D, N = 3, 4, 4, 2, 5
WORDS = torch.tensor(list(itertools.product(range(K), repeat=T)))
GENERATOR = torch.Generator().manual_seed(0)
CONTEXT = torch.randn(N, D, generator=GENERATOR, dtype=torch.double)
INPUTS = torch.randn(N, T, D, generator=GENERATOR, dtype=torch.double)
CONTEXT_LABELS = torch.tensor([0, 1, 1, 0, 1])
INPUT_LABELS = torch.tensor([[0, 1, 1, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1], [1, 1, 0, 0]])

NETWORKS: dict[str, tuple[dict[str, Any], dict[str, Tensor]]] = {
    "context at every step": ({"context_dim": D}, {"context": CONTEXT}),
    "context as h_0": ({"context_dim": D, "context_as": "initial"}, {"context": CONTEXT}),
    "context as both": ({"context_dim": D, "context_as": "both"}, {"context": CONTEXT}),
    "labels": ({"context_dim": D, "context_as": "both"}, {"context": CONTEXT_LABELS}),
    "inputs": ({"input_dim": D}, {"inputs": INPUTS}),
    "input labels": ({"input_dim": D}, {"inputs": INPUT_LABELS}),
    "inputs without feedback": ({"input_dim": D, "feedback": "none"}, {"inputs": INPUTS}),
    "symbol alone, and inputs": ({"input_dim": D, "recurrence": "output"}, {"inputs": INPUTS}),
    "vector, and inputs": ({"input_dim": D, "recurrence": "output", "feedback": "vector"}, {"inputs": INPUTS}),
    "all, and a clock": ({"context_dim": D, "input_dim": D, "clock": 3}, {"context": CONTEXT, "inputs": INPUTS}),
    "gru": ({"context_dim": D, "cell": "gru", "context_as": "both"}, {"context": CONTEXT}),
    "lstm": ({"context_dim": D, "input_dim": D, "cell": "lstm"}, {"context": CONTEXT, "inputs": INPUTS}),
}


ROWS: dict[str, tuple[Callable[..., Family], dict[str, Tensor]]] = {
    "table, labels": (partial(Tabular, K, T, context_dim=D), {"context": CONTEXT_LABELS}),
    "chain, labels": (partial(Markov, K, 1, context_dim=D), {"context": CONTEXT_LABELS}),
    "table, inputs": (partial(Tabular, K, T, input_dim=D), {"inputs": INPUT_LABELS}),
    "chain, inputs": (partial(Markov, K, 1, input_dim=D), {"inputs": INPUT_LABELS}),
    "chain, both": (
        partial(Markov, K, 2, context_dim=D, input_dim=D),
        {"context": CONTEXT_LABELS, "inputs": INPUT_LABELS},
    ),
}
SIDES = {name: sides for name, (_, sides) in {**NETWORKS, **ROWS}.items()}


def network(name: str) -> Recurrent:
    model = Recurrent(K, H, **NETWORKS[name][0]).double()
    randomise(model)
    return model


def family(name: str, replicates: int | None = None) -> Family:
    """A network or rows, with its sides in ``SIDES``."""
    build = ROWS[name][0] if name in ROWS else partial(Recurrent, K, H, **NETWORKS[name][0])
    model = build(replicates=replicates).double()
    randomise(model)
    return model


def by_hand(model: Recurrent, word: list[int], context: np.ndarray | None, inputs: np.ndarray | None) -> float:
    """The lecture's formulas for the tanh cell, with everything that may be added to ``a_t``."""
    p = {name: parameter.detach().numpy() for name, parameter in model.named_parameters()}
    h, o, total = np.zeros(H), np.zeros(K), 0.0
    if "R_0" in p:
        h = np.tanh(context @ p["R_0"])
    for t, y in enumerate(word):
        a = p["b"].copy()
        if "R" in p:
            a += context @ p["R"]
        x = [] if inputs is None else list(inputs[t])
        if model.clock:
            x += [float(t % model.clock == n) for n in range(model.clock)]
        if x:
            a += p["X"] @ np.array(x)
        if model.recurrence == "hidden":
            a += p["W"] @ h
        elif model.feedback == "vector" and t:
            a += p["W"] @ o
        if t and "U" in p:
            a += p["U"][:, word[t - 1]]
        h = np.tanh(a)
        o = p["c"] + p["V"] @ h
        total += o[y] - np.log(np.exp(o).sum())
    return float(total)


def vectors(values: Tensor | None) -> Tensor | None:
    return values if values is None or values.dtype.is_floating_point else torch.eye(D, dtype=torch.double)[values]


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in ("gru", "lstm")])
def test_networks_by_hand(name: str) -> None:
    model, sides = network(name), NETWORKS[name][1]
    law = model(T, **sides)
    assert law.batch_shape == (N,)
    got = law.log_prob(WORDS.unsqueeze(1)).detach()  # (k^T, N)
    context, inputs = (vectors(sides.get(part)) for part in ("context", "inputs"))
    for n in range(N):
        own = [None if part is None else part[n].numpy() for part in (context, inputs)]
        expected = torch.tensor([by_hand(model, word, *own) for word in WORDS.tolist()], dtype=torch.double)
        torch.testing.assert_close(got[:, n], expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", SIDES)
def test_every_side_s_words_sum_to_one_and_follow_the_contract(name: str) -> None:
    model, sides = family(name, replicates=2), SIDES[name]
    law = model(T, **sides)
    assert law.batch_shape == (2, N)
    log_p = law.log_prob(WORDS[:, None, None])
    torch.testing.assert_close(log_p.logsumexp(0).exp(), torch.ones(2, N, dtype=torch.double))
    for word in WORDS[::17]:
        total, state = torch.zeros(2, N, dtype=torch.double), law.initial_state((2, N))
        for y in word:
            total = total + law.next_logits(state).log_softmax(-1)[..., y]
            state = law.update(state, y.reshape(1, 1))
        torch.testing.assert_close(law.log_prob(word), total)
    drawn = law.sample((3,), generator=torch.Generator().manual_seed(1))
    assert drawn.shape == (3, 2, N, T)
    for r in range(2):
        torch.testing.assert_close(model.replicate(r)(T, **sides).log_prob(WORDS[5]), law.log_prob(WORDS[5])[r])


def test_a_context_is_a_bias_shifted_by_hand() -> None:
    """x^T R acts on the hidden units as b does."""
    model = network("context at every step")
    for x in CONTEXT:
        shifted = Recurrent(K, H).double()
        weights = {name: parameter for name, parameter in model.state_dict().items() if name != "R"}
        shifted.load_state_dict({**weights, "b": model.b.detach() + x @ model.R.detach()})
        informed = model(T, context=x.unsqueeze(0)).log_prob(WORDS)
        torch.testing.assert_close(informed, shifted(T).log_prob(WORDS), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("replicates", [None, 2])
def test_rows_of_every_label(name: str, replicates: int | None) -> None:
    """Word by word, each symbol has the probability that the plain family of its step's labels gives it."""
    model, sides = family(name, replicates), SIDES[name]
    plain = {**model.configuration(), "context_dim": None, "input_dim": None}
    stored = model.parameter_count(T).stored
    got = model(T, **sides).log_prob(WORDS[:, None] if replicates is None else WORDS[:, None, None])
    no_label = torch.zeros(N, T, dtype=torch.long)
    context, inputs = (
        sides.get(part, no_label[:, 0] if part == "context" else no_label) for part in ("context", "inputs")
    )
    label = context[:, None] * (model.input_dim or 1) + inputs  # (N, T)
    steps = []
    for own in range((model.context_dim or 1) * (model.input_dim or 1)):
        alone = type(model)(**plain).double()
        rows = alone.logits.shape[-2]
        alone.logits.data.copy_(model.logits.detach()[..., own * rows : (own + 1) * rows, :])
        heads = [alone(t).log_prob(WORDS[:, :t]) for t in range(1, T + 1)]  # (words,) or (R, words)
        steps.append(torch.stack([heads[0], *(b - a for a, b in itertools.pairwise(heads))], -1))
        assert alone.parameter_count(T).stored * model.num_labels == stored
    table = torch.stack(steps, -1)  # ([R,] words, T, labels)
    for n in range(N):
        expected = table.gather(-1, label[n].expand(*table.shape[:-2], T).unsqueeze(-1)).squeeze(-1).sum(-1)
        torch.testing.assert_close(got[..., n], expected.T if replicates else expected)
    assert stored * (replicates or 1) == model.logits.numel()


def data(name: str, seed: int, count: int = 9) -> Sequences:
    """Words whose sides are picked among the N, so that some words share theirs."""
    generator = torch.Generator().manual_seed(seed)
    pick = torch.randint(N, (count,), generator=generator)
    words = torch.randint(K, (count, T), generator=generator)
    sides = {key: part[pick] for key, part in SIDES[name].items()}
    return Sequences(words, K, **sides)


@pytest.mark.parametrize("name", SIDES)
@pytest.mark.parametrize("layout", ["union", "forest", "batch"])
@pytest.mark.parametrize("replicates", [None, 2])
def test_trees_agree_with_words_one_by_one(name: str, layout: str, replicates: int | None) -> None:
    model = family(name, replicates)
    sets = [data(name, seed, 9 - seed) for seed in range(replicates or 1)]
    tree = PrefixTree.from_sequences(sets if replicates else sets[0], layout=layout)
    value = tree.expected_log_prob(tree.law(model))
    alone = [model.replicate(r) for r in range(2)] if replicates else [model]
    means = [m(T, **s.sides.given).log_prob(s.symbols).mean() for m, s in zip(alone, sets, strict=True)]
    torch.testing.assert_close(value, torch.stack(means) if replicates else means[0])
    got = torch.autograd.grad(value.sum(), list(model.parameters()))
    for r, (m, mean) in enumerate(zip(alone, means, strict=True)):
        for own, together in zip(torch.autograd.grad(mean, list(m.parameters())), got, strict=True):
            torch.testing.assert_close(own, together[r] if replicates else together)


def test_words_with_one_side_share_a_root() -> None:
    tree = PrefixTree.from_sequences(data("labels", 0), layout="union")
    assert tree.sides.context is not None
    assert tree.sides.context.tolist() == [0, 1]
    assert tree.levels[0].weights.shape == (2, K)


@pytest.mark.parametrize("name", ["labels", "inputs", "all, and a clock", "table, inputs", "chain, both"])
def test_blocks_of_roots_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tree = family(name), PrefixTree.from_sequences(data(name, 0, 40))
    whole = tree.expected_log_probs(tree.law(model))
    monkeypatch.setattr("pgm_rnn.tree_layout.MAX_CELLS", 3)
    torch.testing.assert_close(tree.expected_log_probs(tree.law(model)), whole)


@pytest.mark.parametrize("name", SIDES)
def test_programs_agree(name: str) -> None:
    model, words = family(name), data(name, 0)
    expected = model(T, **words.sides.given).log_prob(words.symbols).sum()
    for program in (stepwise, fused):
        trace = pyro.poutine.trace(program).get_trace(model, words)
        torch.testing.assert_close(trace.log_prob_sum(), expected)
    drawn = stepwise(lambda duration: model(duration, **words.sides.given), duration=T)
    assert drawn.shape == (len(words), T)


@pytest.mark.parametrize("pseudocount", [0.0, 0.5])
@pytest.mark.parametrize("name", ROWS)
def test_rows_are_counted_under_their_labels(name: str, pseudocount: float) -> None:
    """Shares of the words themselves, by the labels of each step and what the family sees of the past."""
    words, model = data(name, 3, 200), family(name)
    model = fit(type(model)(**{**model.configuration(), "pseudocount": pseudocount}), words, dtype=torch.double).model
    seen = model.order if isinstance(model, Markov) else T
    counts: dict[Any, Counter[int]] = defaultdict(Counter)
    given = [[part[n].tolist() for part in words.sides.given.values()] for n in range(len(words))]

    def key(n: int, t: int) -> Any:
        past = words.symbols[n, max(0, t - seen) : t].tolist() if seen else []
        return tuple(past), tuple(x[t] if isinstance(x, list) else x for x in given[n])

    for n, t in itertools.product(range(len(words)), range(T)):
        counts[key(n, t)][int(words.symbols[n, t])] += 1
    got = model(T, **words.sides.given).log_prob(words.symbols)
    for n in range(len(words)):
        own = [(counts[key(n, t)], int(words.symbols[n, t])) for t in range(T)]
        shares = [(count[y] + pseudocount) / (count.total() + K * pseudocount) for count, y in own]
        assert float(got[n].detach()) == pytest.approx(float(np.log(shares).sum()), abs=1e-12)


def test_a_fit_finds_what_depends_on_the_context() -> None:
    """Label 0 says 0 1 0 1 ..., label 1 says its opposite: half of the entropy is gone once the label is known."""
    words = torch.tensor([[0, 1, 0, 1], [1, 0, 1, 0]]).repeat(20, 1)
    told = Sequences(words, 2, context=torch.tensor([0, 1] * 20))
    for model in (Recurrent(2, 3, context_dim=2), Tabular(2, 4, 0.0, context_dim=2), Markov(2, 1, 0.0, context_dim=2)):
        fitted = fit(model, PrefixTree.from_sequences(told), restarts=1, max_steps=300)
        assert float(fitted.losses[-1]) < 1e-2
        assert float(score(fitted.model, told).cross_entropy) == pytest.approx(float(fitted.losses[-1]), abs=1e-6)
        ignorant = fit(type(model)(**{**model.configuration(), "context_dim": None}), Sequences(words, 2)).model
        assert float(score(ignorant, Sequences(words, 2)).cross_entropy) > 0.69


@pytest.mark.parametrize("family", [Recurrent(K, H, context_dim=2), Markov(K, None, None, context_dim=2)])
def test_choices_are_made_on_words_with_their_own_contexts(family: Family) -> None:
    """Data sets with contexts of their own give each what it gives alone."""
    sets = [data("labels", seed, 30) for seed in range(2)]
    together = fit(family, sets, restarts=1, max_steps=30).model
    for r in range(2):
        alone = fit(family, sets[r], restarts=1, max_steps=30).model
        one, other = (
            m(T, context=torch.tensor([0, 1])).log_prob(WORDS[:, None]) for m in (together.replicate(r), alone)
        )
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


def test_files_keep_contexts_and_inputs(tmp_path: Any) -> None:
    model, words = network("all, and a clock"), data("all, and a clock", 0)
    pgm_rnn.save(model, tmp_path / "m.safetensors")
    loaded = pgm_rnn.load(tmp_path / "m.safetensors")
    expected = model(T, **words.sides.given).log_prob(words.symbols)
    torch.testing.assert_close(loaded(T, **words.sides.given).log_prob(words.symbols), expected)
    for name in ("labels", "input labels", "inputs"):
        data(name, 1).write(tmp_path / "words.npz")
        back = Sequences.read(tmp_path / "words.npz")
        for part, own in zip(back.sides, data(name, 1).sides, strict=True):
            assert (part is None) == (own is None)
            assert part is None or (part.dtype == own.dtype and torch.equal(part, own))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: Recurrent(K, H)(T, context=CONTEXT), "context: expected None, because Recurrent takes no context"),
        (lambda: Recurrent(K, H, context_dim=2)(T), "context: expected one for each sequence, of dimension 2"),
        (lambda: Recurrent(K, H, context_dim=3)(T, context=CONTEXT), "context: expected vectors of 3 numbers"),
        (lambda: Recurrent(K, H, context_dim=2)(T, context=CONTEXT_LABELS + 1), r"context: expected labels in 0\.\.1"),
        (lambda: Recurrent(K, H, context_dim=2)(T, context=CONTEXT * torch.nan), "context: expected finite numbers"),
        (lambda: Recurrent(K, H, input_dim=2)(T + 1, inputs=INPUTS), "inputs: expected 5 steps, as many as symbols"),
        (lambda: Recurrent(K, H, input_dim=2)(T, context=CONTEXT), "context: expected None"),
        (
            lambda: Recurrent(K, H, context_dim=2)(T, context=torch.tensor(1)),
            "context: expected labels of shape",
        ),
        (
            lambda: Recurrent(K, H, context_dim=2)(T, context=CONTEXT[:0]),
            "context: expected vectors of shape",
        ),
        (
            lambda: Recurrent(K, H, context_dim=2)(T, context=CONTEXT[None]),
            "context: expected vectors of shape",
        ),
        (lambda: Recurrent(K, H, input_dim=2)(T, inputs=INPUT_LABELS[0]), "inputs: expected labels of shape"),
        (
            lambda: Recurrent(K, H, context_dim=1)(T, context=CONTEXT_LABELS * 0),
            "context: expected vectors of 1 number",
        ),
        (lambda: Tabular(K, T, context_dim=2)(T, context=CONTEXT), "context: expected integer labels in 0"),
        (lambda: Markov(K, 1)(T, inputs=INPUTS), "inputs: expected None, because Markov takes no inputs"),
        (lambda: Markov(K, 1, input_dim=2)(T, inputs=INPUTS), r"inputs: expected integer labels in 0\.\.1"),
        (lambda: Tabular(K, T, input_dim=0), "input_dim: expected an integer of at least 1, got 0"),
        (lambda: Tabular(K, T, context_dim=0), "context_dim: expected an integer of at least 1, got 0"),
        (lambda: Tabular(4, 8, context_dim=10**9), "duration: expected at most"),
        (
            lambda: Recurrent(K, H, feedback="none"),
            "feedback: expected 'symbol' or 'vector', or recurrence='hidden' with an input_dim",
        ),
        (lambda: Recurrent(K, H, context_dim=2, context_as="h0"), "context_as: expected one of both, initial, input"),
        (
            lambda: Recurrent(K, H, context_dim=2, context_as="both", recurrence="output"),
            "context_as: expected 'input' with recurrence='output'",
        ),
        (lambda: fit(Recurrent(K, H), data("labels", 0)), "context: expected None, because Recurrent takes no context"),
        (
            lambda: fit(Recurrent(K, H, context_dim=2), Sequences(WORDS, K)),
            "context: expected one for each sequence, of dimension 2",
        ),
        (
            lambda: fit(Recurrent(K, H, context_dim=2), data("labels", 0), mode="output-vector"),
            "data: expected words without context and inputs with mode 'output-vector', got context",
        ),
        (
            lambda: fit(Recurrent(K, H, context_dim=2), data("labels", 0), mode="free-running"),
            "data: expected words without context and inputs",
        ),
        (
            lambda: PrefixTree.from_sequences([data("labels", 0), data("inputs", 0)]),
            "sequences: expected contexts and inputs of one kind in every data set",
        ),
        (
            lambda: stepwise(lambda n: Recurrent(K, H, context_dim=2)(n, context=CONTEXT), duration=3, num_sequences=2),
            "num_sequences: expected None or 5",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(call: Any, says: str) -> None:
    with pytest.raises(InputError, match=f"^{says}"):
        call()


def test_models_may_be_compared_on_words_with_contexts() -> None:
    words = data("labels", 0, 40)
    table = pgm_rnn.compare_models(
        {"a": models.Recurrent(K, H, context_dim=2), "b": Tabular(K, T, context_dim=2)}, words
    )
    assert set(table.index) == {"a", "b"}


@pytest.mark.parametrize("name", ["labels", "inputs without feedback", "lstm"])
def test_samples_come_from_every_side_s_own_law(name: str) -> None:
    law = network(name)(T, **NETWORKS[name][1])
    words = law.sample((3000,), generator=torch.Generator().manual_seed(2))  # (3000, N, T)
    probabilities = law.log_prob(WORDS[:, None]).detach().exp()
    for n in range(N):
        assert inv.chi_square_p(inv.word_counts(words[:, n], K), probabilities[:, n]) > 1e-4


@pytest.mark.parametrize("name", ["labels", "all, and a clock", "context as h_0"])
def test_every_side_s_word_goes_on_by_its_own_law(name: str) -> None:
    law = network(name)(T, **NETWORKS[name][1])
    prefixes = torch.tensor([[0, 1], [2, 2], [1, 0], [0, 0], [1, 2]])
    rest = law.given(prefixes)
    assert (rest.batch_shape, rest.duration) == ((N,), T - 2)
    ends = torch.tensor(list(itertools.product(range(K), repeat=T - 2)))
    for n in range(N):
        whole = torch.cat([prefixes[n].expand(len(ends), -1), ends], -1)
        joint = law.log_prob(whole[:, None])[:, n]
        torch.testing.assert_close(rest.log_prob(ends[:, None])[:, n], joint - joint.logsumexp(0))
