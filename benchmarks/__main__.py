"""Measure all promised ratios, print them as a table and keep them in ``benchmarks/results-<device>.json``.

Example: ``python -m benchmarks --device cuda gradient_step``
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path

import pyro
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.harness import Comparison, Settings, machine

BENCHMARKS = ("gradient_step", "backward", "layouts", "exact_divergence", "sampling")


def main() -> int:
    """0 if every promise is kept, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed against peers, as ratios.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch, for every way alike")
    parser.add_argument("--rounds", type=int, default=7, help="turns that each way gets")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"NAME: expected some of {', '.join(BENCHMARKS)}, got {', '.join(sorted(unknown))}")
    settings = Settings(torch.device(options.device), options.threads, options.rounds)
    torch.set_num_threads(settings.threads)
    pyro.enable_validation(False)
    names = options.names or BENCHMARKS
    comparisons = [comparison for name in names for comparison in import_module(f"benchmarks.{name}").measure(settings)]
    show(comparisons)
    if not options.names:
        path = Path(__file__).with_name(f"results-{settings.device.type}.json")
        results = {"machine": machine(settings), "results": [comparison.record() for comparison in comparisons]}
        path.write_text(json.dumps(results, indent=2) + "\n")
    return 0 if all(comparison.kept for comparison in comparisons) else 1


def show(comparisons: list[Comparison]) -> None:
    """The table for a person."""
    table = Table("benchmark", "ours, ms", "peer, ms", "times faster", "promised", "")
    for way in comparisons:
        promised = f"{way.target:.3g}" if way.target else ""
        verdict = "" if not way.target else "kept" if way.kept else "[bold]missed[/]"
        table.add_row(way.name, f"{1e3 * way.ours:.3f}", f"{1e3 * way.peer:.3f}", f"{way.ratio:.1f}", promised, verdict)
    Console(width=120).print(table)


if __name__ == "__main__":
    sys.exit(main())
