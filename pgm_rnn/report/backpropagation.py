"""Backpropagation through time: what its ways cost, and what Newton's method takes in its place.

Rows of costs, one per ``way, T, seed``, hold ``seconds, peak_bytes``; those of Newton, one per network and T, hold
``net, gain`` (none if it was trained), ``T, lyapunov_nats_per_step, iterations, dependent_steps, residual, difference,
reached, newton_seconds, sequential_seconds``. Colours are by net.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pgm_rnn.experiment.costs import exponents
from pgm_rnn.experiment.intervals import t_interval
from pgm_rnn.inference.newton import scan_depth
from pgm_rnn.report.comparison import Contestants
from pgm_rnn.report.figures import OKABE_ITO, duration_axis, line_with_band, log_axis, panels
from pgm_rnn.report.labels import Label, label_ends, line_end

FORMULAS = {
    "L": ("(N, T)", "1"),
    "yhat": ("(N, T, k)", "-1(i = y_t) / ŷ_(t,i)"),
    "o": ("(N, T, k)", "ŷ_(t,i) - 1(i = y_t)"),
    "h": ("(N, T, H)", "Wᵀ diag(1 - h²_(t+1)) dh_(t+1) + Vᵀ do_t"),
    "a": ("(N, T, H)", "diag(1 - h²_t) dh_t"),
    "c": ("(k,)", "Σ_t do_t"),
    "V": ("(k, H)", "Σ_t do_t h_tᵀ"),
    "b": ("(H,)", "Σ_t diag(1 - h²_t) dh_t"),
    "W": ("(H, H)", "Σ_t diag(1 - h²_t) dh_t h_(t-1)ᵀ"),
    "U": ("(H, k)", "Σ_t diag(1 - h²_t) dh_t x_tᵀ"),
    "W_t": ("(T, H, H)", "diag(1 - h²_t) dh_t h_(t-1)ᵀ"),
    "U_t": ("(T, H, k)", "diag(1 - h²_t) dh_t x_tᵀ"),
}
"""The shape and the formula of every node's gradient, as the lecture writes them."""

BLACK = OKABE_ITO["black"]


def costs_against_duration(rows: pd.DataFrame, ways: Contestants) -> Figure:
    """Time and peak memory against T, each line with its exponent."""
    rows = rows.assign(ms=1e3 * rows["seconds"], kB=rows["peak_bytes"] / 1e3)
    figure, grid = panels(["Time", "Peak memory"], size=(2.6, 2.9), margin=2.6)
    for axes, column, title in zip(grid, ("ms", "kB"), ("time (ms)", "peak memory (kB)"), strict=True):
        slopes, labels = exponents(rows, column, "way", "seed"), []
        for name, way in ways.items():
            mine = rows[rows["way"] == name]
            line_with_band(axes, mine, "T", column, way.colour)
            labels.append(line_end(f"{way.label}: T^{slopes[name].mean():z.2f}", mine, "T", column, way.colour))
        duration_axis(axes, rows["T"].astype(int).tolist())
        log_axis(axes, "y", rows[column].min() / 2, rows[column].max() * 2)
        axes.set_ylabel(title)
        label_ends(axes, labels)
    return figure


def cost_table(rows: pd.DataFrame, ways: Contestants) -> pd.DataFrame:
    """Exponents, and at the longest T means over repeats."""
    longest = rows[rows["T"] == rows["T"].max()].groupby("way")[["seconds", "peak_bytes"]].mean()
    time, memory = (exponents(rows, column, "way", "seed") for column in longest)
    lines = []
    for name, way in ways.items():
        line = {"way": way.label, "exponent of time [95 %]": f"{t_interval(time[name]):z.2f}"}
        line |= {"exponent of memory [95 %]": f"{t_interval(memory[name]):z.2f}"}
        seconds, peak = longest.loc[name]
        line |= {"time (ms)": 1e3 * seconds, "memory (kB)": peak / 1e3}
        lines.append(line | {"time / forward + backward": seconds / longest.loc["backward", "seconds"]})
    return pd.DataFrame(lines)


def gradient_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The shape and formula of every node, and its largest differences.

    Rows hold ``node, autograd_relative_difference, central_relative_difference``.
    """
    worst = rows.groupby("node")[["autograd_relative_difference", "central_relative_difference"]].max()
    lines = []
    for node, (shape, formula) in FORMULAS.items():
        autograd, central = worst.loc[node]
        line = {"gradient": f"d{node}", "shape": shape, "formula": formula}
        lines.append(line | {"from autograd": autograd, "from central differences": central})
    return pd.DataFrame(lines)


def newton_iterations(rows: pd.DataFrame, colours: Mapping[str, str], cap: int) -> Figure:
    """Iterations against T, of which there are ``cap`` at most, and at the longest T against the Lyapunov exponent."""
    figure, grid = panels(["Random networks", "Trained networks", "All, at the longest T"], size=(2.3, 2.9), margin=1.1)
    durations = sorted(rows["T"].astype(int).unique().tolist())
    for axes, part in zip(grid, (rows[rows["gain"].notna()], rows[rows["gain"].isna()]), strict=False):
        _draw_iterations(axes, part, colours, durations, cap)
    longest = rows[rows["T"] == durations[-1]]
    for (net, reached), mine in longest.groupby(["net", "reached"], sort=False):
        marker = "x" if not reached else "D" if mine["gain"].isna().all() else "o"
        x, y = mine["lyapunov_nats_per_step"], mine["iterations"]
        grid[2].plot(x, y, linestyle="", marker=marker, color=colours[str(net)])
    grid[2].axvline(0, color=BLACK, linewidth=0.9)
    grid[2].set_xlabel("Lyapunov exponent (nats/step)")
    log_axis(grid[2], "y", 1, 1.3 * cap)
    grid[0].set_ylabel("Newton iterations")
    return figure


def _draw_iterations(
    axes: Axes, rows: pd.DataFrame, colours: Mapping[str, str], durations: Sequence[int], cap: int
) -> None:
    """A line for each kind of network, and the iterations at which Newton has as many dependent steps as T."""
    labels = []
    for net, mine in rows.groupby("net", sort=False):
        colour = colours[str(net)]
        line_with_band(axes, mine, "T", "iterations", colour)
        labels.append(line_end(str(net).removeprefix("trained: "), mine, "T", "iterations", colour))
    even = [(T - 1) / (1 + scan_depth(T)) for T in durations]
    axes.plot(durations, even, color=BLACK, linestyle=(0, (5, 2)), linewidth=0.9)
    labels.append(Label("break-even", durations[-1], even[-1], BLACK))
    duration_axis(axes, durations)
    log_axis(axes, "y", 1, 1.3 * cap)
    axes.set_ylabel("")
    label_ends(axes, labels)


def newton_table(rows: pd.DataFrame, tolerance: float) -> pd.DataFrame:
    """What Newton did with each kind of network; orbits of both ways agree if they differ by no more than this."""
    lines = []
    for net, mine in rows.groupby("net", sort=False):
        reached = f"{mine['reached'].astype(bool).sum()} of {len(mine)}"
        line = {"network": net, "Lyapunov exponent (nats/step)": mine["lyapunov_nats_per_step"].mean()}
        line |= {"reached": reached, "iterations": mine["iterations"].mean()}
        line |= {"dependent steps / T": (mine["dependent_steps"] / mine["T"]).mean()}
        line |= {"other orbits": int(((mine["residual"] <= tolerance) & (mine["difference"] > tolerance)).sum())}
        lines.append(line | {"time / sequential": (mine["newton_seconds"] / mine["sequential_seconds"]).mean()})
    return pd.DataFrame(lines)
