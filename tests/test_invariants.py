"""The invariants of every family, and every family's words against a literal program."""

from __future__ import annotations

import itertools
from pathlib import Path

import invariants as inv
import oracles
import pytest
import torch
from families import (
    CASES,
    ENDING_CASES,
    FORBIDDING,
    GRAPHS,
    LONG,
    MODEL_ARGUMENTS,
    PROCESS_ARGUMENTS,
    Case,
    model_case,
)

import pgm_rnn
from pgm_rnn.checks import InputError
from pgm_rnn.models import ENDINGS, MODELS
from pgm_rnn.prefix_tree import PrefixTree
from pgm_rnn.processes import PROCESSES, SOURCES

every = pytest.mark.parametrize("case", CASES, ids=str)
longer = pytest.mark.parametrize("case", LONG, ids=str)
models = pytest.mark.parametrize("case", [case for case in CASES if not case.is_process], ids=str)
replicated = pytest.mark.parametrize("case", [case for case in CASES if case.arguments.get("replicates")], ids=str)
stationary = pytest.mark.parametrize("case", [case for case in CASES if case.is_stationary], ids=str)


def test_the_list_has_every_family() -> None:
    assert set(PROCESS_ARGUMENTS) == set(SOURCES)
    assert set(MODEL_ARGUMENTS) == set(MODELS)
    assert {type(case.build()) for case in ENDING_CASES} == set(ENDINGS.values())
    assert {(case.ending, case.name) for case in ENDING_CASES} >= set(itertools.product(("end-symbol", "halt"), MODELS))


def test_the_list_has_every_setting() -> None:
    families = [(case, case.build()) for case in CASES]
    assert {family.alphabet_size for _, family in families} >= {2, 3, 5}
    for is_process in (False, True):
        assert {case.duration for case, _ in families if case.is_process == is_process} == {1, 2, 6}
    assert {case.dtype for case, _ in families if not case.is_process} == {torch.float32, torch.float64}
    assert {family.replicates for case, family in families if not case.is_process} == {None, 1, 3}


@every
def test_probabilities_sum_to_one(case: Case) -> None:
    inv.check_sums_to_one(case.build(), case.duration, case.tolerance)


@every
def test_log_prob_is_the_chain_rule(case: Case) -> None:
    inv.check_chain_rule(case.build(), case.duration, case.tolerance)


@every
def test_programs_agree(case: Case) -> None:
    inv.check_programs_agree(case.build(), case.duration, case.tolerance)


@longer
def test_last_symbol_sums_out(case: Case) -> None:
    inv.check_last_symbol_sums_out(case.build(), case.duration, case.tolerance)


@pytest.mark.parametrize("case", [case for case in LONG if case.is_stationary], ids=str)
def test_first_symbol_of_a_process_sums_out(case: Case) -> None:
    inv.check_first_symbol_sums_out(case.build(), case.duration, case.tolerance)


@pytest.mark.parametrize(
    "case", [case for case in LONG if case.is_process and not case.is_stationary and case.duration == 6], ids=str
)
def test_first_symbol_of_a_time_varying_source_does_not(case: Case) -> None:
    with pytest.raises(AssertionError):
        inv.check_first_symbol_sums_out(case.build(), case.duration, case.tolerance)


@every
def test_trees_agree(case: Case) -> None:
    inv.check_trees_agree(case.build(), case.duration, case.tolerance)


@every
def test_shapes(case: Case) -> None:
    inv.check_shapes(case.build(), case.duration, case.tolerance)


@replicated
def test_replicates_stand_alone(case: Case) -> None:
    inv.check_replicates_stand_alone(case.build(), case.duration, case.tolerance)


@every
def test_sample_frequencies(case: Case) -> None:
    inv.check_sample_frequencies(case.build(), case.duration)


@pytest.mark.parametrize("case", CASES + FORBIDDING, ids=str)
def test_never_nan(case: Case) -> None:
    inv.check_never_nan(case.build(), case.duration)


@pytest.mark.parametrize("case", FORBIDDING, ids=str)
def test_forbidden_words_stay_consistent(case: Case) -> None:
    family = case.build()
    law = family(case.duration)
    words = oracles.all_words(law.alphabet_size, case.duration)
    assert 0 < int(torch.isneginf(law.log_prob(words)).sum()) < words.shape[0] * (family.replicates or 1)
    inv.check_sums_to_one(family, case.duration, case.tolerance)
    inv.check_chain_rule(family, case.duration, case.tolerance)
    inv.check_programs_agree(family, case.duration, case.tolerance)
    inv.check_trees_agree(family, case.duration, case.tolerance)
    inv.check_sample_frequencies(family, case.duration)


