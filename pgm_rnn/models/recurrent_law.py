"""The law of a recurrent network: its recurrence, along words and along trees, from plain tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.edges import Edges
from pgm_rnn.lanes import times
from pgm_rnn.models.cells import Cell
from pgm_rnn.models.unrolling import affine, unroll, visible
from pgm_rnn.placed import Placed, at_place, first_roots, places_along

LARGE = 2**18
"""Pre-activations from which autograd is the faster engine: its steps fit in the cache, arrays of all steps do not."""


State = Tensor | Placed


class RecurrentLaw(SequenceDistribution):
    r"""The law of a recurrent network, from its tensors (leading axes are replicates).

    .. math:: h_{t+1} = f(b + d_{t+1} + W h_t + U_{y_t}; h_t), \quad
              P(y_t \mid y_{<t}) = \mathrm{softmax}(c + V h_t)_{y_t},

    where f is the cell (tanh: :math:`f(a; h) = \tanh a`), there is no :math:`y_0`, and :math:`h_0 = 0` unless it is
    given. What drives the steps from the side, :math:`d`, is what context, inputs and clock add. U may be missing: then
    no symbol is fed back; or W: then the symbol alone is, and all steps are computed at once.

    Shapes, with ``n`` the cell's blocks: ``U (n H, k)``, ``W (n H, H)``, ``V (k, H)``, ``b (n H,)``, ``c (k,)``; the
    side ``(G, P, n H)`` for G roots, step t reading column ``(t - 1) mod P``, and the start ``(G, H)``, in place of
    :math:`h_0`; each with the same leading axes. A shift ``(n H,)`` is added to b after the first step. A law that is
    ``given`` a context or inputs has batch shape ``(G,)``, and one that a clock alone drives has ``()``.
    """

    def __init__(
        self,
        duration: int,
        cell: Cell,
        U: Tensor | None,
        W: Tensor | None,
        V: Tensor,
        b: Tensor,
        c: Tensor,
        side: Tensor | None = None,
        start: Tensor | None = None,
        shift: Tensor | None = None,
        given: bool = False,
    ) -> None:
        lead = V.shape[:-2]
        self.roots = max([1, *(part.shape[dim] for part, dim in ((side, -3), (start, -2)) if part is not None)])
        batch_shape = (*lead, self.roots) if lead or given else ()
        super().__init__(V.shape[-2], duration, batch_shape, V.device)
        self.cell = cell
        self.W_T = None if W is None else W.mT
        self.U_T = None if U is None else U.mT
        self.V_T = V.mT
        self.side = side
        self.start = start
        self.b = b.unsqueeze(-2)
        self.c = c.unsqueeze(-2)
        self.onward = self.b if shift is None else self.b + shift.unsqueeze(-2)
        self.rows = None if U is None else U.mT + self.onward  # (*lead, k, n * H): what each symbol adds to W h
        self.eye = torch.eye(V.shape[-2], dtype=V.dtype, device=V.device)

    def initial_state(self, shape: Sequence[int]) -> State:
        own = slice(None) if shape[-1] == self.roots else slice(1)  # one lane stands for any
        before = self.V_T.new_zeros(*self.b.shape[:-1], self.cell.parts * self.V_T.shape[-2])
        a = self.b.clone()
        if self.start is not None and self.W_T is not None:
            before = self.start[..., own, :]
            a = affine(self.b, visible(before, self.V_T.shape[-2]), self.W_T)
        if self.side is None:
            return self.cell.step(a, before).expand(*shape, -1)
        h = self.cell.step(a + self.side[..., own, 0, :], before).expand(*shape, -1)
        return Placed(h, first_roots(shape, self.roots, h.device), 0)

    def next_logits(self, state: State) -> Tensor:
        return affine(self.c, visible(self.mediator(state), self.V_T.shape[-2]), self.V_T)

    def update(self, state: State, symbol: Tensor) -> State:
        return self._step(state, self._drive(symbol))

    def feed(self, state: State, vector: Tensor) -> State:
        """The state after a vector ``(*shape, k)`` has come in the place of a symbol's one-hot."""
        assert self.U_T is not None  # a network that reads no symbols has inputs, and training refuses to feed those
        return self._step(state, affine(self.onward, vector, self.U_T))

    def mediator(self, state: State) -> Tensor:
        return state if isinstance(state, Tensor) else state.past

    def with_mediator(self, state: State, mediator: Tensor) -> State:
        return mediator if isinstance(state, Tensor) else state._replace(past=mediator)

    def logits_along(self, state: State, edges: Edges) -> Tensor:
        h = self.mediator(state)
        numbers = h.shape[:-2].numel() * sum(edges.widths[1:]) * self.b.shape[-1]
        if not edges or (numbers > LARGE and self.W_T is not None):
            return super().logits_along(state, edges)
        drive = self._drive(edges.symbols)
        if isinstance(state, Placed):
            drive = drive + self._side(*places_along(state, edges))
        if self.W_T is None:
            states = torch.cat([h, self.cell.step(drive, h)], -2)
        else:
            states = unroll(h, self.W_T, drive, edges, self.cell)
        return self.next_logits(self.with_mediator(state, states))

    def _step(self, state: State, drive: Tensor) -> State:
        h = self.mediator(state)
        if isinstance(state, Placed):
            drive = drive + self._side(state.root, torch.tensor([state.t + 1], device=drive.device))
        a = drive if self.W_T is None else affine(drive, visible(h, self.V_T.shape[-2]), self.W_T)
        h = self.cell.step(a, h)
        return h if isinstance(state, Tensor) else Placed(h, state.root, state.t + 1)

    def _drive(self, symbol: Tensor) -> Tensor:
        """``b + U[symbol]``, as a product so that its gradient is one too."""
        if self.rows is None:
            return self.b.expand(*torch.broadcast_shapes(symbol.shape, self.b.shape[:-1]), -1)
        return times(nn.functional.embedding(symbol, self.eye), self.rows)

    def _side(self, root: Tensor, step: Tensor) -> Tensor:
        """What the sides of lanes add at these steps, counted from 0: ``(..., lanes, n * H)``."""
        assert self.side is not None  # only a network with sides has placed states
        return at_place(self.side, root, step)
