"""Every family of the two registries, once, with what the invariants need to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from pgm_rnn.family import Family
from pgm_rnn.models import MODELS, BernoulliHalt, EndSymbol, PredictedLength
from pgm_rnn.models.endings import EndingFamily
from pgm_rnn.models.rows import RowsFamily
from pgm_rnn.processes import PROCESSES, SOURCES


@dataclass(frozen=True)
class Case:
    """One family at one setting: ``registry[name](**arguments)`` at ``duration``, or that with an ending, END being one
    of the ``alphabet_size`` symbols.

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
    ending: str = ""

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
        family = self.with_ending() if self.ending else registry[self.name](**self.arguments)
        randomise(family.to(self.dtype))
        if self.forbidden:
            forbid(family.inner if isinstance(family, EndingFamily) else family)
        return family

    def with_ending(self) -> EndingFamily:
        """The model inside its ending; predicted lengths are two at least, so that all parameters act."""
        k, T, longest = self.arguments["alphabet_size"], self.duration, max(self.duration - 1, 2)

        def inner(alphabet_size: int, duration: int, **told: int) -> Family:
            own = {"duration": duration} if self.name == "tabular" else {}
            return MODELS[self.name](**{**self.arguments, "alphabet_size": alphabet_size, **own, **told})

        if self.ending == "end-symbol":
            return EndSymbol(inner(k, T))
        if self.ending == "halt":
            return BernoulliHalt(inner(k - 1, T))
        if self.ending == "length":
            return PredictedLength(inner(k - 1, longest, context_dim=longest), longest)
        return PredictedLength(inner(k - 1, longest, input_dim=longest), longest, remaining=True)

    def idle(self, family: Family) -> dict[str, Tensor]:
        """The entries of parameters that no word of probability reads: after END, and of END where it cannot come."""
        inner = family.inner if isinstance(family, EndingFamily) else family
        if not isinstance(inner, RowsFamily):
            return self.idle_in_network(inner)
        k, length = inner.alphabet_size, inner.max_length
        contexts = [context for n in range(length + 1) for context in product(range(k), repeat=n)]
        first = torch.tensor([not context and length > 0 for context in contexts])
        if self.ending == "end-symbol":
            ended = torch.tensor([k - 1 in context for context in contexts])
            return {"inner.logits": ended.unsqueeze(-1) | (first.unsqueeze(-1) & (torch.arange(k) == k - 1))}
        if self.ending == "halt":
            return {"halt": first}
        if self.ending in ("length", "remaining"):
            labels = max(self.duration - 1, 2)
            longest = range(labels) if self.ending == "length" else reversed(range(labels))  # before the last symbol
            over = [len(context) > n for n in longest for context in contexts]
            return {"inner.logits": torch.tensor(over).unsqueeze(-1)}
        return {}

    def idle_in_network(self, inner: Family) -> dict[str, Tensor]:
        """A column of U is END's; at the first step, which some labels alone have, an LSTM has nothing to forget."""
        if self.ending == "end-symbol":
            return {"inner.U": torch.arange(inner.alphabet_size) == inner.alphabet_size - 1}
        if self.arguments.get("cell") != "lstm" or self.ending not in ("length", "remaining"):
            return {}
        H, labels = self.arguments["hidden_dim"], max(self.duration - 1, 2)
        forget = torch.arange(4 * H) // H == 1
        if self.ending == "length":
            return {"inner.R": (torch.arange(labels) == 0).unsqueeze(-1) & forget}
        return {"inner.X": forget.unsqueeze(-1) & (torch.arange(labels) == labels - 1)}

    def __str__(self) -> str:
        arguments = ",".join(f"{key}={value}" for key, value in self.arguments.items())
        kind, precision = "process" if self.is_process else "model", str(self.dtype).removeprefix("torch.float")
        forbidden = "-forbidden" if self.forbidden else ""
        kind += f"-{self.ending}" if self.ending else ""
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

ENDING_ARGUMENTS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "end-symbol": [
        ("tabular", {}),
        ("markov", {"order": 1}),
        ("markov", {"order": 0}),
        ("recurrent", {"hidden_dim": 3}),
        ("recurrent", {"hidden_dim": 2, "cell": "lstm"}),
        ("recurrent", {"hidden_dim": 3, "recurrence": "output"}),
    ],
    "halt": [
        ("tabular", {}),
        ("markov", {"order": 1}),
        ("markov", {"order": 0}),
        ("recurrent", {"hidden_dim": 3}),
        ("recurrent", {"hidden_dim": 2, "cell": "gru"}),
        ("recurrent", {"hidden_dim": 2, "cell": "lstm"}),
        ("recurrent", {"hidden_dim": 3, "recurrence": "output", "feedback": "vector"}),
    ],
    "length": [
        ("tabular", {}),
        ("markov", {"order": 1}),
        ("recurrent", {"hidden_dim": 3}),
        ("recurrent", {"hidden_dim": 2, "cell": "gru", "context_as": "initial"}),
        ("recurrent", {"hidden_dim": 2, "cell": "lstm"}),
    ],
    "remaining": [
        ("tabular", {}),
        ("markov", {"order": 1}),
        ("recurrent", {"hidden_dim": 3}),
        ("recurrent", {"hidden_dim": 2, "cell": "lstm"}),
    ],
}
"""What each ending is wrapped around."""

ENDING_SETTINGS = [(3, 6, 3, torch.float64), (5, 2, None, torch.float64), (3, 1, 1, torch.float32)]
"""As below, k counting END."""

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


def ending_case(
    ending: str,
    name: str,
    arguments: Mapping[str, Any],
    k: int,
    duration: int,
    replicates: int | None,
    dtype: torch.dtype = torch.float64,
    forbidden: bool = False,
) -> Case:
    """A chain stays one, of order 1 at least, since END has an effect; the length, summed out, connects everything."""
    plain = model_case(name, arguments, k, duration, replicates)
    order = None if plain.order is None or ending in ("length", "remaining") else max(plain.order, 1)
    return Case(False, name, duration, plain.arguments, dtype, order, forbidden, ending)


ENDING_CASES = [
    ending_case(ending, *choice, *setting)
    for ending, choices in ENDING_ARGUMENTS.items()
    for choice, setting in product(choices, ENDING_SETTINGS)
]
CASES = process_cases() + model_cases() + ENDING_CASES
FORBIDDING = [
    model_case(name, choices[0], 3, 3, R, forbidden=True)
    for name, choices in MODEL_ARGUMENTS.items()
    for R in (None, 2)
] + [
    ending_case(ending, *choice, 3, 3, 2, forbidden=True)
    for ending, choices in ENDING_ARGUMENTS.items()
    for choice in choices
    if choice[0] != "markov" and "feedback" not in choice[1]  # a vector that is fed back has no infinities
]
LONG = [case for case in CASES if case.duration > 1]
MODELS_LONG = [case for case in LONG if not case.is_process]
GRAPHS = [case for case in CASES if case.duration == 6]
