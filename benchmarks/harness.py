"""What every benchmark shares: interleaved timing, and a comparison that knows its ratio and its target."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor

Step = Callable[[], object]


@dataclass(frozen=True)
class Settings:
    """Where and how long to measure."""

    device: torch.device
    threads: int
    rounds: int


@dataclass(frozen=True)
class Comparison:
    """Two ways to the same numbers, each timed as the minimum of several interleaved runs.

    Args:
        name: what was done.
        ours, peer: seconds of one run.
        target: the least ``peer / ours`` that we promise.
        share: how many pieces of the peer's work one run of ours does (the replicates).
    """

    name: str
    ours: float
    peer: float
    target: float
    share: int = 1

    @property
    def ratio(self) -> float:
        """How many times faster ours is, for the same work."""
        return self.share * self.peer / self.ours

    @property
    def kept(self) -> bool:
        """Whether the promise holds."""
        return self.ratio >= self.target

    def record(self) -> dict[str, str | float | bool]:
        """One row of the table: plain values, milliseconds and ratios."""
        return {
            "benchmark": self.name,
            "ours_ms": 1e3 * self.ours,
            "peer_ms": 1e3 * self.peer,
            "share": self.share,
            "ratio": self.ratio,
            "target": self.target,
            "kept": self.kept,
        }


def interleave(ways: Mapping[str, Step], settings: Settings) -> dict[str, float]:
    """The fewest seconds that one run of each way took.

    The ways take turns, so that a busy machine slows all of them, and each turn lasts about as long for every way:
    a minimum over few runs would be unfair to the slower one.
    """
    pace = {name: _turn(step, 1, settings.device) for name, step in ways.items()}  # also warms up
    pace = {name: min(pace[name], _turn(step, 2, settings.device)) for name, step in ways.items()}
    longest = max(pace.values())
    runs = {name: min(max(round(longest / seconds), 1), 50) for name, seconds in pace.items()}
    for _ in range(settings.rounds):
        for name, step in ways.items():
            pace[name] = min(pace[name], _turn(step, runs[name], settings.device))
    return pace


def _turn(step: Step, runs: int, device: torch.device) -> float:
    """The fewest seconds of ``runs`` runs in a row."""
    fewest = float("inf")
    for _ in range(runs):
        start = perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        fewest = min(fewest, perf_counter() - start)
    return fewest


def require_close(name: str, ours: Tensor, peer: Tensor, tolerance: float) -> None:
    """Stop where two ways differ by more than ``tolerance`` of the largest number: their speeds would mean nothing."""
    ours, peer = ours.double().cpu(), peer.double().cpu()
    gap = float((ours - peer).abs().max() / peer.abs().max())
    if not gap <= tolerance:
        raise SystemExit(f"{name}: ours and the peer's differ by {gap:.1e}, more than {tolerance:.0e}; not timed")


def machine(settings: Settings) -> dict[str, str | int]:
    """What a ratio depends on."""
    cuda = settings.device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(settings.device) if cuda else "cpu",
        "threads": settings.threads,
        "cores": os.cpu_count() or 1,
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
