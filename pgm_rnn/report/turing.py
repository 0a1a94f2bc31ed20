"""Turing machines as networks: their tapes over time, and how far arithmetic carries them.

Rows are those of :mod:`pgm_rnn.experiment.machines`. :func:`boundary` reads ``arithmetic, word_bits, machine_steps,
right_steps`` (of the machine, before the first wrong reading) and ``predicted_right_steps``; the tables read what they
name, with a ``machine``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pgm_rnn.report.figures import OKABE_ITO, log_axis, panels
from pgm_rnn.report.labels import Label, label_ends
from pgm_rnn.turing import Configuration, Layout, Machine, compile_machine, exact_run, simulate
from pgm_rnn.turing.simulator import head_positions
from pgm_rnn.turing.wiring import STEPS

INKS = ("#F4F4F4", *(OKABE_ITO[name] for name in ("sky", "orange", "blue", "vermillion", "green", "purple", "yellow")))
"""One for each symbol, the blank first."""

Run = Sequence[Configuration]


def space_time(runs: Sequence[tuple[str, Machine, Run]], columns: int = 3) -> Figure:
    """Tapes over time, a panel per run: a row is a moment, a square its symbol's colour, the head a black dot."""
    figure, grid = panels([title for title, _, _ in runs], columns, size=(2.5, 2.6), margin=0.7)
    for axes, (_, machine, run) in zip(grid, runs, strict=True):
        draw_tapes(axes, machine, run)
        axes.set_xlabel("square of the tape")
    for axes in grid[::columns]:
        axes.set_ylabel("step of the machine")
    return figure


def draw_tapes(axes: Axes, machine: Machine, run: Run) -> None:
    heads = head_positions(machine, run)
    low = min(head - len(moment.left) for head, moment in zip(heads, run, strict=True))
    high = max(head + max(len(moment.right), 1) for head, moment in zip(heads, run, strict=True))
    picture = np.zeros((len(run), high - low), dtype=int)
    for row, (head, moment) in enumerate(zip(heads, run, strict=True)):
        codes = [machine.alphabet.index(symbol) for symbol in moment.left + moment.right]
        start = head - len(moment.left) - low
        picture[row, start : start + len(codes)] = codes
    k = len(machine.alphabet)
    edges = (low - 0.5, high - 0.5, len(run) - 0.5, -0.5)
    axes.imshow(
        picture, ListedColormap(INKS[:k]), vmin=0, vmax=k - 1, aspect="auto", extent=edges, interpolation="none"
    )
    axes.plot(heads, range(len(run)), ".", color="black", markersize=min(3.0, 250 / len(run)), markeredgewidth=0)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(visible=False)
    for place, (symbol, ink) in enumerate(zip(machine.alphabet, INKS, strict=False)):
        axes.text(
            1.06,
            0.97 - 0.1 * place,
            f" {symbol} ",
            transform=axes.transAxes,
            va="top",
            family="monospace",
            size=9,
            bbox={"facecolor": ink, "edgecolor": "#999999", "linewidth": 0.5, "pad": 1.5},
        )


def boundary(rows: pd.DataFrame, colours: Mapping[str, str], labels: Mapping[str, str]) -> Figure:
    """Left: steps done right against the length of the word. Right: the longest word held, against the gain."""
    titles = ["until the first wrong symbol", "what a gain holds"]
    figure, (left, right) = panels(titles, 2, size=(3.6, 3.4), margin=1.55)
    exact = rows.groupby("word_bits")["machine_steps"].mean()
    left.plot(exact.index, exact.to_numpy(), color=OKABE_ITO["black"], linewidth=1.2)
    ends = [Label("exact: all of them", float(exact.index[-1]), float(exact.iloc[-1]), OKABE_ITO["black"])]
    for name, colour in colours.items():
        mine = rows[rows["arithmetic"] == name].groupby("word_bits")[["right_steps", "predicted_right_steps"]].mean()
        left.plot(mine.index, mine["predicted_right_steps"].clip(lower=1), color=colour)
        left.plot(mine.index, mine["right_steps"].clip(lower=1), "o", color=colour, markeredgewidth=0, clip_on=False)
        ends.append(Label(labels[name], float(mine.index[-1]), float(mine["right_steps"].iloc[-1]), colour))
    left.set_xlim(0, float(exact.index[-1]))
    log_axis(left, "y", 1, 1.3 * float(exact.max()))
    left.set_xlabel("word on the stack (bits)")
    left.set_ylabel("steps of the machine done right")
    label_ends(left, ends)
    draw_held(right, rows, colours, labels)
    return figure


