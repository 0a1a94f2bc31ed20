"""Compiled networks: what they are made of, and that they do what the machine does, step by step."""

from __future__ import annotations

import ast
import inspect
from dataclasses import fields
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings

from pgm_rnn.checks import InputError
from pgm_rnn.turing import (
    MACHINES,
    Layout,
    Machine,
    Net,
    Transition,
    compile_machine,
    exact_run,
    find_machine,
    lockstep,
    net,
    parse_machine,
)
from pgm_rnn.turing.code import Code
from pgm_rnn.turing.wiring import STEPS, wire
from tests.turing_machines import encode_tag, runs

WORDS = {
    "addition": ("0+0", "11+1", "1011+1101", "+", "1"),
    "brackets": ("", "()", "((", "())", "(()(()))"),
    "busy-beaver": ("", "1", "0110"),
    "copy": ("", "1", "01101"),
    "increment": ("", "0", "111", "_1"),
    "multiplication": ("*=", "1*1=", "111*111=", "1"),
    "palindrome": ("", "0", "0110", "01101", "1__1"),
    "universal": (encode_tag({1: (2,), 2: (1, 1, 1)}, (1, 2, 1))[0],),
}


def test_every_shipped_machine_has_its_words() -> None:
    assert set(WORDS) == set(MACHINES)


@pytest.mark.parametrize(("name", "word"), [(name, word) for name in MACHINES for word in WORDS[name]])
def test_lockstep(name: str, word: str) -> None:
    """The tape that is read off the network is the machine's at every step."""
    moments = list(islice(lockstep(find_machine(name), word), 301))
    assert moments
    for t, moment in enumerate(moments):
        assert moment.net == moment.machine, t


@pytest.mark.parametrize("name", MACHINES)
def test_lockstep_on_the_example_to_its_end(name: str) -> None:
    machine = find_machine(name)
    *_, last = (moment for moment in lockstep(machine, machine.example) if moment.net == moment.machine)
    assert last.machine.state in machine.halting


@given(runs())
@settings(max_examples=60, deadline=None)
def test_lockstep_of_drawn_machines(drawn: tuple[Machine, str]) -> None:
    for moment in islice(lockstep(*drawn), 40):
        assert moment.net == moment.machine


def test_a_network_is_nothing_but_its_weights_and_where_it_begins() -> None:
    machine = find_machine("increment")
    compiled = compile_machine(machine)
    assert [field.name for field in fields(Net)] == ["A", "B", "c", "initial"]
    assert vars(compiled).keys() == {"A", "B", "c", "initial"}
    N, K = len(wire(machine).units), len(machine.alphabet) + 1
    assert [array.shape for array in vars(compiled).values()] == [(N, N), (N, K), (N,), (N,)]
    values = [value for array in vars(compiled).values() for value in array.flat]
    assert {type(value) for value in values} == {Fraction}
    assert {value.denominator for value in values} <= {2**n for n in range(9)}  # at most 4^(2 m), m = 2 bits


@pytest.mark.parametrize("run", [net.exact_run, net.float_run])
def test_a_step_decides_nothing(run: object) -> None:
    """No branch and no comparison in the loop: a product, a sum and a clamp are all there is."""
    (loop,) = [node for node in ast.walk(ast.parse(inspect.getsource(run))) if isinstance(node, ast.For)]  # type: ignore[arg-type]
    forbidden = (ast.If, ast.IfExp, ast.Compare, ast.BoolOp, ast.Match, ast.While, ast.Try)
    assert not [node for node in ast.walk(loop) if isinstance(node, forbidden)]
    calls = [node.func for node in ast.walk(loop) if isinstance(node, ast.Call)]
    named = {call.attr for call in calls if isinstance(call, ast.Attribute)}
    assert named <= {"concatenate", "array", "reduceat", "clip", "gcd"}


@pytest.mark.parametrize("name", ["increment", "busy-beaver"])
def test_a_run_is_the_formula(name: str) -> None:
    """Beside s = min(max(A s + B u + c, 0), 1), literally, in fractions."""
    machine = find_machine(name)
    compiled, layout = compile_machine(machine), Layout(machine)
    s = compiled.initial
    inputs = list(islice(layout.inputs("101"), 60))
    for state, u in zip(exact_run(compiled, inputs), [*inputs, None], strict=True):
        assert (state == s).all()
        if u is not None:
            z = compiled.A.dot(s) + compiled.B.dot(np.array(u, dtype=object)) + compiled.c
            s = np.array([min(max(value, Fraction(0)), Fraction(1)) for value in z])


