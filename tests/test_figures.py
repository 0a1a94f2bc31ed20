"""Drawing: labels that keep apart, fronts, files that never change, and graphs that are read off programs."""

from __future__ import annotations

from itertools import pairwise

import matplotlib
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from pgm_rnn.checks import InputError
from pgm_rnn.experiment.breakdown import split_loss, winners
from pgm_rnn.folding import Arc, fold
from pgm_rnn.graphs import graph_edges
from pgm_rnn.models import Markov, Recurrent, Tabular
from pgm_rnn.programs import fused, stepwise
from pgm_rnn.report.figures import house_style, panels, pareto_front, to_png, to_svg
from pgm_rnn.report.graphs import side_by_side
from pgm_rnn.report.labels import Label, label_ends, spread

numbers = st.floats(-50, 150, allow_nan=False)


@given(st.lists(numbers, min_size=1, max_size=12), st.floats(0.1, 20))
def test_spread_keeps_order_distance_and_range(positions: list[float], gap: float) -> None:
    placed = spread(positions, gap, 0.0, 100.0)
    assert all(-1e-9 <= y <= 100 + 1e-9 for y in placed)
    in_order = [y for _, y in sorted(zip(positions, placed, strict=True), key=lambda pair: pair)]
    room = min(gap, 100.0 / max(len(positions) - 1, 1))
    assert all(b - a >= room - 1e-6 for a, b in pairwise(in_order))


def test_spread_leaves_what_is_far_apart() -> None:
    assert spread([10.0, 50.0, 30.0], 5.0, 0.0, 100.0) == [10.0, 50.0, 30.0]


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=12))
def test_front_is_what_nobody_beats(points: list[tuple[int, int]]) -> None:
    def beaten(point: tuple[int, int]) -> bool:
        return any(o[0] <= point[0] and o[1] <= point[1] and o != point for o in points)

    front = pareto_front([cost for cost, _ in points], [float(loss) for _, loss in points])
    assert {points[i] for i in front} == {point for point in points if not beaten(point)}


def test_split_adds_up_and_winners_share_ties() -> None:
    kl = {("rnn", 100): (0.5, 0.7), ("rnn", float("inf")): (0.1, 0.2)}
    kl |= {("table", 100): (0.6, 0.6), ("twin", 100): (0.6, 0.6)}
    lines = [
        {"process": "even", "T": 4, "N": N, "model": model, "seed": seed, "kl_nats_per_word": value}
        for (model, N), values in kl.items()
        for seed, value in enumerate(values)
    ]
    rows = pd.DataFrame(lines)
    labels = {"rnn": "RNN", "table": "table", "twin": "twin"}
    at_100 = split_loss(rows, labels, ["rnn"]).set_index("N").loc[100]
    parts = [at_100[name] for name in ("approximation (upper bound)", "optimisation gap", "estimation")]
    assert parts == pytest.approx([0.1, 0.05, 0.45])
    assert sum(parts) == pytest.approx(at_100["KL (nats/word)"])
    assert winners(rows, labels, "table", "rnn")["winner"].tolist() == ["RNN, table, twin", "RNN"]


def draw() -> Figure:
    figure, axes = panels(["one", "two"])
    for panel in axes:
        panel.plot([0, 1], [0, 1])
        label_ends(panel, [Label(f"a long label {i}", 1, y, "black") for i, y in enumerate((0.9, 0.91, 0.92, 2.0))])
    return figure


def test_labels_do_not_overlap_and_stay_on_the_figure() -> None:
    with house_style():
        figure = draw()
        figure.draw_without_rendering()
        for panel in figure.axes:
            boxes = sorted((text.get_window_extent() for text in panel.texts), key=lambda box: box.y0)
            assert len(boxes) == 4
            assert all(low.y1 <= high.y0 + 0.5 for low, high in pairwise(boxes))
            assert all(box.x1 <= figure.bbox.x1 and box.y0 >= 0 and box.y1 <= figure.bbox.y1 for box in boxes)


