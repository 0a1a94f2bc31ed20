"""When to stop: wrappers that turn a family over words of one length into one over finite words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from pgm_rnn.checks import reject
from pgm_rnn.family import Family, ParameterCount
from pgm_rnn.models.ending_law import EndingLaw, HaltingLaw, with_extra_output
from pgm_rnn.models.markov import Markov
from pgm_rnn.models.recurrent import Recurrent
from pgm_rnn.models.rows import RowsFamily, row_offset
from pgm_rnn.prefix_tree import PrefixTree
from pgm_rnn.sequences import Sequences


class EndingFamily(Family):
    """A family over k symbols and END, made from an inner one.

    ``family(T + 1)`` is the law of words of at most T symbols, each with END behind it up to ``T + 1`` steps; what has
    not ended by then it leaves open, so that summing out the last step gives ``family(T)``.

    Args:
        inner: the family that it is made from, and whose parameters it has.
        alphabet_size: k + 1.
    """

    ends = True

    def __init__(self, inner: Family, alphabet_size: int) -> None:
        super().__init__(alphabet_size, inner.replicates)
        self.inner = inner

    def read(self, words: Sequences) -> Sequences:
        """Words with END behind them, where they do not have it yet; over other symbols they are left to be refused.

        Raises:
            InputError: if one of them has no symbol before END.
        """
        words = super().read(words)
        if words.alphabet_size != self.alphabet_size:
            return words
        ended = words.symbols == self.alphabet_size - 1
        if bool(ended[:, 0].any()):
            raise reject("sequences", "words of at least one symbol", "END as a first symbol")
        if bool((ended[:, :-1] & ~ended[:, 1:]).any()):
            raise reject("sequences", "words with nothing behind END", "a symbol that follows it")
        return words

    def configuration(self) -> dict[str, Any]:
        """The constructor's arguments, the inner family among them."""
        return {"inner": self.inner}

    def with_replicates(self, replicates: int | None) -> Family:
        return type(self)(**{**self.configuration(), "inner": self.inner.with_replicates(replicates)})

    def replicate(self, index: int) -> Self:
        alone = super().replicate(index)
        alone._modules = {"inner": self.inner.replicate(index)}
        return alone

    def reset_parameters(self, seeds: Sequence[int]) -> None:
        self.inner.reset_parameters(seeds)

    @property
    def has_choices(self) -> bool:
        return self.inner.has_choices


def check_inner(inner: object) -> Family:
    """``inner``, if it is a model that has no ending yet."""
    if not isinstance(inner, Family) or not list(inner.parameters()) or inner.ends:
        raise reject("inner", "a model without an ending of its own", type(inner).__name__)
    return inner


