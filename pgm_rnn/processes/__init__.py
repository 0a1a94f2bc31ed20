"""Sources whose every quantity is known exactly, and their registries."""

from __future__ import annotations

from collections.abc import Callable

from pgm_rnn.naming import build
from pgm_rnn.processes.channels import (
    binary_symmetric,
    delay,
    gilbert_elliott,
    preview,
    random_transducer,
    running_parity,
    shared_coin,
)
from pgm_rnn.processes.conditional import Conditional, Interpolated, Mixture
from pgm_rnn.processes.drawn import markov, random_machine, random_markov
from pgm_rnn.processes.endings import (
    FiniteWords,
    at_most,
    bimodal_length,
    brackets,
    geometric_length,
    halting,
    uniform_length,
)
from pgm_rnn.processes.hidden_markov import HiddenMarkovLaw
from pgm_rnn.processes.length_laws import LENGTH_LAWS
from pgm_rnn.processes.mixtures import bells, coins, grammars, sliding_golden_mean
from pgm_rnn.processes.process import Process
from pgm_rnn.processes.source import Source
from pgm_rnn.processes.time_varying import TimeVarying, alternating, cyclostationary, drifting, erratic, settling
from pgm_rnn.processes.transducers import Transducer
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
"""Stationary processes."""

TIME_VARYING: dict[str, Callable[..., TimeVarying]] = {
    "alternating": alternating,
    "cyclostationary": cyclostationary,
    "drifting": drifting,
    "erratic": erratic,
    "settling": settling,
}
"""Sources whose law moves with t."""

FINITE: dict[str, Callable[..., FiniteWords]] = {
    "bimodal-length": bimodal_length,
    "brackets": brackets,
    "geometric-length": geometric_length,
    "uniform-length": uniform_length,
}
"""Sources of finite words: the last of their symbols is END."""

CONDITIONAL: dict[str, Callable[..., Conditional]] = {
    "bells": bells,
    "coins": coins,
    "grammars": grammars,
    "sliding-golden-mean": sliding_golden_mean,
}
"""Sources of words given a context."""

TRANSDUCERS: dict[str, Callable[..., Transducer]] = {
    "binary-symmetric": binary_symmetric,
    "delay": delay,
    "gilbert-elliott": gilbert_elliott,
    "preview": preview,
    "random-transducer": random_transducer,
    "running-parity": running_parity,
    "shared-coin": shared_coin,
}
"""Sources of words given input words of the same length."""

SOURCES: dict[str, Callable[..., Source]] = {**PROCESSES, **TIME_VARYING, **FINITE}
"""Sources of words given nothing but their duration."""

NAMED: dict[str, Callable[..., Source]] = {**SOURCES, **CONDITIONAL, **TRANSDUCERS}
"""All that can be named where a source is asked for."""


def parse(text: str) -> Source:
    """The source that a text like ``mess3(x=0.1, a=0.8)`` names.

    >>> parse("golden-mean(p=0.25)")
    Process('golden-mean(p=0.25)', k=2, states=2)
    """
    return build("process", text, NAMED)


__all__ = [
    "CONDITIONAL", "FINITE", "LENGTH_LAWS", "NAMED", "PROCESSES", "SOURCES", "TIME_VARYING", "TRANSDUCERS",
    "Conditional", "FiniteWords", "HiddenMarkovLaw", "Interpolated", "Mixture", "Process", "Source", "TimeVarying",
    "Transducer", "alternating", "at_most", "bells", "biased_coin", "bimodal_length", "binary_symmetric", "brackets",
    "coins", "cyclostationary", "delay", "drifting", "erratic", "even", "geometric_length", "gilbert_elliott",
    "golden_mean", "grammars", "halting", "markov", "mess3", "nemo", "noisy_random_phase_slip", "parse", "periodic",
    "preview", "random_machine", "random_markov", "random_transducer", "rrxor", "running_parity", "settling",
    "shared_coin", "simple_nonunifilar", "sliding_golden_mean", "uniform_length", "zero_one_random",
]  # fmt: skip