def test_files_are_the_same_every_time_and_settings_are_left_alone() -> None:
    before = dict(matplotlib.rcParams)
    (first, figure), (second, again) = to_svg(draw, "name"), to_svg(draw, "name")
    assert first == second
    assert to_png(figure) == to_png(again)
    assert dict(matplotlib.rcParams) == before
    assert 'id="name-' in first
    assert 'id="figure' not in first


def complete(T: int) -> set[tuple[str, str]]:
    return {(f"y_{s}", f"y_{t}") for t in range(1, T + 1) for s in range(1, t)}


def test_graphs_are_those_of_the_families() -> None:
    assert set(graph_edges(stepwise, Tabular(2, 4), duration=4)[1]) == complete(4)
    assert set(graph_edges(stepwise, Markov(2, 1), duration=4)[1]) == {("y_1", "y_2"), ("y_2", "y_3"), ("y_3", "y_4")}
    assert set(graph_edges(stepwise, Recurrent(2, 3), duration=4)[1]) == complete(4)
    nodes, edges = graph_edges(stepwise, Recurrent(2, 3), duration=3, mediators=True)
    assert set(nodes) == {"h_1", "y_1", "h_2", "y_2", "h_3", "y_3"}
    across = {("h_1", "h_2"), ("y_1", "h_2"), ("h_2", "h_3"), ("y_2", "h_3")}
    assert set(edges) == {(f"h_{t}", f"y_{t}") for t in (1, 2, 3)} | across


def test_reading_a_graph_leaves_the_generator_alone() -> None:
    state = torch.get_rng_state()
    graph_edges(stepwise, Tabular(2, 2), duration=2)
    assert torch.equal(state, torch.get_rng_state())


def test_a_program_with_other_sites_is_refused() -> None:
    with pytest.raises(InputError, match="sites named y_1"):
        graph_edges(fused, Tabular(2, 2), duration=2)


def test_two_graphs_have_as_many_arrows_as_edges() -> None:
    graphs = [graph_edges(stepwise, model, duration=4) for model in (Tabular(2, 4), Markov(2, 1))]
    with house_style():
        figure = side_by_side(list(zip(("table", "chain"), graphs, strict=True)))
    assert [len(axes.patches) for axes in figure.axes] == [6, 3]


def test_the_recurrent_graph_stands_on_the_rows_and_scale_of_the_unfolded_one() -> None:
    unfolded = graph_edges(stepwise, Recurrent(2, 3), duration=4, mediators=True)
    with house_style():
        figure = side_by_side([("recurrent", fold(*unfolded)), ("unfolded", unfolded)])
        figure.draw_without_rendering()
    recurrent, steps = figure.axes
    assert [len(axes.patches) for axes in figure.axes] == [3, 4 + 2 * 3]
    letters = {text.get_text() for text in recurrent.texts} - {""}
    assert letters == {"$h_t$", "$y_t$"}
    squares = [mark for mark in recurrent.collections if mark.get_facecolor()[0, :3].tolist() == [0, 0, 0]]
    assert len(squares) == 2  # h to h and y to h, one step later
    points = {(axes, at): axes.transData.transform(at) for axes in figure.axes for at in ((0, 0), (1, 1))}
    assert points[recurrent, (0, 0)][1] == pytest.approx(points[steps, (0, 0)][1])
    unit = points[recurrent, (1, 1)] - points[recurrent, (0, 0)]
    assert unit == pytest.approx(points[steps, (1, 1)] - points[steps, (0, 0)])
    assert unit[0] == pytest.approx(unit[1])


def test_delays_of_more_than_one_step_are_written_beside_their_square() -> None:
    with house_style():
        figure = side_by_side([("chain", [Arc("y", "y", 1), Arc("y", "y", 2)])])
        figure.draw_without_rendering()
    (axes,) = figure.axes
    assert sorted(text.get_text() for text in axes.texts) == ["", "$y_t$", "2"]
    assert all(axes.bbox.contains(*axes.transData.transform(mark.get_offsets()[0])) for mark in axes.collections)