class CountedEnding(EndingFamily):
    """An ending whose rows, where the inner family has rows, are counted: symbols and END apart.

    Counts have ``k + 2`` columns: how often each row was followed by each symbol, by END, and by a symbol where END
    might have come, which is everywhere but at the first step.
    """

    def __init__(self, inner: Family, alphabet_size: int) -> None:
        super().__init__(inner, alphabet_size)
        if inner.input_dim is not None:
            raise reject("inner", "a family without inputs, whose number would give the length away", "inputs")
        self.context_dim = inner.context_dim

    @property
    def is_counted(self) -> bool:
        """Whether the inner family has a row for every context."""
        return isinstance(self.inner, RowsFamily)

    @property
    def counted(self) -> RowsFamily:
        """The inner family, where it is one of rows: no other is asked for what follows."""
        assert isinstance(self.inner, RowsFamily)
        return self.inner

    def settings(self) -> list[dict[str, Any]]:
        return self.counted.settings()

    def adopt(self, chosen: Sequence[dict[str, Any]]) -> Self:
        """Remember the settings that were chosen, one per replicate; the fitted model."""
        self.inner = self.counted.adopt(chosen)
        return self

    @property
    def num_rows(self) -> int:
        """M, with those of all labels."""
        return self.counted.num_rows

    def outcomes(self, tree: PrefixTree) -> Tensor:
        """The weights of a tree's lanes, level by level, in the columns of counts: ``(lanes, k + 2)``."""
        levels = []
        for level in tree.levels:
            weights, going_on = level.weights, torch.zeros_like(level.weights[..., :1])
            if level.symbol is not None:  # the root cannot end, and other lanes may have ended
                weights = weights.masked_fill((level.symbol == self.alphabet_size - 1).unsqueeze(-1), 0.0)
                going_on = weights[..., :-1].sum(-1, keepdim=True)
            levels.append(torch.cat([weights, going_on], -1))
        return torch.cat(levels, -2)

    def estimates(self, counts: Tensor, **setting: Any) -> dict[str, Tensor]:
        """The parameters from counts, by name."""
        raise NotImplementedError(f"{type(self).__name__} is abstract")

    def _estimate(
        self, counts: Tensor, weights: tuple[float, float], pseudocount: float, **setting: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probabilities of the symbols ``(..., M, k)``, and of going on and halting ``(..., M)``, from counts.

        The pseudocount is added to each symbol's count, and times ``weights`` to those of going on and of END.
        """
        symbols = self.counted.estimate(counts[..., :-2], pseudocount=pseudocount, **setting)
        smoothing = pseudocount * counts.new_tensor(weights)
        going_on, halting = self.counted.estimate(counts[..., [-1, -2]], pseudocount=smoothing, **setting).unbind(-1)
        return symbols, going_on, halting


class EndSymbol(CountedEnding):
    r"""END is one more symbol of the inner family's; what it says after END does not matter.

    Args:
        inner: a family over ``k + 1`` symbols, the last of which becomes END.

    Source: *Deep Learning* (2016), section 10.2.3, the first of three ways to determine the length.

    Example:
        >>> model = EndSymbol(Markov(alphabet_size=3, order=1))
        >>> model(3).log_prob(torch.tensor([[0, 2, 2], [2, 2, 2], [0, 2, 1]])).exp()
        tensor([0.1667, 0.0000, 0.0000], grad_fn=<ExpBackward0>)
    """

    def __init__(self, inner: Family) -> None:
        if check_inner(inner).alphabet_size < 3:
            raise reject("inner", "at least 2 symbols and END", f"alphabet_size {inner.alphabet_size}")
        super().__init__(inner, inner.alphabet_size)

    def law(self, duration: int, **sides: Tensor) -> EndingLaw:
        return EndingLaw(self.inner(duration, **sides))

    def estimates(self, counts: Tensor, **setting: Any) -> dict[str, Tensor]:
        r"""The inner rows from counts, by the name of the parameter: :math:`(n_{ry} + \beta) / (n_r + (k + 1) \beta)`,
        except that the first symbol of a word is no evidence against END."""
        symbols, going_on, halting = self._estimate(counts, (self.alphabet_size - 1, 1), **setting)
        return {"inner.logits": torch.cat([symbols + going_on.unsqueeze(-1), halting.unsqueeze(-1)], -1)}

    def parameter_count(self, duration: int) -> ParameterCount:
        """Those of the inner family; free are not what only words that go on after END would read."""
        stored, free = self.inner.parameter_count(duration)
        k = self.alphabet_size - 1
        if isinstance(self.inner, RowsFamily):
            free = free_in_rows(self.inner, k, duration)
        elif isinstance(self.inner, Recurrent):
            acting = self.inner.acting(duration) - self.inner.shapes()["U"][0]  # its column for END does not
            free = free_in_network(self.inner, k, duration, acting)
        return ParameterCount(stored, free)


class BernoulliHalt(CountedEnding):
    r"""Before each symbol but the first the word ends with probability :math:`\sigma(g(s_t))`: an extra output.

    Of a network :math:`g = v \cdot h_t + d`, with parameters ``v (H,)`` and ``d ()``; of a table or chain g is a number
    for every row, ``halt (M,)``.

    Args:
        inner: a ``Tabular``, ``Markov`` or ``Recurrent`` family over k symbols.

    Source: *Deep Learning* (2016), section 10.2.3, the second of three ways to determine the length.

    Example:
        >>> model = BernoulliHalt(Markov(alphabet_size=2, order=1))
        >>> model(3).log_prob(torch.tensor([[0, 2, 2], [2, 2, 2], [0, 0, 1]])).exp()
        tensor([0.2500, 0.0000, 0.0312], grad_fn=<ExpBackward0>)
    """

    def __init__(self, inner: Family) -> None:
        if not isinstance(check_inner(inner), RowsFamily | Recurrent):
            raise reject("inner", "a Tabular, Markov or Recurrent family", type(inner).__name__)
        super().__init__(inner, inner.alphabet_size + 1)
        like = next(inner.parameters())
        sizes = {"halt": like.shape[-2:-1]} if isinstance(inner, RowsFamily) else {"v": (inner.hidden_dim,), "d": ()}
        for name, size in sizes.items():
            self.register_parameter(name, nn.Parameter(like.new_zeros((*self.lead, *size))))

    def law(self, duration: int, **sides: Tensor) -> EndingLaw:
        own = (getattr(self, name) for name in self._own())
        return EndingLaw(HaltingLaw(with_extra_output(self.inner(duration, **sides), *own)))

    @torch.no_grad()
    def reset_parameters(self, seeds: Sequence[int]) -> None:
        """The inner family's from the seeds; it halts every other time."""
        super().reset_parameters(seeds)
        for name in self._own():
            self.get_parameter(name).zero_()

    def estimates(self, counts: Tensor, **setting: Any) -> dict[str, Tensor]:
        r"""Inner rows and log-odds of halting from counts, by name: :math:`(n_{r,END} + \beta) / (n_r + 2 \beta)`."""
        symbols, going_on, halting = self._estimate(counts, (1, 1), **setting)
        return {"inner.logits": symbols, "halt": halting - going_on}

    def adopt(self, chosen: Sequence[dict[str, Any]]) -> Self:
        return super().adopt(chosen)._trimmed()

    def replicate(self, index: int) -> Self:
        return super().replicate(index)._trimmed()

    def _own(self) -> tuple[str, ...]:
        return ("halt",) if self.is_counted else ("v", "d")

    def _trimmed(self) -> Self:
        """The same without log-odds of rows that the inner family has dropped."""
        if self.is_counted:
            kept = self.counted.logits.shape[-2] // (self.context_dim or 1)
            by_label = self.get_parameter("halt").detach().unflatten(-1, (self.context_dim or 1, -1))
            self.register_parameter("halt", nn.Parameter(by_label[..., :kept].flatten(-2).clone()))
        return self

    def parameter_count(self, duration: int) -> ParameterCount:
        """Those of the inner family, with one more for every row, or ``H + 1`` more."""
        stored, k = self.inner.parameter_count(duration).stored, self.alphabet_size - 1
        if isinstance(self.inner, Recurrent):
            more = self.inner.hidden_dim + 1
            acting = self.inner.acting(duration) + more
            return ParameterCount(stored + more, free_in_network(self.inner, k, duration, acting))
        return ParameterCount(stored + stored // k, free_in_rows(self.counted, k, duration))


def free_in_rows(inner: RowsFamily, k: int, duration: int) -> int:
    """Free parameters of the rows that a word of k symbols and END can read within ``duration`` steps.

    The row of the first step has ``k - 1``, each other k; a row for every context, or one for all, as in a chain of
    order 0, where the first step has END left out and the others have it.
    """
    order = int(inner.orders.max()) if isinstance(inner, Markov) else inner.max_length
    reached = min(order, duration - 1)
    later = k * (row_offset(k, reached + 1) - 1) if order else int(duration > 1)
    return (inner.context_dim or 1) * (k - 1 + later)


def free_in_network(inner: Recurrent, k: int, duration: int, free: int) -> int:
    """``free``, or less where symbols alone are fed back and nothing else: ``n = 1 + k P`` rows of logits of k symbols
    and END, P being the clock's period or 1, that differ by a matrix of rank ``r = min(H, k)``, the first without END.
    """
    if not inner.is_chain or inner.context_dim is not None:
        return free
    fed = k * inner.phases(duration)
    rank = min(inner.hidden_dim, k, fed)
    return min(free, rank * (fed + k - rank) + k - (rank in (k, fed)))
