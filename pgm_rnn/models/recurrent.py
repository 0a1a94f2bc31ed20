"""The parameter-shared recurrent network with hidden mediators."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pgm_rnn.checks import MAX_TABLE_BYTES, check_budget, check_integer, check_name, reject
from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.edges import Edges
from pgm_rnn.family import Family, ParameterCount
from pgm_rnn.lanes import times
from pgm_rnn.models.cells import CELLS, Cell
from pgm_rnn.models.unrolling import affine, unroll, visible

RECURRENCES = ("hidden", "output")
FEEDBACKS = ("symbol", "vector")


class Timed(NamedTuple):
    """The state of a network that sees the clock: h, and how many symbols have been read."""

    h: Tensor
    t: int


class RecurrentLaw(SequenceDistribution):
    r"""The law of a recurrent network, from its tensors (leading axes are replicates).

    .. math:: h_1 = f(b + X_0; 0), \quad h_{t+1} = f(b + X_{t \bmod P} + W h_t + U_{y_t}; h_t), \quad
              P(y_t \mid y_{<t}) = \mathrm{softmax}(c + V h_t)_{y_t},

    where f is the cell (tanh: :math:`f(a; h) = \tanh a`), and X, the clock's, may be missing. W may be missing too:
    then the symbol alone is fed back, and all steps are computed at once. A ``shift (n H,)`` is added to b after the
    first step.

    Shapes, with ``n`` the cell's blocks: ``U (n H, k)``, ``W (n H, H)``, ``V (k, H)``, ``b (n H,)``, ``c (k,)``,
    ``X (n H, P)``, each with the same leading axes.
    """

    def __init__(
        self,
        duration: int,
        cell: Cell,
        U: Tensor,
        W: Tensor | None,
        V: Tensor,
        b: Tensor,
        c: Tensor,
        X: Tensor | None = None,
        shift: Tensor | None = None,
    ) -> None:
        lead = V.shape[:-2]
        super().__init__(V.shape[-2], duration, (*lead, 1) if lead else (), V.device)
        self.cell = cell
        self.W_T = None if W is None else W.mT
        self.U_T = U.mT
        self.V_T = V.mT
        self.X_T = None if X is None else X.mT
        self.b = b.unsqueeze(-2)
        self.c = c.unsqueeze(-2)
        self.onward = self.b if shift is None else self.b + shift.unsqueeze(-2)
        self.rows = self.U_T + self.onward  # (*lead, k, n * H): what each symbol adds to W h
        self.eye = torch.eye(V.shape[-2], dtype=V.dtype, device=V.device)

    def initial_state(self, shape: Sequence[int]) -> Tensor | Timed:
        a = self.b if self.X_T is None else self.b + self.X_T[..., :1, :]
        nothing = self.V_T.new_zeros(*a.shape[:-1], self.cell.parts * self.V_T.shape[-2])
        h = self.cell.step(a.clone(), nothing).expand(*shape, -1)
        return h if self.X_T is None else Timed(h, 0)

    def next_logits(self, state: Tensor | Timed) -> Tensor:
        return affine(self.c, visible(self.mediator(state), self.V_T.shape[-2]), self.V_T)

    def update(self, state: Tensor | Timed, symbol: Tensor) -> Tensor | Timed:
        return self._step(state, self._drive(symbol))

    def feed(self, state: Tensor | Timed, vector: Tensor) -> Tensor | Timed:
        """The state after a vector ``(*shape, k)`` has come in the place of a symbol's one-hot."""
        return self._step(state, affine(self.onward, vector, self.U_T))

    def mediator(self, state: Tensor | Timed) -> Tensor:
        return state if isinstance(state, Tensor) else state.h

    def with_mediator(self, state: Tensor | Timed, mediator: Tensor) -> Tensor | Timed:
        return mediator if isinstance(state, Tensor) else Timed(mediator, state.t)

    def logits_along(self, state: Tensor | Timed, edges: Edges) -> Tensor:
        if not edges:
            return self.next_logits(state)
        drive, h = self._drive(edges.symbols), self.mediator(state)
        if isinstance(state, Timed):
            widths = torch.tensor(edges.widths[1:], device=drive.device)
            steps = torch.arange(state.t + 1, state.t + 1 + len(edges), device=drive.device)
            drive = drive + self._clock(steps.repeat_interleave(widths))
        if self.W_T is None:
            states = torch.cat([h, self.cell.step(drive, h)], -2)
        else:
            states = unroll(h, self.W_T, drive, edges, self.cell)
        return self.next_logits(self.with_mediator(state, states))

    def _step(self, state: Tensor | Timed, drive: Tensor) -> Tensor | Timed:
        h = self.mediator(state)
        if isinstance(state, Timed):
            drive = drive + self._clock(torch.tensor([state.t + 1], device=drive.device))
        a = drive if self.W_T is None else affine(drive, visible(h, self.V_T.shape[-2]), self.W_T)
        h = self.cell.step(a, h)
        return h if isinstance(state, Tensor) else Timed(h, state.t + 1)

    def _drive(self, symbol: Tensor) -> Tensor:
        """``b + U[symbol]``, as a product so that its gradient is one too."""
        return times(nn.functional.embedding(symbol, self.eye), self.rows)

    def _clock(self, steps: Tensor) -> Tensor:
        """``X`` at these steps, ``(*lead, steps, n * H)``."""
        assert self.X_T is not None  # only a network with a clock has timed states
        return self.X_T.index_select(-2, steps % self.X_T.shape[-2])


