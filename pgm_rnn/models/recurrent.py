"""The parameter-shared recurrent network with hidden mediators."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pgm_rnn.checks import MAX_TABLE_BYTES, check_budget, check_integer, check_name, reject
from pgm_rnn.family import Family, ParameterCount
from pgm_rnn.lanes import times
from pgm_rnn.models.cells import CELLS, Cell
from pgm_rnn.models.recurrent_law import RecurrentLaw
from pgm_rnn.sides import encode

RECURRENCES = ("hidden", "output")
FEEDBACKS = ("symbol", "vector", "none")
CONTEXTS = ("input", "initial", "both")


class Recurrent(Family):
    r"""A recurrent network over symbols, :class:`RecurrentLaw` at every duration with the same parameters.

    Args:
        alphabet_size: the number k of symbols.
        hidden_dim: the number H of hidden units.
        cell: ``"tanh"``, the lecture's; ``"gru"`` or ``"lstm"``, as in :mod:`pgm_rnn.models.cells`.
        recurrence: ``"hidden"``: from :math:`h_t` to :math:`h_{t+1}`; ``"output"``: only from the output, with the
            tanh cell.
        replicates: R copies with a leading axis, or None.
        feedback: what of the output is fed back. ``"symbol"``: :math:`U_{y_t}`; under output recurrence
            :math:`a_{t+1} = b + U_{y_t}` is a law of order 1 whatever H is. ``"vector"``, for output recurrence:
            :math:`a_{t+1} = b + W o_t + U_{y_t}`, which keeps what the k numbers :math:`o_t = c + V h_t` can carry: a
            hidden recurrence through :math:`W V`, of rank k at most (without the symbol, ``"vector-alone"``, it is
            refused). ``"none"``, for hidden recurrence on inputs: given them the symbols are independent.
        clock: P, if the time index is an input: column :math:`(t - 1) \bmod P` of a matrix is added to :math:`a_t`.
        context_dim: D, the width of a context x or the number of its labels, if there is one for each sequence.
        context_as: ``"input"``: :math:`x^\top R` is added to :math:`a_t` at every step, so the effective bias of the
            hidden units is :math:`b + x^\top R`; ``"initial"``: :math:`h_0 = \tanh(x^\top R_0)`; or ``"both"``.
        input_dim: the width of an input :math:`x_t` or the number of its labels, if there is one for each step;
            :math:`X x_t` is added to :math:`a_t`.

    Parameters of the tanh cell: ``U (H, k)``, ``W (H, H)``, ``V (k, H)``, ``b (H,)``, ``c (k,)``; under
    ``feedback="vector"`` ``W (H, k)``; ``X (H, input_dim + clock)``, ``R (D, H)``, ``R_0 (D, H)``; each where it has
    something to act on. Of the GRU: ``U (3H, k)``, ``W (3H, H)``, ``b (4H,)``; of the LSTM: ``U (4H, k)``, ``W (4H,
    H)``, ``b (4H,)``, ``R_0 (D, 2H)``; rows of X and columns of R as rows of U. They are drawn by
    :meth:`reset_parameters` from seeds 0, 1, ... for replicates 0, 1, ...

    Raises:
        InputError: for unknown names, or if no :math:`y_t` would act on a later one although there are no inputs: the
            law would be the product of its one-step laws.

    Source: *Deep Learning* (2016), section 10.2, equations 10.8-10.11; section 10.2.1, figure 10.4; section 10.2.4,
    figures 10.9 and 10.10.

    Example:
        >>> model = Recurrent(alphabet_size=2, hidden_dim=4)
        >>> words = torch.tensor([[0, 1, 1], [1, 0, 1]])
        >>> model(3).log_prob(words).shape
        torch.Size([2])
        >>> informed = Recurrent(alphabet_size=2, hidden_dim=4, context_dim=3)
        >>> informed(3, context=torch.tensor([[0.1, 2.0, 0.0], [1.0, 0.5, 0.3]])).log_prob(words).shape
        torch.Size([2])
    """

    U: nn.Parameter  # the weights below have an annotation each, whether or not a setting has them
    W: nn.Parameter
    X: nn.Parameter
    R: nn.Parameter
    R_0: nn.Parameter
    V: nn.Parameter
    b: nn.Parameter
    c: nn.Parameter

    def __init__(
        self,
        alphabet_size: int,
        hidden_dim: int,
        cell: str = "tanh",
        recurrence: str = "hidden",
        replicates: int | None = None,
        feedback: str = "symbol",
        clock: int | None = None,
        context_dim: int | None = None,
        context_as: str = "input",
        input_dim: int | None = None,
    ) -> None:
        super().__init__(alphabet_size, replicates)
        self.hidden_dim = check_integer("hidden_dim", hidden_dim, 1)
        self.cell = check_name("cell", cell, CELLS)
        self.recurrence = check_name("recurrence", recurrence, RECURRENCES)
        self.feedback = check_feedback(feedback, recurrence, input_dim)
        self.clock = None if clock is None else check_integer("clock", clock, 1)
        self.context_dim = None if context_dim is None else check_integer("context_dim", context_dim, 1)
        self.context_as = check_name("context_as", context_as, CONTEXTS)
        self.input_dim = None if input_dim is None else check_integer("input_dim", input_dim, 1)
        if recurrence == "output" and cell != "tanh":
            raise reject("cell", "'tanh' with recurrence='output'", repr(cell), "gates need a hidden state to act on")
        if recurrence == "output" and context_dim is not None and context_as != "input":
            raise reject("context_as", "'input' with recurrence='output'", repr(context_as), "no h_0 is handed on")
        needed = 8 * self.parameter_count(1).stored * (self.replicates or 1)
        check_budget("hidden_dim", needed, MAX_TABLE_BYTES, "bytes for the weights", "use fewer hidden units")
        for name, shape in self.shapes().items():
            self.register_parameter(name, nn.Parameter(torch.empty(*self.lead, *shape)))
        self.reset_parameters(range(self.replicates or 1))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter of one replicate, by name."""
        k, H, cell = self.alphabet_size, self.hidden_dim, CELLS[self.cell]
        rows, D = len(cell.symbol_blocks) * H, self.context_dim or 0
        recurrent = {"hidden": (len(cell.state_blocks) * H, H), "output": (H, k if self._fed_vector else 0)}
        every = {
            "U": (rows, 0 if self.feedback == "none" else k),
            "W": recurrent[self.recurrence],
            "X": (rows, (self.input_dim or 0) + (self.clock or 0)),
            "R": (0 if self.context_as == "initial" else D, rows),
            "R_0": (0 if self.context_as == "input" else D, cell.parts * H),
            "V": (k, H),
            "b": (cell.blocks * H,),
            "c": (k,),
        }
        return {name: shape for name, shape in every.items() if 0 not in shape}

    @property
    def _fed_vector(self) -> bool:
        return self.feedback == "vector"

    @torch.no_grad()
    def reset_parameters(self, seeds: Sequence[int]) -> None:
        """Draw every replicate's parameters from its own seed: uniform within ``1/sqrt(H)``, and W orthogonal.

        The LSTM's forget gate starts one open (Jozefowicz, Zaremba and Sutskever 2015).
        """
        scale, H = self.hidden_dim**-0.5, self.hidden_dim
        for index, seed in enumerate(seeds):
            generator = torch.Generator().manual_seed(seed)
            for name, parameter in self.named_parameters():
                if parameter.is_meta:
                    continue
                target = parameter if self.replicates is None else parameter[index]
                drawn = torch.empty(target.shape, dtype=torch.double)
                if name == "W":
                    for block in drawn.split(H):
                        nn.init.orthogonal_(block, generator=generator)
                else:
                    drawn.uniform_(-scale, scale, generator=generator)
                if name == "b" and self.cell == "lstm":
                    drawn[H : 2 * H] += 1
                target.copy_(drawn)

    def law(self, duration: int, context: Tensor | None = None, inputs: Tensor | None = None) -> RecurrentLaw:
        cell, weights = CELLS[self.cell], self._parameters
        U: Tensor | None = weights.get("U")
        W: Tensor | None = weights.get("W")
        shift = None
        if self._fed_vector:  # W o = W c + (W V) h
            shift, W = (self.W @ self.c.unsqueeze(-1)).squeeze(-1), self.W @ self.V
        start = None if context is None or "R_0" not in weights else times(self._vectors("context", context), self.R_0)
        side = self._side(duration, context, inputs)
        return RecurrentLaw(
            duration,
            cell,
            None if U is None else spread(U, cell.symbol_blocks, cell),
            None if W is None else spread(W, cell.state_blocks if self.recurrence == "hidden" else (0,), cell),
            self.V,
            self.b,
            self.c,
            side=None if side is None else spread(side.mT, cell.symbol_blocks, cell).mT,
            start=None if start is None else start.tanh(),
            shift=shift,
            given=context is not None or inputs is not None,
        )

    def _side(self, duration: int, context: Tensor | None, inputs: Tensor | None) -> Tensor | None:
        """What context, inputs and clock add to the pre-activations, ``(*lead, G, P, rows of U)``."""
        parts = []
        if inputs is not None:
            x = self._vectors("inputs", inputs)  # (..., G, T, D)
            driven = times(x.flatten(-3, -2), self.X[..., : self.input_dim].mT)
            parts.append(driven.unflatten(-2, x.shape[-3:-1]))
        if self.clock is not None:
            ticks = self.X[..., self.input_dim or 0 :].mT.unsqueeze(-3)  # (*lead, 1, P, rows)
            steps = torch.arange(duration, device=ticks.device) % self.clock
            parts.append(ticks if inputs is None else ticks.index_select(-2, steps))
        if context is not None and "R" in self._parameters:
            parts.append(times(self._vectors("context", context), self.R).unsqueeze(-2))
        return sum(parts[1:], parts[0]) if parts else None

    def _vectors(self, argument: str, values: Tensor) -> Tensor:
        """A context or inputs as vectors, where and in the precision that the weights are."""
        width = self.context_dim if argument == "context" else self.input_dim
        assert width is not None  # checked before a law is built
        return encode(argument, values, width).to(self.V)

    def configuration(self) -> dict[str, Any]:
        names = ("alphabet_size", "hidden_dim", "cell", "recurrence", "replicates", "feedback", "clock")
        return {name: getattr(self, name) for name in (*names, "context_dim", "context_as", "input_dim")}

    def parameter_count(self, duration: int) -> ParameterCount:
        r"""Stored: the entries of :meth:`shapes`, of the tanh cell ``H^2 + 2 k H + H + k``; free: those :meth:`acting`.

        The symbol alone fed back, without context and inputs, leaves ``n = 1 + k P`` rows of k logits, P being the
        clock's period or 1, that differ by a matrix of rank ``r = min(H, k - 1)``: at most
        ``r (n + k - 2 - r) + k - 1`` are free, which without a clock is a chain's ``k^2 - 1`` if ``H >= k - 1``.
        """
        free, k = self.acting(duration), self.alphabet_size
        if self.is_chain and self.context_dim is None and self.input_dim is None:
            rows = 1 + k * self.phases(duration)
            rank = min(self.hidden_dim, k - 1, rows - 1)
            free = min(free, rank * (rows + k - 2 - rank) + k - 1)
        return ParameterCount(sum(math.prod(shape) for shape in self.shapes().values()), free)

    def acting(self, duration: int) -> int:
        r"""The number of parameters less those that have no effect.

        ``H + 1`` of them have none because of the softmax or, where a vector is fed back, ``k + 1`` because of it
        and ``H - k`` of b, since :math:`h_1` acts through :math:`o_1` alone. Below ``H = k`` that vector idles
        ``H (k - H)`` more, of W. In a cell with gates ``2 H`` of the entries of b, which only the first state has
        without U, do not matter there. A clock makes as many rows of b superfluous as X has, and as many of U if no
        phase comes twice; columns of X are idle for phases that do not come.
        """
        shapes, cell, k, H = self.shapes(), CELLS[self.cell], self.alphabet_size, self.hidden_dim
        idle = H + 1 + (H * max(k - H, 0) if self._fed_vector else 0)
        idle += (len(cell.symbol_blocks) - cell.parts) * H if "U" in shapes else 0
        if self.clock:
            idle += shapes["X"][0] * (1 + max(self.clock - duration, 0) + (self.clock >= duration))
        return sum(math.prod(shape) for shape in shapes.values()) - idle

    @property
    def is_chain(self) -> bool:
        """Whether the last symbol alone is fed back."""
        return "W" not in self.shapes()

    def phases(self, duration: int) -> int:
        """At how many times a symbol that is fed back may act differently."""
        return min(self.clock or 1, duration - 1)


