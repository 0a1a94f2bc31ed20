"""What sharing over t costs: chains with shared rows and with rows of their own at every t, beside recurrent networks.

Rows of chains (``kind`` "chain") hold ``source, order, price_nats_per_word, kl_nats_per_word,
per_step_kl_nats_per_word, free_parameters, per_step_free_parameters`` and, as JSON text, ``kl_by_position_nats``; rows
of networks ("network"), one per seed, ``source, T, far, setting, hidden_dim, kl_nats_per_word,
unseen_kl_nats_per_symbol, free_parameters, converged`` and the list. Settings are "plain", "clock" (t is an input) and
"twin" (trained and judged on the stationary twin).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pgm_rnn.report.figures import OKABE_ITO, line_with_band, log_axis, long_form, name_axes, panels
from pgm_rnn.report.labels import Label, label_ends, line_end

COLOURS = {"plain": OKABE_ITO["blue"], "clock": OKABE_ITO["orange"], "twin": OKABE_ITO["green"]}
ENDS = {"plain": "RNN", "clock": "RNN with t", "twin": "RNN, twin"}
SHARED = OKABE_ITO["vermillion"]
FLOOR, CEILING = 1e-8, 10.0
"""Nats: what is smaller, rounding among it, is drawn on the lower edge."""


Parts = tuple[str, pd.DataFrame, pd.DataFrame]
"""A source, the rows of its chains, and those of its networks."""


def parts(frame: pd.DataFrame) -> Iterator[Parts]:
    """Source by source, in order of appearance."""
    for source, rows in frame.groupby("source", sort=False):
        yield str(source), rows[rows["kind"] == "chain"], rows[rows["kind"] == "network"]


def nearest(chains: pd.DataFrame) -> pd.DataFrame:
    """The row of the order whose shared chain is nearest to the truth, the lowest of equals."""
    kl = without_rounding(chains["kl_nats_per_word"])
    return chains.assign(kl_nats_per_word=kl).sort_values(["kl_nats_per_word", "order"]).head(1)


def without_rounding(values: pd.Series) -> pd.Series:
    """Nats to 1e-12: what is left of an exact zero is rounding, of either sign."""
    return values.astype(float).round(12) + 0.0


def prices(frame: pd.DataFrame, hidden_dim: int) -> Figure:
    """For each family a line from what rows of its own at every t would leave to what sharing leaves."""
    found = list(parts(frame))
    figure, axes = panels([source for source, *_ in found], size=(2.2, 1.5), margin=0.4, left=1.0)
    for number, (panel, (_, chains, networks)) in enumerate(zip(axes, found, strict=True)):
        best = networks[networks["hidden_dim"] == hidden_dim].groupby("setting")["kl_nats_per_word"].mean()
        alone = [*chains["per_step_kl_nats_per_word"].astype(float), float(best["clock"])]
        shared = [*chains["kl_nats_per_word"].astype(float), float(best["plain"])]
        texts = ["iid", "Markov(1)", "Markov(2)", f"RNN, H = {hidden_dim}"]
        for y, (low, high) in enumerate(zip(alone, shared, strict=True)):
            _draw_price(panel, y, low, high, SHARED if y < len(chains) else COLOURS["plain"])
        panel.set_yticks(range(len(texts)), texts if number % 3 == 0 else [""] * len(texts))
        panel.set_ylim(len(texts) - 0.5, -0.5)
        panel.set_xlim(-0.1, 1.25 * max(shared))
        panel.grid(axis="y", visible=False)
        panel.set_xlabel("KL (nats per word)")
    return figure


def _draw_price(panel: Axes, y: int, low: float, high: float, colour: str) -> None:
    panel.plot([low, high], [y, y], color=colour, linewidth=3, alpha=0.35, solid_capstyle="butt")
    panel.plot(high, y, "o", color=colour)
    panel.plot(low, y, "o", color=colour, markerfacecolor="white")
    panel.annotate(f"{high - low:z.2f}", (high, y), (6, 0), textcoords="offset points", va="center", size=8)


def kl_by_position(frame: pd.DataFrame, hidden_dim: int) -> Figure:
    """KL at every t, up to the T of training and beyond, of networks of one size and of the best shared chain."""
    found = list(parts(frame))
    figure, axes = panels([source for source, *_ in found], size=(2.05, 1.9))
    for panel, (_, chains, networks) in zip(axes, found, strict=True):
        T, far = int(networks["T"].iloc[0]), int(networks["far"].iloc[0])
        panel.axvspan(T + 0.5, far, color=OKABE_ITO["black"], alpha=0.06, linewidth=0)
        best = nearest(chains)
        labels = [_draw_positions(panel, best, SHARED, f"Markov({int(best['order'].iloc[0])})")]
        for name, colour in COLOURS.items():
            mine = networks[(networks["setting"] == name) & (networks["hidden_dim"] == hidden_dim)]
            labels.append(_draw_positions(panel, mine, colour, ENDS[name]))
        panel.set_xlim(1, far)
        panel.set_xticks([1, T, far])
        log_axis(panel, "y", FLOOR, CEILING)
        label_ends(panel, labels)
    name_axes(axes, 3, "position t (symbols)", "KL at t (nats)")
    return figure


def _draw_positions(panel: Axes, rows: pd.DataFrame, colour: str, text: str) -> Label:
    """The mean over rows, with a band from the lowest to the highest, against t."""
    line = long_form(rows, "kl_by_position_nats").clip(lower=FLOOR)
    line_with_band(panel, line, "t", "value", colour, marker="")
    return line_end(text, line, "t", "value", colour)


def kl_against_size(frame: pd.DataFrame) -> Figure:
    """What is left above the exact floor H(T) against the number of hidden units."""
    found = list(parts(frame))
    figure, axes = panels([source for source, *_ in found], size=(2.05, 1.9), margin=1.3)
    for panel, (_, chains, networks) in zip(axes, found, strict=True):
        shared, sizes = max(float(chains["kl_nats_per_word"].min()), FLOOR), sorted(networks["hidden_dim"].unique())
        panel.axhline(shared, color=SHARED, linewidth=1.2, linestyle=":")
        labels = [Label("best Markov", sizes[-1], shared, SHARED)]
        networks = networks.assign(kl=networks["kl_nats_per_word"].clip(lower=FLOOR))
        for name, colour in COLOURS.items():
            mine = networks[networks["setting"] == name]
            line_with_band(panel, mine, "hidden_dim", "kl", colour)
            labels.append(line_end(ENDS[name], mine, "hidden_dim", "kl", colour))
        log_axis(panel, "x", sizes[0] / 1.2, sizes[-1] * 1.2)
        panel.set_xticks(sizes, [f"{H:g}" for H in sizes])
        log_axis(panel, "y", FLOOR, CEILING)
        label_ends(panel, labels)
    name_axes(axes, 3, "hidden units H", "KL (nats per word)")
    return figure


def price_table(frame: pd.DataFrame) -> pd.DataFrame:
    """A line per source and order."""
    chains = frame[frame["kind"] == "chain"]
    columns = {
        "source": chains["source"],
        "order m": chains["order"],
        "rows at every t, KL (nats/word)": without_rounding(chains["per_step_kl_nats_per_word"]),
        "shared rows, KL (nats/word)": without_rounding(chains["kl_nats_per_word"]),
        "price (nats/word)": without_rounding(chains["price_nats_per_word"]),
        "free parameters, at every t": chains["per_step_free_parameters"].astype(int),
        "free parameters, shared": chains["free_parameters"].astype(int),
    }
    return pd.DataFrame(columns).sort_values(["source", "order m"], ignore_index=True)


def network_table(frame: pd.DataFrame, settings: Mapping[str, str]) -> pd.DataFrame:
    """A line per source, size and setting; the settings' names are what readers see."""
    lines = []
    rows = frame[frame["kind"] == "network"]
    for (source, H, setting), cell in rows.groupby(["source", "hidden_dim", "setting"], sort=False):
        kl, unseen = (without_rounding(cell[name]) for name in ("kl_nats_per_word", "unseen_kl_nats_per_symbol"))
        line = {"source": source, "H": H, "setting": settings[str(setting)]}
        line |= {"free parameters": int(cell["free_parameters"].iloc[0])}
        line |= {"KL (nats/word)": kl.mean(), "lowest": kl.min(), "highest": kl.max()}
        line |= {"KL at unseen t (nats/symbol)": unseen.mean()}
        lines.append(line | {"converged": f"{int(cell['converged'].sum())} of {len(cell)}"})
    return pd.DataFrame(lines)
