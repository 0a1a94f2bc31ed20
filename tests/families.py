"""Every family of the two registries, once, with what the invariants need to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch

from pgm_rnn.family import Family
from pgm_rnn.models import MODELS
from pgm_rnn.processes import PROCESSES, SOURCES


@dataclass(frozen=True)
class Case:
    """One family at one setting: ``registry[name](**arguments)`` at ``duration``.

    ``order``: how many past symbols the traced graph shows at each step, None for all of them.
    ``forbidden``: the family gives some words probability zero although its logits are parameters.
    """

    is_process: bool
    name: str
    duration: int
    arguments: Mapping[str, Any]
    dtype: torch.dtype = torch.float64
    order: int | None = None
    forbidden: bool = False

    @property
    def is_stationary(self) -> bool:
        """Whether the law of the words is promised to be the same wherever one begins to count t."""
        return self.is_process and self.name in PROCESSES

    @property
    def tolerance(self) -> float:
        """What sums of some hundred rounded terms may differ by."""
        return 1e-10 if self.dtype == torch.float64 else 2e-4

    def build(self) -> Family:
        registry = SOURCES if self.is_process else MODELS
        family = registry[self.name](**self.arguments).to(self.dtype)
        randomise(family)
        if self.forbidden:
            forbid(family)
        return family

    def __str__(self) -> str:
        arguments = ",".join(f"{key}={value}" for key, value in self.arguments.items())
        kind, precision = "process" if self.is_process else "model", str(self.dtype).removeprefix("torch.float")
        forbidden = "-forbidden" if self.forbidden else ""
        return f"{kind}-{self.name}({arguments})-T{self.duration}-f{precision}{forbidden}"


@torch.no_grad()
def randomise(family: Family, scale: float = 0.7) -> None:
    """Parameters drawn from one fixed seed, so that no two symbols, contexts or replicates are alike."""
    generator = torch.Generator().manual_seed(1)
    for parameter in family.parameters():
        parameter.copy_(scale * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))


@torch.no_grad()
def forbid(family: Family) -> None:
    """Make the last symbol impossible wherever the first parameter row decides, by a logit of ``-inf``."""
    logits = dict(family.named_parameters()).get("logits")
    if logits is None:
        family.get_parameter("c")[..., -1] = -torch.inf
    else:
        logits[..., :2, -1] = -torch.inf


PROCESS_ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "alternating": [{}],
    "biased-coin": [{}, {"p": 0.3}],
    "bimodal-length": [{}],
    "brackets": [{}, {"depth": 2, "nest": 0.5, "halt": 0.7}],
    "cyclostationary": [{}, {"rows": [[0.9, 0.1, 0.0], [0.2, 0.3, 0.5]]}],
    "drifting": [{}, {"horizon": 3}],
    "erratic": [{}, {"k": 3, "horizon": 4}],
    "even": [{}],
    "geometric-length": [{}],
    "golden-mean": [{"p": 0.4}],
    "markov": [{}],
    "mess3": [{}],
    "nemo": [{}],
    "noisy-random-phase-slip": [{}],
    "periodic": [{}],
    "random-machine": [{}],
    "random-markov": [{}],
    "rrxor": [{}],
    "settling": [{}],
    "simple-nonunifilar": [{}],
    "uniform-length": [{"longest": 4}],
    "zero-one-random": [{}],
}
"""Arguments of each process; an empty dict is its defaults."""

MODEL_ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "tabular": [{}],
    "markov": [{"order": 1}, {"order": 2}, {"order": 0}],
    "recurrent": [
        {"hidden_dim": 4},
        {"hidden_dim": 3, "cell": "gru"},
        {"hidden_dim": 3, "cell": "lstm"},
        {"hidden_dim": 4, "recurrence": "output"},
        {"hidden_dim": 4, "recurrence": "output", "feedback": "vector"},
        {"hidden_dim": 3, "clock": 2},
    ],
}
"""Arguments of each model beside ``alphabet_size``, ``replicates`` and, for the table, ``duration``."""

SETTINGS = [
    (2, 6, None, torch.float64),
    (3, 2, 3, torch.float64),
    (5, 1, 1, torch.float64),
    (2, 1, 3, torch.float32),
    (3, 6, 1, torch.float32),
    (5, 2, None, torch.float32),
]
"""k, T, replicates and dtype: each value of each, in mixed company. Processes are float64 without replicates."""


def process_cases() -> list[Case]:
    listed = [(name, arguments) for name, choices in PROCESS_ARGUMENTS.items() for arguments in choices]
    return [Case(True, name, T, arguments) for (name, arguments), T in product(listed, (1, 2, 6))]


def model_cases() -> list[Case]:
    listed = [(name, arguments) for name, choices in MODEL_ARGUMENTS.items() for arguments in choices]
    return [model_case(name, arguments, *setting) for (name, arguments), setting in product(listed, SETTINGS)]


def model_case(
    name: str,
    arguments: Mapping[str, Any],
    k: int,
    duration: int,
    replicates: int | None,
    dtype: torch.dtype = torch.float64,
    forbidden: bool = False,
) -> Case:
    own = {"duration": duration} if name == "tabular" else {}
    symbol_alone = arguments.get("recurrence") == "output" and "feedback" not in arguments
    order = 1 if symbol_alone else arguments.get("order")
    arguments = {"alphabet_size": k, **own, **arguments, "replicates": replicates}
    return Case(False, name, duration, arguments, dtype, order, forbidden)


CASES = process_cases() + model_cases()
FORBIDDING = [
    model_case(name, choices[0], 3, 3, R, forbidden=True)
    for name, choices in MODEL_ARGUMENTS.items()
    for R in (None, 2)
]
LONG = [case for case in CASES if case.duration > 1]
MODELS_LONG = [case for case in LONG if not case.is_process]
GRAPHS = [case for case in CASES if case.duration == 6]