def check_feedback(feedback: str, recurrence: str, input_dim: int | None) -> str:
    """``feedback``, if it is the name of one that leaves more than a product of one-step laws."""
    product = "no y_t acts on a later one then, and the law is the product of its one-step laws"
    if feedback == "vector-alone":
        expected = "'symbol', or 'vector', which feeds the symbol back beside o"
        raise reject("feedback", expected, repr(feedback), product)
    check_name("feedback", feedback, FEEDBACKS)
    if feedback == "vector" and recurrence == "hidden":
        raise reject(
            "feedback", "'symbol' or 'none' with recurrence='hidden'", repr(feedback), "pass recurrence='output'"
        )
    if feedback == "none" and (recurrence == "output" or input_dim is None):
        expected = "'symbol' or 'vector', or recurrence='hidden' with an input_dim"
        raise reject("feedback", expected, repr(feedback), product)
    return feedback


def spread(weight: Tensor, blocks: tuple[int, ...], cell: Cell) -> Tensor:
    """The rows of a weight at the blocks of the pre-activations that they act on, zeros at the others."""
    if len(blocks) == cell.blocks:
        return weight
    parts = weight.chunk(len(blocks), -2)
    nothing = torch.zeros_like(parts[0])
    return torch.cat([parts[blocks.index(n)] if n in blocks else nothing for n in range(cell.blocks)], -2)