@pytest.mark.parametrize("name", MACHINES)
def test_the_size_is_what_the_formula_says(name: str) -> None:
    machine = find_machine(name)
    Q, k = len(machine.states), len(machine.alphabet)
    assert len(compile_machine(machine).c) == 2 * Q * k + 2 * Q + 2 * k + 21


def test_inputs_say_the_word_and_nothing_else() -> None:
    """Every fourth step one symbol, the last one first; only the signal to start tells where it ends."""
    layout = Layout(find_machine("increment"))
    heard = np.array(list(islice(layout.inputs("011_"), 40)))
    assert heard.sum() == 4 + 1
    assert heard[3::4][:4].tolist() == [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0, 1, 0, 1]]
    assert not heard[4 * 4 :].any()


def test_idle_layers_are_silent() -> None:
    """At each step one layer holds the computation; in the others nothing but ``no L`` and ``no R`` is not 0."""
    machine = find_machine("palindrome")
    layout = Layout(machine)
    of = {unit: "hold" for unit in layout.units if unit.startswith(("is", "hold")) or unit in "LR"}
    of |= {unit: "read" for unit in layout.units if unit.split()[0] in ("sees", "under", "some") or "read" in unit}
    of |= {unit: "decide" for unit in layout.units if unit.split()[0] in ("top", "decide") or "due" in unit.split()}
    of |= dict.fromkeys(("no L", "no R"), "silent")
    layers = ["hold", "read", "decide", "act"]
    states = exact_run(compile_machine(machine), islice(layout.inputs("0110"), 120))
    for t, s in enumerate(states):
        busy = {of.get(unit, "act") for unit, value in zip(layout.units, s, strict=True) if value}
        assert busy - {"silent"} == {layers[t % STEPS]}


def test_a_halted_machine_stays() -> None:
    machine = find_machine("increment")
    layout = Layout(machine)
    states = list(islice(exact_run(compile_machine(machine), layout.inputs("11")), 120))
    held = [layout.configuration(s) for s in states[layout.loaded("11") + STEPS * 6 :: STEPS]]
    assert len(held) > 10
    assert set(held) == {held[0]}
    assert held[0].state == "done"


def test_an_empty_stack_is_endless_blanks() -> None:
    """To the left of the input and beyond its end a machine that only walks meets blanks, and leaves them."""
    for move in "LR":
        rows = "\n".join(f"walk {symbol} -> {move} walk" for symbol in "_ab")
        machine = parse_machine(f"alphabet: _ a b\nstart: walk\nhalt: never\n{rows}")
        moments = list(islice(lockstep(machine, "ab"), 20))
        assert [moment.net for moment in moments] == [moment.machine for moment in moments]
        expected = {"R": ("ab" + "_" * 17, ""), "L": ("", "_" * 19 + "ab")}
        assert moments[-1].net[1:] == expected[move]


def test_numbers_of_stacks() -> None:
    """The number of facts: bits 1 0 1 are 0.859375; and every stack is read back."""
    code = Code("01", 1)
    assert code.number("101") == Fraction(859375, 10**6)
    sigma = lambda z: min(max(z, 0), 1)  # noqa: E731  # the formulas of the paper, as they are written there
    for word in ("1", "0", "01", "110", "0010"):
        q, top = code.number(word), int(word[0])
        assert (sigma(4 * q - 2), sigma(4 * q)) == (top, 1)
        assert 4 * q - (2 * top + 1) == code.number(word[1:])
    wide = Code("_abcde", 3)
    assert [wide.word(wide.number(word)) for word in ("", "a", "_e_", "abcde")] == ["", "a", "_e_", "abcde"]
    with pytest.raises(InputError, match="the number of a stack over 0 1"):
        code.word(Fraction(1, 2))


def test_too_large_a_machine_is_refused_before_anything_is_allocated() -> None:
    done = Transition("1", "R", "H")
    table = {(f"q{i}", symbol): done for i in range(1_000) for symbol in "01"}
    with pytest.raises(InputError, match=r"machine: expected at most 4,096 units, got 6,031; use fewer"):
        compile_machine(Machine("large", "01", "q0", ("H",), table))
