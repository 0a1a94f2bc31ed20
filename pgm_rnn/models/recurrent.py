"""The parameter-shared recurrent network with hidden mediators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pgm_rnn.checks import MAX_TABLE_BYTES, check_budget, check_integer, check_name
from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.edges import Edges
from pgm_rnn.family import Family, ParameterCount
from pgm_rnn.lanes import times
from pgm_rnn.models.unrolling import affine, unroll

CELLS = ("tanh",)
RECURRENCES = ("hidden",)


class RecurrentLaw(SequenceDistribution):
    r"""The law of a tanh network, from its tensors (leading axes are replicates).

    .. math:: h_1 = \tanh(b), \quad h_{t+1} = \tanh(b + W h_t + U_{y_t}), \quad
              P(y_t \mid y_{<t}) = \mathrm{softmax}(c + V h_t)_{y_t}.

    Shapes: ``U (H, k)``, ``W (H, H)``, ``V (k, H)``, ``b (H,)``, ``c (k,)``, each with the same leading axes.
    """

    def __init__(self, duration: int, U: Tensor, W: Tensor, V: Tensor, b: Tensor, c: Tensor) -> None:
        lead = W.shape[:-2]
        super().__init__(V.shape[-2], duration, (*lead, 1) if lead else (), W.device)
        self.W_T = W.mT
        self.V_T = V.mT
        self.rows = U.mT + b.unsqueeze(-2)  # (*lead, k, H): what each symbol adds to W h
        self.b = b.unsqueeze(-2)
        self.c = c.unsqueeze(-2)
        self.eye = torch.eye(V.shape[-2], dtype=W.dtype, device=W.device)

    def initial_state(self, shape: Sequence[int]) -> Tensor:
        return self.b.tanh().expand(*shape, -1)

    def next_logits(self, state: Tensor) -> Tensor:
        return affine(self.c, state, self.V_T)

    def update(self, state: Tensor, symbol: Tensor) -> Tensor:
        return affine(self._drive(symbol), state, self.W_T).tanh()

    def mediator(self, state: Tensor) -> Tensor:
        return state

    def logits_along(self, state: Tensor, edges: Edges) -> Tensor:
        if not edges:
            return self.next_logits(state)
        return self.next_logits(unroll(state, self.W_T, self._drive(edges.symbols), edges))

    def _drive(self, symbol: Tensor) -> Tensor:
        """``b + U[symbol]``, as a product so that its gradient is one too."""
        return times(nn.functional.embedding(symbol, self.eye), self.rows)


class Recurrent(Family):
    r"""A recurrent network over symbols, :class:`RecurrentLaw` at every duration with the same parameters.

    Args:
        alphabet_size: the number k of symbols.
        hidden_dim: the number H of hidden units.
        cell: ``"tanh"``, the lecture's.
        recurrence: ``"hidden"``: from :math:`h_t` to :math:`h_{t+1}`.
        replicates: R copies with a leading axis, or None.

    Parameters ``U (H, k)``, ``W (H, H)``, ``V (k, H)``, ``b (H,)``, ``c (k,)`` are drawn by :meth:`reset_parameters`
    from seeds 0, 1, ... for replicates 0, 1, ...

    Source: *Deep Learning* (2016), section 10.2, equations 10.8-10.11.

    Example:
        >>> model = Recurrent(alphabet_size=2, hidden_dim=4)
        >>> words = torch.tensor([[0, 1, 1], [1, 0, 1]])
        >>> model(3).log_prob(words).shape
        torch.Size([2])
    """

    U: nn.Parameter
    W: nn.Parameter
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
    ) -> None:
        super().__init__(alphabet_size, replicates)
        self.hidden_dim = check_integer("hidden_dim", hidden_dim, 1)
        self.cell = check_name("cell", cell, CELLS)
        self.recurrence = check_name("recurrence", recurrence, RECURRENCES)
        needed = 8 * self.parameter_count(1).stored * (self.replicates or 1)
        check_budget("hidden_dim", needed, MAX_TABLE_BYTES, "bytes for the weights", "use fewer hidden units")
        k, H = self.alphabet_size, self.hidden_dim
        for name, shape in {"U": (H, k), "W": (H, H), "V": (k, H), "b": (H,), "c": (k,)}.items():
            self.register_parameter(name, nn.Parameter(torch.empty(*self.lead, *shape)))
        self.reset_parameters(range(self.replicates or 1))

    @torch.no_grad()
    def reset_parameters(self, seeds: Sequence[int]) -> None:
        """Draw every replicate's parameters from its own seed: uniform within ``1/sqrt(H)``, and W orthogonal."""
        scale = self.hidden_dim**-0.5
        for index, seed in enumerate(seeds):
            generator = torch.Generator().manual_seed(seed)
            for name, parameter in self.named_parameters():
                if parameter.is_meta:
                    continue
                target = parameter if self.replicates is None else parameter[index]
                drawn = torch.empty(target.shape, dtype=torch.double)
                if name == "W":
                    nn.init.orthogonal_(drawn, generator=generator)
                else:
                    drawn.uniform_(-scale, scale, generator=generator)
                target.copy_(drawn)

    def law(self, duration: int) -> RecurrentLaw:
        return RecurrentLaw(duration, self.U, self.W, self.V, self.b, self.c)

    def configuration(self) -> dict[str, Any]:
        names = ("alphabet_size", "hidden_dim", "cell", "recurrence", "replicates")
        return {name: getattr(self, name) for name in names}

    def parameter_count(self, duration: int) -> ParameterCount:
        """Stored: ``H^2 + 2 k H + H + k``; the softmax leaves ``H + 1`` of them without effect."""
        k, H = self.alphabet_size, self.hidden_dim
        stored = H * H + 2 * k * H + H + k
        return ParameterCount(stored, stored - (H + 1))
