"""Where floating point and tanh let a network down: predicted from the machine alone, measured on the network."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice, pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgm_rnn.checks import InputError
from pgm_rnn.turing import (
    MACHINES,
    Layout,
    Machine,
    Net,
    compile_machine,
    find_machine,
    float_run,
    parse_machine,
    simulate,
)
from pgm_rnn.turing.code import Code
from pgm_rnn.turing.feedback import best_share, first_confusion, show
from pgm_rnn.turing.precision import PRECISIONS, Boundary, earliest_wrong, first_wrong, measure, predict, rounded
from pgm_rnn.turing.stacks import stack_run
from pgm_rnn.turing.tanh import compile_tanh, measure_one_tanh, measure_tanh, predict_tanh
from pgm_rnn.turing.wiring import STEPS
from tests.turing_machines import runs

DTYPES = {"float32": np.float32, "float64": np.float64}

PUSHER = parse_machine("alphabet: 0 1\nstart: push\nhalt: never\npush 01 -> 1 R push")
"""Pushes a 1 onto the left stack at every step."""


@pytest.mark.parametrize(("name", "held"), [("float32", 12), ("float64", 26)])
def test_ones_that_are_held_exactly(name: str, held: int) -> None:
    """The numbers of facts: 26 pushed ones in float64, 12 in float32, and the next push is the first inexact one."""
    inexact = STEPS * (1 + held + 1)  # one round to load the empty input, then a push a step
    assert measure(PUSHER, "", DTYPES[name], 40).inexact == inexact
    assert predict(PUSHER, "", PRECISIONS[name], 40).inexact == inexact
    assert rounded(Code("01", 1).number("1" * held), PRECISIONS[name]) == Code("01", 1).number("1" * held)


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("machine", MACHINES)
def test_predicted_is_measured(machine: str, name: str) -> None:
    found = find_machine(machine)
    assert predict(found, found.example, PRECISIONS[name], 150) == measure(found, found.example, DTYPES[name], 150)


def test_some_runs_hold_and_others_do_not() -> None:
    """The comparison above is not one of nothing with nothing."""
    machine = find_machine("palindrome")
    boundaries = [predict(machine, "1" * n, PRECISIONS["float32"], 500) for n in (5, 6, 7)]
    assert boundaries[0] == Boundary(None, None)
    assert boundaries[1] == Boundary(72, None)
    assert None not in boundaries[2]


@given(runs(longest=20), st.sampled_from(sorted(DTYPES)))
@settings(max_examples=60, deadline=None)
def test_predicted_is_measured_on_drawn_machines(drawn: tuple[Machine, str], name: str) -> None:
    machine, word = drawn
    bits = PRECISIONS[name]
    measured = measure(machine, word, DTYPES[name], 60)
    assert predict(machine, word, bits, 60) == measured
    earliest = earliest_wrong(machine, word, bits, 60)
    if measured.wrong is not None:
        assert earliest is not None
        assert earliest <= measured.wrong
        assert measured.inexact is not None
        assert measured.inexact < measured.wrong


@given(st.fractions(0, 1).filter(bool))
def test_rounding_is_that_of_numpy(q: Fraction) -> None:
    assert rounded(q, 53) == Fraction(float(q))
    wide = Fraction(float(q))
    assert rounded(wide, 24) == Fraction(float(np.float32(float(wide))))


def test_the_order_of_sums_does_not_matter() -> None:
    """While readings are right, each state is one rounding of the same sum, whatever the order of the units."""
    machine, word = find_machine("palindrome"), "110100110"
    layout, net = Layout(machine), compile_machine(machine)
    wrong = predict(machine, word, PRECISIONS["float32"], 500).wrong
    assert wrong is not None
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(net.c))
        shuffled = Net(net.A[np.ix_(order, order)], net.B[order], net.c[order], net.initial[order])
        states = (float_run(one, layout.inputs(word), np.float32) for one in (net, shuffled))
        for s, other in islice(zip(*states, strict=False), wrong):
            assert (s[order] == other).all()


@given(runs())
@settings(max_examples=40, deadline=None)
def test_stacks_are_those_of_the_tape(drawn: tuple[Machine, str]) -> None:
    machine, word = drawn
    after_loading = islice(stack_run(machine, word), max(len(word), 1), max(len(word), 1) + 30)
    for stacks, moment in zip(after_loading, simulate(machine, word), strict=False):
        blank = machine.blank
        assert stacks.right.symbols.rstrip(blank) == moment.right
        assert stacks.left.symbols[::-1].lstrip(blank) == moment.left


def test_exact_numbers_never_fail() -> None:
    machine = find_machine("copy")
    assert first_wrong(machine, "1101", 200, keep=lambda q: q) is None


@pytest.mark.parametrize("exponent", [4, 8, 12, 16])
@pytest.mark.parametrize("machine", [name for name in MACHINES if name != "universal"])
def test_a_gain_holds_what_is_predicted(machine: str, exponent: int) -> None:
    found = find_machine(machine)
    assert predict_tanh(found, found.example, 2.0**exponent, 60) == measure_tanh(
        found, found.example, 2.0**exponent, 60
    )


def test_a_larger_gain_holds_more() -> None:
    """About one bit more on a stack for every doubling."""
    machine = find_machine("palindrome")
    wrong = [predict_tanh(machine, "10" * 12, 2.0**exponent, 300) for exponent in (4, 8, 12, 16, 20)]
    assert None not in wrong
    assert [later - earlier for earlier, later in pairwise(wrong)] == [2 * STEPS] * 4  # four bits, two symbols


@pytest.mark.parametrize("gain", [0.5, 1.0, 2.0, 8.0, 2.0**10])
def test_one_tanh_for_every_unit_fails_at_once(gain: float) -> None:
    """Where tanh is straight it does not silence, and where it silences it is not straight."""
    for name in ("increment", "palindrome"):
        wrong = measure_one_tanh(find_machine(name), "10110", gain, 100).wrong
        assert wrong is not None
        assert wrong <= STEPS * (5 + 1) + 1


def test_a_gain_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="gain: expected a number in"):
        compile_tanh(find_machine("increment"), 0.5)


@pytest.mark.parametrize("name", MACHINES)
def test_output_alone_cannot_tell_two_moments_apart(name: str) -> None:
    machine = find_machine(name)
    run = list(islice(simulate(machine, machine.example), 300))
    found = first_confusion(machine, run)
    assert found is not None
    s, t = found.steps
    assert s < t
    assert run[s] != run[t]
    assert show(machine, run[s]) == show(machine, run[t]) == found.output
    assert (show(machine, run[s + 1]), show(machine, run[t + 1])) == found.following
    assert found.following[0] != found.following[1]


def test_the_best_function_of_the_output() -> None:
    """Beside trying every function from outputs to outputs, on a run that shows few of them."""
    machine = find_machine("increment")
    run = list(simulate(machine, "11"))
    outputs = [show(machine, moment) for moment in run]
    domain, values = sorted(set(outputs[:-1])), sorted(set(outputs))
    best = max(
        sum(dict(zip(domain, guess, strict=True))[before] == after for before, after in pairwise(outputs))
        for guess in product(values, repeat=len(domain))
    )
    assert best_share(machine, run) == best / (len(outputs) - 1)
    assert best < len(outputs) - 1


def test_a_machine_that_needs_no_memory_is_not_confused() -> None:
    machine = parse_machine("alphabet: 0 1\nstart: a\nhalt: b\na 01 -> 1 R b")
    run = list(simulate(machine, "01"))
    assert first_confusion(machine, run) is None
    assert best_share(machine, run) == 1
