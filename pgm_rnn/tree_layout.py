"""How the levels of a prefix tree are built, and which of three layouts needs the least work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pgm_rnn.checks import check_budget, check_name, reject
from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.lanes import State, count_numbers, join_lanes
from pgm_rnn.sequences import Sequences
from pgm_rnn.sides import Sides

LAYOUT_COST = {"union": 1.2, "forest": 1.35, "batch": 1.0}
"""Relative cost of one cell, from ``benchmarks/layouts.py``: a gather by replicate is dearer than a shared one."""

CELL = 16
"""Numbers in the state of one lane and replicate that count as one cell; wider states count as several."""

MAX_CELLS = 2**19
"""Cells that are evaluated at once; what is larger goes in blocks, so memory stays bounded."""

GROW_LANES = 2**15
"""Lanes whose children are computed at once while a law's tree grows."""


class Level(NamedTuple):
    """The prefixes of one length, as lanes sorted by parent and then by symbol.

    ``parent`` (lanes,) or (R, lanes): the lane of the prefix without its last symbol; None where it is the same lane.
    ``symbol`` of the same shape: that last symbol, None at the root. ``weights`` (lanes, k) or (R, lanes, k): the
    share of the data, or the probability, of the prefix followed by each symbol.
    """

    parent: Tensor | None
    symbol: Tensor | None
    weights: Tensor

    def alone(self) -> Level:
        """The level of a single data set, without the replicate axis."""
        return Level._make(part if part is None or part.ndim < 2 else part.squeeze(0) for part in self)


class Structure(NamedTuple):
    """One level of a set of distinct prefixes: ``node`` (M,) is the lane of every word that is ``there`` (M,), which it
    is as long as it has symbols."""

    node: Tensor
    there: Tensor
    width: int
    parent: Tensor | None
    symbol: Tensor | None


class Layout(NamedTuple):
    """How the words of ``R`` data sets are laid out: their levels, what each root is conditioned on, the number of
    distinct prefixes and the layout's name."""

    levels: list[Level]
    sides: Sides
    num_nodes: int
    name: str


def lay_out(sets: Sequence[Sequences], layout: str | None) -> Layout:
    """The words of ``R`` data sets by the layout of that name, or the cheapest; a root for every distinct side."""
    words, lengths, owner, sides, k = _gather(sets)
    totals = torch.tensor([len(data) for data in sets], device=words.device)
    root, roots = _distinct(sides, torch.zeros_like(owner))
    own, own_roots = _distinct(sides, owner)
    union, num_nodes = _structure(words, lengths, root, len(roots), k)
    forest = union if len(sets) == 1 else _structure(words, lengths, own, len(own_roots), k)[0]
    owners = _owners(forest, owner[own_roots], len(totals))
    if layout is None:
        layout = _cheapest(union, owners, totals)
    check_name("layout", layout, LAYOUT_COST)
    if layout == "union":
        return Layout(_union(words, owner, union, totals, k), sides.map(lambda p: p[roots]), num_nodes, layout)
    if layout == "forest":
        return Layout(
            _forest(words, forest, owners, totals, k),
            sides.map(lambda p: _padded(p[own_roots], owners[0].counts)),
            num_nodes,
            layout,
        )
    return Layout(_batch(words, lengths, totals, k), sides.map(lambda p: _padded(p, totals)), num_nodes, layout)


def levels_of_law(law: SequenceDistribution, shares: Tensor, max_nodes: int) -> tuple[list[Level], int]:
    """The levels of all words of positive probability under ``law``, and the number of their prefixes.

    ``shares``: ``(G,)``, the probability of every root.
    """
    way_out = "use a smaller duration, or score with num_sequences"
    batch, roots = law.batch_shape[:-1], len(shares)
    replicates = batch.numel()
    check_budget("duration", law.support_size() * replicates * roots, max_nodes, "words in the prefix tree", way_out)
    with torch.no_grad():
        state = law.initial_state((*batch, roots))
        mass = shares.to(law.device, torch.double).log().expand(*batch, roots)  # log-probability of every lane
        levels, num_nodes = [], 0
        parent = symbol = None
        for t in range(law.duration):
            log_p = mass.unsqueeze(-1) + law.next_logits(state).double().log_softmax(-1)
            if bool(log_p.isnan().any()):
                raise reject("law", "probabilities", "NaN", "look for NaN among the model's parameters")
            levels.append(Level(parent, symbol, log_p.exp()))
            edge = (levels[-1].weights > 0).flatten(0, -3).any(0) if batch else levels[-1].weights > 0
            num_nodes += int(edge.sum())
            check_budget("duration", num_nodes * replicates, max_nodes, "prefixes in the tree", way_out)
            if t + 1 == law.duration:
                break
            parent, symbol = edge.nonzero(as_tuple=True)
            mass = log_p[..., parent, symbol]
            state = join_lanes(list(states_below(law, state, parent, symbol)), len(batch))
    return levels, num_nodes