def draw_held(axes: Axes, rows: pd.DataFrame, colours: Mapping[str, str], labels: Mapping[str, str]) -> None:
    """The longest word up to which every run is right, for tanh at every gain and for floating-point numbers."""
    top = float(rows["word_bits"].max())
    for held, style in (("predicted_right_steps", "-"), ("right_steps", "o")):
        depth = longest_held(rows, held)
        gains = sorted((int(name.removeprefix("tanh-")), bits) for name, bits in depth.items() if "tanh-" in name)
        colour = OKABE_ITO["green"]
        axes.plot(*zip(*gains, strict=True), style, color=colour, markeredgewidth=0, clip_on=False)
    ends = [Label("two tanh units", *gains[-1], OKABE_ITO["green"])]
    for name in ("float32", "float64"):
        axes.axhline(depth[name], color=colours[name], linewidth=1.2)
        ends.append(Label(labels[name], gains[-1][0], depth[name], colours[name]))
    axes.set_xlim(0, gains[-1][0])
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_ylim(0, top)
    axes.set_xlabel("log₂ of the gain g")
    axes.set_ylabel("longest word held (bits)")
    label_ends(axes, ends)


def longest_held(rows: pd.DataFrame, column: str) -> dict[str, float]:
    """By arithmetic, the longest word in bits up to which no run went wrong."""
    held = {}
    for name, mine in rows.groupby("arithmetic"):
        right = (mine[column] == mine["machine_steps"]).groupby(mine["word_bits"]).all()
        failed = right.index[~right]
        good = right.index[right.index < failed.min()] if len(failed) else right.index
        held[str(name)] = float(good.max()) if len(good) else 0.0
    return held


def unit_states(machine: Machine, word: str) -> Figure:
    """The network's whole state over a run: a row for each unit, layer by layer, a column for each of its steps."""
    layout = Layout(machine)
    moments = sum(1 for _ in simulate(machine, word))
    steps = layout.loaded(word) + STEPS * (moments - 1) + 1
    states = islice(exact_run(compile_machine(machine), layout.inputs(word)), steps)
    picture = np.array([[float(value) for value in s] for s in states]).T
    figure = Figure(figsize=(0.6 + 0.115 * steps + 1.4, 0.135 * len(layout.units) + 0.7))
    width, height = figure.get_size_inches()
    axes = figure.add_axes((1.35 / width, 0.5 / height, 1 - 1.45 / width, 1 - 0.6 / height))
    axes.imshow(picture, "Blues", vmin=0, vmax=1, aspect="auto", interpolation="none")
    axes.set_yticks(range(len(layout.units)), layout.units, size=6.5)
    axes.set_xticks(range(0, steps, STEPS))
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False)
    for t in range(0, steps, STEPS):
        axes.axvline(t - 0.5, color="#CCCCCC", linewidth=0.6)
    axes.axvline(layout.loaded(word) - 0.5, color=OKABE_ITO["vermillion"], linewidth=1.2)
    axes.set_xlabel("step t of the network; right of the red line, the machine runs")
    return figure


def size_table(rows: pd.DataFrame) -> pd.DataFrame:
    """What each machine's network is made of, and how many steps were compared; a row is a run in exact numbers."""
    by = rows.groupby("machine", sort=False)
    table = by[["states", "symbols", "bits", "units", "weights"]].first().join(by.size().rename("words"))
    table = table.join(by[["machine_steps", "net_steps", "differing_steps"]].sum()).astype(int).reset_index()
    return table.rename(columns=lambda column: column.replace("_", " "))


def precision_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Where floating point stops being exact, and where it goes wrong, run by run."""
    headings = {
        "machine": "machine",
        "word": "word",
        "arithmetic": "arithmetic",
        "deepest_bits": "deepest stack, bits",
        "predicted_inexact": "inexact, predicted",
        "measured_inexact": "measured",
        "earliest_wrong": "wrong, earliest",
        "predicted_wrong": "predicted",
        "measured_wrong": "measured ",
    }
    return rows[rows["measured_inexact"].notna()][[*headings]].rename(columns=headings).reset_index(drop=True)


def agreement_table(rows: pd.DataFrame) -> pd.DataFrame:
    """By arithmetic, in how many runs the prediction was ``met``; the longest word is that of ``palindromes``."""
    by = rows.assign(wrong=rows["measured_wrong"].notna()).groupby("arithmetic", sort=False)
    held = pd.Series(longest_held(rows[rows["kind"] == "palindromes"], "right_steps"), name="longest word, bits")
    table = by.size().rename("runs").to_frame().join(by[["wrong", "met"]].sum()).join(held).reset_index()
    return table.rename(columns={"wrong": "went wrong", "met": "as predicted"})


def one_tanh_table(rows: pd.DataFrame) -> pd.DataFrame:
    """How far networks come whose every unit is one tanh."""
    columns = ["arithmetic", "word", "measured_wrong", "machine_steps", "right_steps"]
    headings = dict(zip(columns, ("units", "word", "first wrong, t", "steps to do", "done right"), strict=True))
    return rows[columns].rename(columns=headings).reset_index(drop=True)


def confusion_table(rows: pd.DataFrame) -> pd.DataFrame:
    """For each machine two moments of its first confused run that show the same output, and what follows them."""
    headings = {
        "first_moment": "moment",
        "first_tape": "tape",
        "second_moment": "and moment",
        "second_tape": "its tape",
        "both_show": "show",
        "first_goes_on": "then the first",
        "second_goes_on": "the second",
        "best_share_from_output": "best share",
    }
    first = rows.dropna(subset="first_moment").groupby("machine", sort=False)[[*headings]].first()
    return first.rename(columns=headings).reset_index()
