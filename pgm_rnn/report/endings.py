"""Figures about when words end: laws of the length, what of a divergence is the length's, cut words, and samples.

Rows, one per seed, hold ``process, inner, ending`` and what each function names; lists are JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pgm_rnn.report.comparison import Contestants
from pgm_rnn.report.figures import OKABE_ITO, log_axis, name_axes, panels
from pgm_rnn.report.labels import Label, label_ends

BRACKETS = str.maketrans("01", "()")
BLACK, GREY = OKABE_ITO["black"], OKABE_ITO["grey"]
NEGLIGIBLE = 1e-6
"""Nats per word: what is below is drawn on the edge."""


def length_laws(rows: pd.DataFrame, endings: Contestants) -> Figure:
    """``lengths`` of every ending as dots, lowest to highest seed as lines, over bars of ``true_lengths``."""
    processes = list(rows["process"].unique())
    figure, grid = panels(processes, columns=2, size=(3.2, 1.9), margin=1.5)
    for axes, process in zip(grid, processes, strict=True):
        mine = rows[rows["process"] == process]
        true = json.loads(mine["true_lengths"].iloc[0])[1:]  # no word is empty
        positions, labels = np.arange(1, len(true) + 1), []
        axes.bar(positions, true, width=0.8, color="#DDDDDD")
        for shift, (name, ending) in zip(np.linspace(-0.22, 0.22, len(endings)), endings.items(), strict=True):
            learned = np.array([json.loads(text)[1:] for text in mine.loc[mine["ending"] == name, "lengths"]])
            axes.vlines(positions + shift, learned.min(0), learned.max(0), color=ending.colour, linewidth=1.2)
            axes.plot(positions + shift, learned.mean(0), "o", color=ending.colour, markersize=3.5)
            labels.append(Label(ending.label, positions[-1] + shift, learned[:, -1].mean(), ending.colour))
        axes.set_xticks(positions, [*(str(t) for t in positions[:-1]), f">{positions[-2]}"])
        axes.set_xlim(0.4, positions[-1] + 0.6)
        label_ends(axes, [*labels, Label("truth (bars)", positions[-1], true[-1], GREY)])
    name_axes(grid, 2, "length τ (symbols)", "probability")
    return figure


def divergence_parts(rows: pd.DataFrame, endings: Contestants, inners: Mapping[str, str]) -> Figure:
    """``kl_length_nats`` (filled) and ``kl_words_nats`` (hollow) of every fit, an ending a line of each panel."""
    processes = list(rows["process"].unique())
    figure, grid = panels(processes, columns=2, size=(2.9, 2.2), margin=0.4, left=1.75)
    for index, (axes, process) in enumerate(zip(grid, processes, strict=True)):
        ticks = []
        for group, (inner, label) in enumerate(inners.items()):
            for place, (name, ending) in enumerate(endings.items()):
                mine = rows[(rows["process"] == process) & (rows["inner"] == inner) & (rows["ending"] == name)]
                if mine.empty:
                    continue
                height = -(group * (len(endings) + 0.7) + place)
                ticks.append((height, f"{label}, {ending.label}"))
                for column, lift, face in (("kl_length_nats", 0.17, ending.colour), ("kl_words_nats", -0.17, "white")):
                    kl = mine[column].clip(lower=NEGLIGIBLE)
                    axes.plot(kl, [height + lift] * len(kl), "o", color=ending.colour, markerfacecolor=face, alpha=0.8)
        log_axis(axes, "x", NEGLIGIBLE / 2, 5.0)
        axes.set_yticks([height for height, _ in ticks], [text if index % 2 == 0 else "" for _, text in ticks])
    name_axes(grid, 2, "KL (nats per word)", "")
    return figure


def incomplete_by_cut(rows: pd.DataFrame, endings: Contestants, cut: str, margin: float) -> Figure:
    """What the sampler without an ending leaves incomplete, by the length at which it is cut, beside the endings.

    Rows of one process hold ``incomplete`` and ``true_lengths``; those of the ending ``cut`` also the list
    ``incomplete_when_cut``, and ``lengths`` that are a point: the length to mark.
    """
    figure, (axes,) = panels([rows["process"].iloc[0]], size=(4.4, 2.6), margin=1.9)
    true = np.array(json.loads(rows["true_lengths"].iloc[0]))[1:-1]
    lengths = 1 + np.flatnonzero(true)  # the source has no words of the others
    without = rows[rows["ending"] == cut]
    shares = np.array(without["incomplete_when_cut"].map(json.loads).to_list())[:, lengths - 1]
    means, usual = shares.mean(0), lengths == int(np.argmax(json.loads(without["lengths"].iloc[0])))
    axes.fill_between(lengths, shares.min(0), shares.max(0), color=GREY, alpha=0.2, linewidth=0)
    axes.plot(lengths, means, "o-", color=GREY)
    axes.plot(lengths[usual], means[usual], "o", color=GREY, markersize=11, markerfacecolor="none")
    labels = [Label("no ending, cut at L", lengths[-1], means[-1], GREY)]
    for name, ending in endings.items():
        share = rows.loc[rows["ending"] == name, "incomplete"].mean()
        axes.axhline(share, color=ending.colour)
        labels.append(Label(ending.label, lengths[-1], share, ending.colour))
    axes.axhline(margin, color=BLACK, linewidth=0.9, linestyle=":")
    axes.set_ylim(0, 1.15 * max(shares.max(), margin))
    axes.set_xlim(lengths[0] - 0.5, lengths[-1])
    axes.set_xticks(lengths)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set(xlabel="cut after L symbols", ylabel="incomplete words")
    label_ends(axes, labels)
    return figure


def words_of_brackets(columns: Mapping[str, str]) -> Figure:
    """Words of 0 and 1 as brackets, a column for each sampler; what is no complete word stands out.

    A column is a list, as JSON text, of words and of whether each is complete.
    """
    samples = [json.loads(text) for text in columns.values()]
    height = 0.21 * max(len(words) for words in samples)
    figure, grid = panels(list(columns), columns=len(columns), size=(1.15, height), margin=0.15, left=0.2)
    for axes, words in zip(grid, samples, strict=True):
        axes.set_axis_off()
        for row, (text, complete) in enumerate(words):
            axes.text(
                0.0,
                1 - (row + 0.5) / len(words),
                text.translate(BRACKETS),
                color=BLACK if complete else OKABE_ITO["vermillion"],
                weight="normal" if complete else "bold",
                family="DejaVu Sans Mono",
                size=9.5,
                va="center",
            )
    return figure
