"""Processes: stationary sources whose every quantity is known exactly, and their one registry."""

from __future__ import annotations

from collections.abc import Callable

from pgm_rnn.naming import build
from pgm_rnn.processes.drawn import markov, random_machine, random_markov
from pgm_rnn.processes.hidden_markov import HiddenMarkovLaw
from pgm_rnn.processes.process import Process
from pgm_rnn.processes.zoo import (
    biased_coin,
    even,
    golden_mean,
    mess3,
    nemo,
    noisy_random_phase_slip,
    periodic,
    rrxor,
    simple_nonunifilar,
    zero_one_random,
)

PROCESSES: dict[str, Callable[..., Process]] = {
    "biased-coin": biased_coin,
    "even": even,
    "golden-mean": golden_mean,
    "markov": markov,
    "mess3": mess3,
    "nemo": nemo,
    "noisy-random-phase-slip": noisy_random_phase_slip,
    "periodic": periodic,
    "random-machine": random_machine,
    "random-markov": random_markov,
    "rrxor": rrxor,
    "simple-nonunifilar": simple_nonunifilar,
    "zero-one-random": zero_one_random,
}


def parse(text: str) -> Process:
    """The process that a text like ``mess3(x=0.1, a=0.8)`` names.

    >>> parse("golden-mean(p=0.25)")
    Process('golden-mean(p=0.25)', k=2, states=2)
    """
    return build("process", text, PROCESSES)


__all__ = [
    "PROCESSES", "HiddenMarkovLaw", "Process", "biased_coin", "even", "golden_mean", "markov", "mess3", "nemo",
    "noisy_random_phase_slip", "parse", "periodic", "random_machine", "random_markov", "rrxor", "simple_nonunifilar",
    "zero_one_random",
]  # fmt: skip