@pytest.mark.parametrize("case", [c for c in LONG if not c.is_process and c.duration > (c.order or 0)], ids=str)
def test_gradient_reaches_parameters(case: Case) -> None:
    family = case.build()
    inv.check_gradient_reaches_parameters(family, case.duration, case.idle(family))


@pytest.mark.parametrize("case", [case for case in ENDING_CASES if case.duration > 1], ids=str)
def test_end_absorbs(case: Case) -> None:
    inv.check_end_absorbs(case.build(), case.duration)


@every
def test_tabulate_keeps_probabilities(case: Case) -> None:
    inv.check_tabulate(case.build(), case.duration, case.tolerance)


@every
def test_storage_keeps_probabilities(case: Case, tmp_path: Path) -> None:
    inv.check_storage(case.build(), case.duration, tmp_path, case.tolerance)


@pytest.mark.parametrize("case", GRAPHS, ids=str)
def test_graph(case: Case) -> None:
    inv.check_graph(case.build(), case.order)


@longer
def test_bad_input(case: Case) -> None:
    inv.check_bad_input(case.build(), case.duration)


@pytest.mark.parametrize("name", MODEL_ARGUMENTS)
@pytest.mark.parametrize(
    ("argument", "value"),
    [("alphabet_size", 1), ("alphabet_size", 2.0), ("replicates", 0), ("replicates", "two"), ("alphabet_size", None)],
)
def test_bad_constructor_arguments(name: str, argument: str, value: object) -> None:
    arguments = model_case(name, MODEL_ARGUMENTS[name][0], 2, 2, 1).arguments
    with pytest.raises(InputError, match=f"^{argument}: expected an integer"):
        MODELS[name](**{**arguments, argument: value})


def test_too_large_is_refused_before_allocating() -> None:
    model = pgm_rnn.models.Recurrent(4, 2)
    refusals = [
        lambda: pgm_rnn.models.Tabular(4, 20),
        lambda: pgm_rnn.models.Markov(4, 20),
        lambda: pgm_rnn.tabulate(model(20)),
        lambda: model(20).enumerate_support(),
        lambda: PrefixTree.from_law(model(20)),
        lambda: pgm_rnn.score(model, pgm_rnn.processes.random_markov(4, 2), 20),
    ]
    for refused in refusals:
        with pytest.raises(InputError, match=r"expected at most .*, got .*; "):
            refused()


# Literal programs and enumeration.


@stationary
def test_process_against_matrix_products(case: Case) -> None:
    process = case.build()
    words = oracles.all_words(process.alphabet_size, case.duration)[:300]
    exact = [oracles.matrix_product_probability(process.joint, process.initial, word) for word in words.tolist()]
    inv.assert_close(
        process(case.duration).log_prob(words).exp(), torch.tensor(exact, dtype=torch.double), case.tolerance
    )


@pytest.mark.parametrize("name", ["mess3", "even", "nemo"])
def test_process_against_discrete_hmm(name: str) -> None:
    process = PROCESSES[name]()
    words = process(6).sample((20,), generator=torch.Generator().manual_seed(0))
    peer = oracles.hmm_law(process.joint, process.initial, 6)
    inv.assert_close(process(6).log_prob(words), peer.log_prob(words.double()), 1e-9)


@pytest.mark.parametrize("hidden_dim", [1, 4])
def test_recurrent_against_its_program(hidden_dim: int) -> None:
    model = model_case("recurrent", {"hidden_dim": hidden_dim}, 3, 5, None).build()
    words = torch.randint(3, (6, 5), generator=torch.Generator().manual_seed(0))
    literal = oracles.program_log_prob(oracles.tanh_program, words, *model.parameters())
    inv.assert_close(model(5).log_prob(words).sum(), literal, 1e-10)


@pytest.mark.parametrize(("name", "order"), [("tabular", 3), ("markov", 0), ("markov", 1), ("markov", 2)])
def test_rows_against_their_program(name: str, order: int) -> None:
    model = model_case(name, {"order": order} if name == "markov" else {}, 3, 4, None).build()
    contexts = [c for length in range(order + 1) for c in itertools.product(range(3), repeat=length)]
    rows = dict(zip(contexts, model.get_parameter("logits"), strict=True))
    words = torch.randint(3, (6, 4), generator=torch.Generator().manual_seed(0))
    literal = oracles.program_log_prob(oracles.rows_program, words, rows, order)
    inv.assert_close(model(4).log_prob(words).sum(), literal, 1e-10)
