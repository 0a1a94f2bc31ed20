"""Columns about one run of a Turing machine: beside its network in exact numbers, and in another arithmetic."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np

from pgm_rnn.turing import Machine, compile_machine, lockstep
from pgm_rnn.turing.feedback import best_share, first_confusion
from pgm_rnn.turing.precision import PRECISIONS, Boundary, earliest_wrong, measure, predict, shortened
from pgm_rnn.turing.tanh import measure_one_tanh, measure_tanh, predict_tanh
from pgm_rnn.turing.wiring import STEPS

ONE_TANH = "one tanh"


def lockstep_record(machine: Machine, word: str, max_steps: int) -> dict[str, Any]:
    """The machine beside its network in exact numbers, every step compared; and what its output alone would tell.

    Example:
        >>> from pgm_rnn.turing import find_machine
        >>> record = lockstep_record(find_machine("increment"), "1011", 100)
        >>> record["units"], record["machine_steps"], record["differing_steps"], record["confused"]
        (51, 8, 0, True)
    """
    moments = list(islice(lockstep(machine, word), max_steps + 1))
    run = [moment.machine for moment in moments]
    net, found = compile_machine(machine), first_confusion(machine, run)
    row = {"word": word, "states": len(machine.states), "symbols": len(machine.alphabet), "bits": machine.bits}
    row |= {"units": len(net.c), "weights": int(np.count_nonzero(net.A)), "machine_steps": len(run) - 1}
    row |= {"halts": run[-1].state in machine.halting, "net_steps": STEPS * (len(run) - 1)}
    row |= {"differing_steps": sum(moment.net != moment.machine for moment in moments)}
    row |= {"best_share_from_output": best_share(machine, run), "confused": found is not None}
    if found is not None:
        shown = [f"{output.state}, {output.symbol}" for output in (found.output, *found.following)]
        tapes = [
            f"{moment.left}[{moment.right[:1] or machine.blank}]{moment.right[1:]}" for moment in found.configurations
        ]
        row |= {"first_moment": found.steps[0], "second_moment": found.steps[1]}
        row |= {"first_tape": tapes[0], "second_tape": tapes[1]}
        row |= dict(zip(("both_show", "first_goes_on", "second_goes_on"), shown, strict=True))
    return row


def boundary_record(machine: Machine, word: str, arithmetic: str, max_steps: int) -> dict[str, Any]:
    """Where an arithmetic lets the machine's network down: predicted without a network, then measured on it.

    Args:
        machine: its network is run with inexact units.
        word: the input.
        arithmetic: ``float32`` or ``float64``; ``tanh-10`` for two tanh units with gain 2^10 in place of each clamp; or
            ``one tanh, gain 2`` for one, of which nothing is predicted.
        max_steps: of the machine.

    Example:
        >>> from pgm_rnn.turing import find_machine
        >>> record = boundary_record(find_machine("palindrome"), "1" * 7, "float32", 100)
        >>> record["predicted_wrong"], record["measured_wrong"], record["right_steps"], record["machine_steps"]
        (57, 57, 7, 36)
    """
    stacks = list(shortened(machine, word, max_steps))
    start = max(len(word), 1)  # rounds of the network in which the word is loaded
    deepest = max(len(stack.symbols) for both in stacks for stack in both)
    row: dict[str, Any] = {"arithmetic": arithmetic, "word": word, "machine_steps": len(stacks) - 1 - start}
    row |= {"word_bits": machine.bits * len(word), "deepest_bits": machine.bits * deepest}
    predicted, measured, earliest = _boundaries(machine, word, arithmetic, max_steps)
    row |= {"predicted_inexact": predicted.inexact, "measured_inexact": measured.inexact}
    row |= {"predicted_wrong": predicted.wrong, "measured_wrong": measured.wrong, "earliest_wrong": earliest}
    for name, moment in (("predicted_right_steps", predicted.wrong), ("right_steps", measured.wrong)):
        done = row["machine_steps"] if moment is None else moment // STEPS - start
        row[name] = max(done, 0)
    return row


def _boundaries(machine: Machine, word: str, arithmetic: str, max_steps: int) -> tuple[Boundary, Boundary, int | None]:
    """Predicted, measured, and the bound from the depth of the stacks."""
    if arithmetic in PRECISIONS:
        bits, measured = PRECISIONS[arithmetic], measure(machine, word, np.dtype(arithmetic), max_steps)
        predicted = predict(machine, word, bits, max_steps)
        return predicted, measured, earliest_wrong(machine, word, bits, max_steps)
    if arithmetic.startswith(ONE_TANH):
        gain = float(arithmetic.rpartition(" ")[-1])
        return Boundary(None, None), measure_one_tanh(machine, word, gain, max_steps), None
    gain = 2.0 ** int(arithmetic.removeprefix("tanh-"))
    wrong = predict_tanh(machine, word, gain, max_steps), measure_tanh(machine, word, gain, max_steps)
    return Boundary(None, wrong[0]), Boundary(None, wrong[1]), None