def states_below(law: SequenceDistribution, state: State, parent: Tensor, symbol: Tensor) -> Iterator[State]:
    """The states of lanes ``parent`` after ``symbol``, in parts of at most :data:`GROW_LANES`."""
    lead = (1,) * len(law.batch_shape[:-1])
    for above, new in zip(parent.split(GROW_LANES), symbol.split(GROW_LANES), strict=True):
        yield law.update(law.select(state, above.reshape(*lead, -1)), new.reshape(*lead, -1))


def lanes_at_once(law: SequenceDistribution) -> int:
    """How many lanes of a law, each with the states of all its replicates, are evaluated together."""
    numbers = count_numbers(law.initial_state((*law.batch_shape[:-1], 1)))
    return max(1, MAX_CELLS * CELL // max(numbers, CELL * law.batch_shape.numel()))


def _gather(sets: Sequence[Sequences]) -> tuple[Tensor, Tensor, Tensor, Sides, int]:
    """All words under each other ``(M, T)``, the length and the data set of each ``(M,)``, their sides, and k."""
    if not sets:
        raise reject("sequences", "at least one data set", "an empty list")
    for data in sets:
        if not isinstance(data, Sequences):
            raise reject("sequences", "Sequences or a list of them", type(data).__name__)
        shape = (sets[0].duration, sets[0].alphabet_size)
        if (data.duration, data.alphabet_size) != shape:
            raise reject("sequences", f"T={shape[0]} and k={shape[1]} in every data set", repr(data))
        kinds = [{name: (p.dtype, p.shape[1:]) for name, p in each.sides.given.items()} for each in (sets[0], data)]
        if kinds[0] != kinds[1]:
            raise reject("sequences", "contexts and inputs of one kind in every data set", repr(data))
    words = torch.cat([data.symbols for data in sets])
    lengths = torch.cat([data.word_lengths for data in sets])
    columns = zip(*(data.sides for data in sets), strict=True)
    sides = Sides(*(None if column[0] is None else torch.cat(column) for column in columns))
    owner = torch.arange(len(sets)).repeat_interleave(torch.tensor([len(data) for data in sets])).to(words.device)
    return words, lengths, owner, sides, sets[0].alphabet_size


def _distinct(sides: Sides, owner: Tensor) -> tuple[Tensor, Tensor]:
    """The number of every word's owner and side among those that occur, and a word that has each, sorted by owner."""
    columns = [
        owner.unsqueeze(-1).double(),
        *(part.double().reshape(len(owner), -1) for part in sides if part is not None),
    ]
    _, root = torch.unique(torch.cat(columns, -1), dim=0, return_inverse=True)
    position = torch.arange(len(root), device=root.device)
    first = torch.full((int(root.max()) + 1,), len(root), device=root.device)
    return root, first.scatter_reduce(0, root, position, "amin")


def _padded(rows: Tensor, counts: Tensor) -> Tensor:
    """Rows ``(sum of counts, ...)`` of R owners as ``(R, most of them, ...)``."""
    return torch.nn.utils.rnn.pad_sequence(list(rows.split(counts.tolist())), batch_first=True)


def _structure(words: Tensor, lengths: Tensor, node: Tensor, width: int, k: int) -> tuple[list[Structure], int]:
    """The distinct prefixes level by level, from ``width`` roots, and their number without the roots.

    A level that no word reaches has one lane, of no weight.
    """
    levels, num_nodes = [Structure(node, lengths > 0, width, None, None)], 0
    for t in range(words.shape[1]):
        code = node * k + words[:, t]
        present = torch.zeros(width * k, dtype=torch.bool, device=words.device)
        present[code[lengths > t]] = True
        num_nodes += int(present.sum())
        if t + 1 < words.shape[1]:
            present[0] |= ~present.any()
            edges = present.nonzero().squeeze(-1)
            node, width = (present.cumsum(0) - 1)[code].clamp(min=0), len(edges)
            levels.append(Structure(node, lengths > t + 1, width, edges // k, edges % k))
    return levels, num_nodes


class Owners(NamedTuple):
    """The data set of every lane of a forest's level, and the number of lanes of each data set."""

    lane: Tensor
    counts: Tensor


def _cheapest(union: list[Structure], owners: list[Owners], totals: Tensor) -> str:
    """The layout with the fewest predicted cells, each weighted by its cost."""
    replicates = len(totals)
    cells = {
        "union": replicates * sum(level.width for level in union),
        "forest": replicates * sum(int(level.counts.max()) for level in owners),
        "batch": replicates * int(totals.max()) * len(union),
    }
    if cells["forest"] > MAX_CELLS:  # it alone cannot be cut into blocks of subtrees
        del cells["forest"]
    return min(cells, key=lambda layout: LAYOUT_COST[layout] * cells[layout])


def _owners(forest: list[Structure], owner: Tensor, replicates: int) -> list[Owners]:
    """Whose the lanes of every level are, from those of the roots on."""
    result = []
    for level in forest:
        owner = owner if level.parent is None else owner[level.parent]
        result.append(Owners(owner, torch.bincount(owner, minlength=replicates)))
    return result


def _union(words: Tensor, owner: Tensor, union: list[Structure], totals: Tensor, k: int) -> list[Level]:
    replicates, levels = len(totals), []
    for t, level in enumerate(union):
        code = ((owner * level.width + level.node) * k + words[:, t])[level.there]
        counts = torch.bincount(code, minlength=replicates * level.width * k).reshape(replicates, level.width, k)
        levels.append(Level(level.parent, level.symbol, _shares(counts, totals)))
    return levels


def _forest(words: Tensor, forest: list[Structure], owners: list[Owners], totals: Tensor, k: int) -> list[Level]:
    """Every data set's own levels side by side, padded to the widest with lanes of weight zero below lane 0."""
    replicates, levels, place = len(totals), [], torch.zeros_like(totals)
    for t, (level, (owner, counts)) in enumerate(zip(forest, owners, strict=True)):
        width = int(counts.max())
        above, place = place, torch.arange(level.width, device=owner.device) - (counts.cumsum(0) - counts)[owner]
        lane = owner * width + place  # where each prefix stands in the padded (R, width) level
        code = (lane[level.node] * k + words[:, t])[level.there]
        weights = torch.bincount(code, minlength=replicates * width * k).reshape(replicates, width, k)
        parent = symbol = None
        if level.parent is not None and level.symbol is not None:
            blank = torch.zeros(replicates * width, dtype=torch.long, device=owner.device)
            parent = blank.index_copy(0, lane, above[level.parent]).reshape(replicates, width)
            symbol = blank.index_copy(0, lane, level.symbol).reshape(replicates, width)
        levels.append(Level(parent, symbol, _shares(weights, totals)))
    return levels


def _batch(words: Tensor, lengths: Tensor, totals: Tensor, k: int) -> list[Level]:
    """One lane per word at every level: nothing is shared and nothing is gathered."""
    padded, lengths = _padded(words, totals), _padded(lengths, totals)  # (R, N, T) and (R, N), of no length where none
    levels, last = [], None
    for t, symbol in enumerate(padded.unbind(-1)):
        one_hot = torch.nn.functional.one_hot(symbol, k) * (lengths > t).unsqueeze(-1)  # (R, N, k)
        levels.append(Level(None, last, _shares(one_hot, totals)))
        last = symbol
    return levels


def _shares(counts: Tensor, totals: Tensor) -> Tensor:
    return counts.double() / totals.reshape(-1, 1, 1)
