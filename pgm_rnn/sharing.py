"""The price of sharing: what one table for all t loses against a table of its own for every t."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pgm_rnn.checks import check_integer, reject
from pgm_rnn.distribution import SequenceDistribution, check_law
from pgm_rnn.prefix_tree import PrefixTree
from pgm_rnn.processes.mixed_states import entropies


class Sharing(NamedTuple):
    """The two best chains of one order for a law: KL(law || chain) of each symbol, ``(T,)``, in nats.

    ``per_step``: with rows of its own at every t. ``shared``: with the same rows at every t.
    """

    per_step: Tensor
    shared: Tensor

    @property
    def price(self) -> float:
        """Nats per word that sharing costs."""
        return float((self.shared - self.per_step).sum())


def price_of_sharing(law: SequenceDistribution, order: int) -> Sharing:
    r"""What the chain of ``order`` m pays for having one table, in closed form from the law's own marginals.

    With :math:`c_t = y_{t-m} \ldots y_{t-1}`, the best table of step t is the true :math:`P_t(y \mid c)`, and the best
    one for all t is its average weighted by how often each context comes,

    .. math:: \bar P(y \mid c) = \frac{\sum_{t > m} P_t(c, y)}{\sum_{t > m} P_t(c)}, \qquad
              \text{price} = \sum_{t > m} \sum_c P_t(c) \, KL(P_t(\cdot \mid c) \| \bar P(\cdot \mid c))
                           = (T - m) \, I(t; y_t \mid c_t)

    for t uniform on m+1..T: what the position says of the symbol beyond its context. It is zero if and only if the
    conditionals do not move, for which stationarity is sufficient and, at m > 0, not necessary. Contexts shorter than m
    occur at one t only, so their rows are shared with nobody.

    Args:
        law: of words over k symbols, without replicates, such as ``process(duration)``.
        order: m; 0 for independent symbols.

    Raises:
        InputError: if the law has replicates, or too many words for its prefix tree.

    Source: *Deep Learning* (2016), section 10.2.3, on what sharing over time assumes.

    Example:
        >>> from pgm_rnn import processes
        >>> coins = processes.cyclostationary([[0.75, 0.25], [0.25, 0.75]])
        >>> round(price_of_sharing(coins(2), order=0).price, 9)  # 2 (H(1/2) - H(1/4))
        0.261624072
        >>> abs(price_of_sharing(processes.alternating()(8), order=0).price) < 1e-12  # fair at every t
        True
    """
    order = check_integer("order", order, 0)
    if check_law("law", law).batch_shape:
        raise reject("law", "a law without replicates", f"batch shape {tuple(law.batch_shape)}")
    tree = PrefixTree.from_law(law)
    blocks = block_marginals(tree, order)
    unavoidable = tree.entropies()
    per_step = torch.stack([conditional_entropy(block) for block in blocks]) - unavoidable
    long = blocks[order:]
    if not long:  # no context is as long as the order
        return Sharing(per_step, per_step)
    total = torch.stack(long).sum(0)
    average = (total / total.sum(-1, keepdim=True).clamp_min(torch.finfo(total.dtype).tiny)).log()
    shared = -torch.stack([torch.where(block > 0, block * average, 0.0).sum() for block in long])
    return Sharing(per_step, torch.cat([per_step[:order], shared - unavoidable[order:]]))


def block_marginals(tree: PrefixTree, order: int) -> list[Tensor]:
    """``P(c_t, y_t)`` for t = 1..T: ``(k^l, k)`` with ``l = min(t - 1, order)``, contexts in lexicographic order."""
    k = tree.alphabet_size
    blocks = []
    context = torch.zeros(1, dtype=torch.long, device=tree.totals.device)
    for t, level in enumerate(tree.levels):
        contexts = k ** min(t, order)
        if level.parent is not None and level.symbol is not None:
            context = (context[level.parent] * k + level.symbol) % contexts
        blocks.append(level.weights.new_zeros(contexts, k).index_add_(0, context, level.weights))
    return blocks


def conditional_entropy(block: Tensor) -> Tensor:
    """``H(y | c)`` in nats of a joint distribution ``(contexts, k)``."""
    return entropies(block.flatten()) - entropies(block.sum(-1))
