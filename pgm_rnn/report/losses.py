"""Loss curves over the exact floor: the entropy that no model can get below."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pgm_rnn.report.figures import OKABE_ITO, log_axis, name_axes, panels
from pgm_rnn.report.labels import Label, label_ends


def losses_over_floors(rows: pd.DataFrame) -> Figure:
    """Training loss against steps, a panel per process and a line per seed, down to the entropy H(T) of a word.

    Rows hold ``process, T, floor_nats_per_word`` and, as JSON text, the lists ``loss_steps`` and
    ``losses_nats_per_word``.
    """
    processes = list(rows["process"].unique())
    figure, grid = panels(processes, size=(2.3, 1.6), margin=0.95)
    for axes, process in zip(grid, processes, strict=True):
        mine = rows[rows["process"] == process]
        floor, T = float(mine["floor_nats_per_word"].iloc[0]), int(mine["T"].iloc[0])
        steps = [1 + np.array(json.loads(text)) for text in mine["loss_steps"]]  # the first is the untrained network
        losses = [json.loads(text) for text in mine["losses_nats_per_word"]]
        for x, y in zip(steps, losses, strict=True):
            axes.plot(x, y, color=OKABE_ITO["blue"], linewidth=0.9, alpha=0.5)
        axes.axhline(floor, color=OKABE_ITO["black"], linewidth=1.2)
        top, end = max(max(y) for y in losses), float(max(x[-1] for x in steps))
        axes.set_ylim(floor - 0.12 * (top - floor), top)
        log_axis(axes, "x", 1, end)
        label_ends(axes, [Label(f"H({T}) = {floor:.4g}", end, floor, OKABE_ITO["black"])])
    name_axes(grid, 3, "training step", "loss (nats per word)")
    return figure
