"""The prefix tree of a data set or of a law: every model is evaluated once per distinct prefix."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from pgm_rnn.checks import MAX_NODES, reject
from pgm_rnn.distribution import SequenceDistribution, check_law
from pgm_rnn.edges import Edges
from pgm_rnn.family import Family
from pgm_rnn.lanes import State, map_state
from pgm_rnn.sequences import Sequences
from pgm_rnn.sides import NO_SIDES, Sides
from pgm_rnn.tree_layout import Level, lanes_at_once, lay_out, levels_of_law


class PrefixTree:
    r"""All prefixes of a set of words, each with its weight: the share of the data, or the probability.

    Lanes at level ``t`` are the prefixes of length ``t`` and carry the weights of their ``k`` continuations, which
    sum to 1 over each level and replicate; or to the share of the words that are longer than ``t``, where their lengths
    differ: what follows the last symbol of a word is neither scored nor seen. For a law :math:`Q`,

    .. math:: \sum_w P(w) \log Q(w) = \sum_{t=1}^T \sum_{|v| = t-1} \sum_y P(v y) \log Q(y \mid v)

    costs one update per distinct prefix. ``R`` data sets share one structure (``union``), have one each side by side
    (``forest``), or are evaluated word by word (``batch``): whichever a planner predicts to be cheapest.

    Example:
        >>> tree = PrefixTree.from_sequences(Sequences([[0, 1], [0, 0]], 2))
        >>> tree.num_nodes, int(tree.totals)
        (3, 2)
    """

    def __init__(
        self,
        levels: Sequence[Level],
        alphabet_size: int,
        totals: Tensor,
        num_nodes: int,
        layout: str = "union",
        sides: Sides = NO_SIDES,
    ) -> None:
        self.levels = list(levels)
        self.alphabet_size = alphabet_size
        self.totals = totals
        self.num_nodes = num_nodes
        self.layout = layout
        self.sides = sides
        self._cast: dict[torch.dtype, tuple[Tensor, Tensor]] = {}
        self._shaped: dict[int, Edges] = {}

    @property
    def duration(self) -> int:
        return len(self.levels)

    @property
    def replicates(self) -> int | None:
        """The number of data sets, or None for a single one without a replicate axis."""
        return self.totals.shape[0] if self.totals.ndim else None

    @property
    def num_cells(self) -> int:
        """Lanes of all levels: the states to compute for one replicate of a model."""
        return sum(level.weights.shape[-2] for level in self.levels)

    def to(self, device: torch.device | str) -> PrefixTree:
        """The same tree on another device."""
        moved = copy.copy(self)
        moved._cast, moved._shaped = {}, {}
        moved.levels = [
            Level._make(None if part is None else part.to(device) for part in level) for level in self.levels
        ]
        moved.totals = self.totals.to(device)
        moved.sides = self.sides.map(lambda part: part.to(device))
        return moved

    @classmethod
    def from_sequences(cls, sequences: Sequences | Sequence[Sequences], layout: str | None = None) -> PrefixTree:
        """The tree of one data set, or of a list of ``R``, by the cheapest of the three layouts unless one is named."""
        single = isinstance(sequences, Sequences)
        if not isinstance(sequences, Sequences | Sequence):
            raise reject("sequences", "Sequences, or a list of them", type(sequences).__name__)
        sets = [sequences] if isinstance(sequences, Sequences) else list(sequences)
        levels, sides, num_nodes, layout = lay_out(sets, layout)
        totals = torch.tensor([len(data) for data in sets], dtype=torch.double, device=sets[0].symbols.device)
        if single:
            levels, totals = [level.alone() for level in levels], totals[0]
            sides = sides if sides.replicates is None else sides.map(lambda part: part[0])
        return cls(levels, sets[0].alphabet_size, totals, num_nodes, layout, sides)

    @classmethod
    def from_law(
        cls,
        law: SequenceDistribution,
        max_nodes: int = MAX_NODES,
        sides: Sides = NO_SIDES,
        shares: Tensor | None = None,
    ) -> PrefixTree:
        """The tree of all words of positive probability: data without end, ``totals`` being infinite.

        Args:
            law: with batch shape ``()`` or ``(R, 1)``; given sides, ``(G,)`` or ``(R, G)``.
            max_nodes: prefixes at most.
            sides: what the law's G roots are conditioned on.
            shares: ``(G,)``, the probabilities of the roots; equal if None.

        Raises:
            InputError: if there are more than ``max_nodes`` prefixes, before they are allocated.
        """
        if not sides.given:
            check_law("law", law)
        roots = law.batch_shape[-1] if law.batch_shape else 1
        shares = torch.full((roots,), 1 / roots, dtype=torch.double) if shares is None else shares
        if shares.shape != (roots,):
            raise reject("shares", f"one for each of the law's {roots} roots", tuple(shares.shape))
        levels, num_nodes = levels_of_law(law, shares, max_nodes)
        totals = levels[0].weights.new_full(law.batch_shape[:-1], torch.inf)
        return cls(levels, law.alphabet_size, totals, num_nodes, sides=sides)

    @classmethod
    def from_source(cls, source: Family, duration: int) -> PrefixTree:
        """All words of a family; of a source of words given a context or inputs, those under each of its conditions."""
        sides, shares = source.conditions(duration) or (NO_SIDES, None)
        return cls.from_law(source(duration, **sides.given), sides=sides, shares=shares)

    def law(self, family: Callable[..., SequenceDistribution]) -> SequenceDistribution:
        """The law of a family at the tree's duration, conditioned on what its roots are."""
        return family(self.duration, **self.sides.given)

    def entropies(self) -> Tensor:
        r"""Entropy of each step given the past under the tree's own weights, ``(T,)`` or ``(R, T)``, in nats.

        Where lengths differ, times the share of the words that have the step, as in :meth:`expected_log_probs`.
        """
        terms = []
        for level in self.levels:
            weights = level.weights
            terms.append(
                (torch.xlogy(weights.sum(-1), weights.sum(-1)) - torch.xlogy(weights, weights).sum(-1)).sum(-1)
            )
        return torch.stack(terms, -1)

    def expected_log_prob(self, law: SequenceDistribution) -> Tensor:
        r""":math:`\sum_w P(w) \log Q(w)` in nats per word, with ``0 * -inf = 0``: shape ``()`` or ``(R,)``.

        Differentiable in the law's tensors. Evaluated in blocks of subtrees of at most ``tree_layout.MAX_CELLS``
        states of 16 numbers.
        """
        return self._evaluate(law, by_position=False)

    def expected_log_probs(self, law: SequenceDistribution) -> Tensor:
        """:meth:`expected_log_prob` split by position: ``(T,)`` or ``(R, T)``."""
        return self._evaluate(law, by_position=True)

    def roots_and_edges(self, law: SequenceDistribution) -> tuple[State, Edges]:
        """The law's state at the root, and the edges that lead from there to every lane."""
        self._check(law)
        return self._roots(law), self._edges(len(self._batch(law)))

    # Evaluation.

    def _check(self, law: SequenceDistribution) -> None:
        if not self.sides.given:
            check_law("law", law)
        elif law.batch_shape[-1:] not in ((), (1,), (self.levels[0].weights.shape[-2],)):
            expected = (
                f"a law for each of the tree's {self.levels[0].weights.shape[-2]} roots, as tree.law(family) gives"
            )
            raise reject("law", expected, f"batch shape {tuple(law.batch_shape)}")
        for argument in ("alphabet_size", "duration"):
            if getattr(law, argument) != getattr(self, argument):
                raise reject(f"law.{argument}", f"{getattr(self, argument)}, as in the tree", getattr(law, argument))
        if self.replicates not in (None, 1) and law.batch_shape[-2:-1].numel() not in (1, self.replicates):
            raise reject("law.batch_shape", f"() or ({self.replicates}, 1), as in the tree", tuple(law.batch_shape))

    def _batch(self, law: SequenceDistribution) -> torch.Size:
        """Leading shape of lanes: the law's replicates, broadcast with the tree's own where lanes differ by them."""
        own = self.levels[-1].symbol
        replicates = self.sides.replicates if own is None or own.ndim == 1 else own.shape[0]
        return (
            law.batch_shape[:-1] if replicates is None else torch.broadcast_shapes(law.batch_shape[:-1], (replicates,))
        )

    def _roots(self, law: SequenceDistribution) -> State:
        return law.initial_state((*self._batch(law), self.levels[0].weights.shape[-2]))

    def _whole(self) -> list[slice]:
        return [slice(0, level.weights.shape[-2]) for level in self.levels]

    def _edges(self, lead: int) -> Edges:
        """The edges of all levels, with ``lead`` dimensions before the lanes."""
        if lead not in self._shaped:
            pairs = [
                (None if level.parent is None else _lead(level.parent, lead), _lead(level.symbol, lead))
                for level in self.levels[1:]
                if level.symbol is not None  # only the root has none
            ]
            self._shaped[lead] = Edges(pairs, self.levels[0].weights.shape[-2])
        return self._shaped[lead]

    def _part(self, lead: int, t: int, ranges: list[slice]) -> Edges:
        """The edges between the lanes in ``ranges``, below those of level ``t``."""
        pairs = [
            (None if parent is None else parent[..., below] - above.start, symbol[..., below])
            for (parent, symbol), above, below in zip(
                self._edges(lead).levels[t:], ranges[t:], ranges[t + 1 :], strict=False
            )
        ]
        return Edges(pairs, ranges[t].stop - ranges[t].start)

    def _evaluate(self, law: SequenceDistribution, by_position: bool) -> Tensor:
        self._check(law)
        budget = lanes_at_once(law)
        if self.num_cells <= budget or self.layout == "forest":
            roots, edges = self.roots_and_edges(law)
            return self._sum(law, roots, edges, 0, self._whole(), by_position)
        return self._block(law, self._roots(law), 0, self._whole()[0], by_position, budget)

    def _block(
        self, law: SequenceDistribution, state: State, t: int, lanes: slice, by_position: bool, budget: int
    ) -> Tensor:
        """The sum over the subtrees of lanes at level ``t``: at once if small enough, else level by level in halves."""
        lead, done = len(self._batch(law)), []
        while True:
            ranges = self._descendants(t, lanes)
            if sum(r.stop - r.start for r in ranges[t:]) <= max(budget, self.duration):
                at_once = partial(self._sum, law, state, self._part(lead, t, ranges), t, ranges, by_position)
                done.append(checkpoint(at_once, use_reentrant=False) if torch.is_grad_enabled() else at_once())
                break
            if lanes.stop - lanes.start > 1:
                middle = (lanes.start + lanes.stop) // 2
                for half in (slice(lanes.start, middle), slice(middle, lanes.stop)):
                    part = _lane_slice(state, lead, half, lanes.start)
                    done.append(self._block(law, part, t, half, by_position, budget))
                break
            done.append(self._sum(law, state, self._part(lead, t, ranges[: t + 1]), t, ranges[: t + 1], by_position))
            state = law.states_along(state, self._part(lead, t, ranges[: t + 2]))[-1]
            t, lanes = t + 1, ranges[t + 1]
        return torch.stack(done).sum(0)

    def _descendants(self, t: int, lanes: slice) -> list[slice]:
        """The range of lanes below ``lanes`` on every level from ``t`` on: lanes are sorted by parent."""
        ranges = [slice(0, 0)] * t + [lanes]
        for level in self.levels[t + 1 :]:
            if level.parent is not None:
                ends = torch.tensor([lanes.start, lanes.stop], device=level.parent.device)
                lanes = slice(*torch.searchsorted(level.parent, ends).tolist())
            ranges.append(lanes)
        return ranges

    def _sum(
        self, law: SequenceDistribution, state: State, edges: Edges, first: int, ranges: list[slice], by_position: bool
    ) -> Tensor:
        """The weighted log-probabilities of the lanes in ``ranges``, from ``state`` at level ``first`` on."""
        log_p = law.logits_along(state, edges).log_softmax(-1)
        weights, unseen = self._weights(log_p.dtype, first, ranges)
        terms = weights * log_p.masked_fill(unseen, 0.0)
        if not by_position:
            return terms.sum((-2, -1))
        lengths = edges.widths
        sums = torch.stack([part.sum((-2, -1)) for part in terms.split(lengths, -2)], -1)
        return torch.nn.functional.pad(sums, (first, self.duration - first - len(lengths)))

    def _weights(self, dtype: torch.dtype, first: int, ranges: list[slice]) -> tuple[Tensor, Tensor]:
        """Weights of the given lanes, concatenated over levels, and where they are zero."""
        whole = first == 0 and ranges == self._whole()
        if whole and dtype in self._cast:
            return self._cast[dtype]
        parts = [level.weights[..., r, :] for level, r in zip(self.levels[first:], ranges[first:], strict=False)]
        weights = torch.cat(parts, -2)
        result = weights.to(dtype), weights == 0
        if whole:
            self._cast[dtype] = result
        return result


def _lead(index: Tensor, lead: int) -> Tensor:
    """``index`` with leading dimensions of size 1 so that it stands for ``(*batch, lanes)``."""
    return index.reshape((1,) * (lead + 1 - index.ndim) + index.shape)


def _lane_slice(state: State, lead: int, lanes: slice, start: int) -> State:
    index = (slice(None),) * lead + (slice(lanes.start - start, lanes.stop - start),)
    return map_state(lambda tensor: tensor[index], state)