class Recurrent(Family):
    r"""A recurrent network over symbols, :class:`RecurrentLaw` at every duration with the same parameters.

    Args:
        alphabet_size: the number k of symbols.
        hidden_dim: the number H of hidden units.
        cell: ``"tanh"``, the lecture's; ``"gru"`` or ``"lstm"``, as in :mod:`pgm_rnn.models.cells`.
        recurrence: ``"hidden"``: from :math:`h_t` to :math:`h_{t+1}`; ``"output"``: only from the output, with the
            tanh cell.
        replicates: R copies with a leading axis, or None.
        feedback: what an output recurrence feeds back. ``"symbol"``: :math:`a_{t+1} = b + U_{y_t}`, a law of order 1
            whatever H is. ``"vector"``: :math:`a_{t+1} = b + W o_t + U_{y_t}`, which keeps what the k numbers
            :math:`o_t = c + V h_t` can carry: a hidden recurrence through :math:`W V`, of rank k at most.
        clock: P, if the time index is an input: column :math:`(t - 1) \bmod P` of a matrix X is added to :math:`a_t`.

    Parameters of the tanh cell: ``U (H, k)``, ``W (H, H)``, ``V (k, H)``, ``b (H,)``, ``c (k,)``; under
    ``feedback="vector"`` ``W (H, k)``, under ``"symbol"`` no W; with a clock ``X (H, P)``. Of the GRU: ``U (3H, k)``,
    ``W (3H, H)``, ``b (4H,)``; of the LSTM: ``U (4H, k)``, ``W (4H, H)``, ``b (4H,)``. They are drawn by
    :meth:`reset_parameters` from seeds 0, 1, ... for replicates 0, 1, ...

    Raises:
        InputError: for unknown names, or a feedback without the symbol: no :math:`y_t` would then act on a later one,
            and the law would be the product of its one-step laws.

    Source: *Deep Learning* (2016), section 10.2, equations 10.8-10.11, and section 10.2.1, figure 10.4.

    Example:
        >>> model = Recurrent(alphabet_size=2, hidden_dim=4)
        >>> words = torch.tensor([[0, 1, 1], [1, 0, 1]])
        >>> model(3).log_prob(words).shape
        torch.Size([2])
    """

    U: nn.Parameter
    W: nn.Parameter  # none where the symbol alone is fed back
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
    ) -> None:
        super().__init__(alphabet_size, replicates)
        self.hidden_dim = check_integer("hidden_dim", hidden_dim, 1)
        self.cell = check_name("cell", cell, CELLS)
        self.recurrence = check_name("recurrence", recurrence, RECURRENCES)
        self.feedback = check_feedback(feedback)
        self.clock = None if clock is None else check_integer("clock", clock, 1)
        if recurrence == "output" and cell != "tanh":
            raise reject("cell", "'tanh' with recurrence='output'", repr(cell), "gates need a hidden state to act on")
        if recurrence == "hidden" and feedback != "symbol":
            raise reject("feedback", "'symbol' with recurrence='hidden'", repr(feedback), "pass recurrence='output'")
        needed = 8 * self.parameter_count(1).stored * (self.replicates or 1)
        check_budget("hidden_dim", needed, MAX_TABLE_BYTES, "bytes for the weights", "use fewer hidden units")
        for name, shape in self.shapes().items():
            self.register_parameter(name, nn.Parameter(torch.empty(*self.lead, *shape)))
        self.reset_parameters(range(self.replicates or 1))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter of one replicate, by name."""
        k, H, cell = self.alphabet_size, self.hidden_dim, CELLS[self.cell]
        rows = len(cell.symbol_blocks) * H
        W = {"hidden": {"W": (len(cell.state_blocks) * H, H)}, "output": {"W": (H, k)} if self._fed_vector else {}}
        X = {} if self.clock is None else {"X": (rows, self.clock)}
        return {"U": (rows, k), **W[self.recurrence], **X, "V": (k, H), "b": (cell.blocks * H,), "c": (k,)}

    @property
    def _fed_vector(self) -> bool:
        return self.recurrence == "output" and self.feedback == "vector"

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

    def law(self, duration: int) -> RecurrentLaw:
        cell, W, X = CELLS[self.cell], self._parameters.get("W"), self._parameters.get("X")
        clock = None if X is None else spread(X, cell.symbol_blocks, cell)
        if self._fed_vector:  # W o = W c + (W V) h
            shift = (self.W @ self.c.unsqueeze(-1)).squeeze(-1)
            return RecurrentLaw(duration, cell, self.U, self.W @ self.V, self.V, self.b, self.c, clock, shift)
        U = spread(self.U, cell.symbol_blocks, cell)
        past = None if W is None else spread(W, cell.state_blocks, cell)
        return RecurrentLaw(duration, cell, U, past, self.V, self.b, self.c, clock)

    def configuration(self) -> dict[str, Any]:
        names = ("alphabet_size", "hidden_dim", "cell", "recurrence", "replicates", "feedback", "clock")
        return {name: getattr(self, name) for name in names}

    def parameter_count(self, duration: int) -> ParameterCount:
        r"""Stored: of the tanh cell ``H^2 + 2 k H + H + k``; of all, the entries of :meth:`shapes`.

        ``H + 1`` of them have no effect: because of the softmax or, where a vector is fed back, ``k + 1`` because of it
        and ``H - k`` of b, since :math:`h_1` acts through :math:`o_1` alone. Below ``H = k`` that vector idles
        ``H (k - H)`` more, of W. In a cell with gates ``2 H`` of the entries of b, which only the first state has
        without U, do not matter there; and a clock makes as many rows of b superfluous as X has.

        The symbol alone fed back leaves ``k + 1`` rows of k logits that differ by a matrix of rank
        ``r = min(H, k - 1)``: ``r (2 k - 1 - r) + k - 1`` are free, a chain's ``k^2 - 1`` from ``H = k - 1`` on.
        """
        shapes, cell, k, H = self.shapes(), CELLS[self.cell], self.alphabet_size, self.hidden_dim
        stored = sum(math.prod(shape) for shape in shapes.values())
        if "W" not in shapes and self.clock is None:
            rank = min(H, k - 1)
            return ParameterCount(stored, rank * (2 * k - 1 - rank) + k - 1)
        idle = H + 1 + (H * max(k - H, 0) if self._fed_vector else 0)
        idle += (len(cell.symbol_blocks) - cell.parts) * H
        return ParameterCount(stored, stored - idle - (shapes["X"][0] if "X" in shapes else 0))


def check_feedback(feedback: str) -> str:
    """``feedback``, if it is the name of one that lets symbols act on what follows."""
    if feedback == "vector-alone":
        expected = "'symbol', or 'vector', which feeds the symbol back beside o"
        why = "without the symbol no y_t acts on a later one, and the law is the product of its one-step laws"
        raise reject("feedback", expected, repr(feedback), why)
    return check_name("feedback", feedback, FEEDBACKS)


def spread(weight: Tensor, blocks: tuple[int, ...], cell: Cell) -> Tensor:
    """The rows of a weight at the blocks of the pre-activations that they act on, zeros at the others."""
    if len(blocks) == cell.blocks:
        return weight
    parts = weight.chunk(len(blocks), -2)
    nothing = torch.zeros_like(parts[0])
    return torch.cat([parts[blocks.index(n)] if n in blocks else nothing for n in range(cell.blocks)], -2)
