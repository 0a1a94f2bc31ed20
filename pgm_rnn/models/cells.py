"""The cells of recurrent networks: what becomes of the pre-activations, and its derivative by hand."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor


class Tanh:
    r"""The lecture's cell, :math:`h_t = \tanh(a_t)` with :math:`a_t = b + W h_{t-1} + U y_{t-1}`.

    A cell is told its pre-activations, which the network computes alike for all cells, and the state before. A state is
    ``parts`` blocks of H numbers, :math:`h` first; pre-activations are ``blocks`` of them.

    Source: *Deep Learning* (2016), section 10.2, equations 10.8 and 10.9.
    """

    symbol_blocks: ClassVar[tuple[int, ...]] = (0,)
    """Blocks of the pre-activations that symbols act on, in the order of the rows of U."""

    state_blocks: ClassVar[tuple[int, ...]] = (0,)
    """Blocks that h acts on, in the order of the rows of W."""

    blocks: ClassVar[int] = 1
    parts: ClassVar[int] = 1

    @staticmethod
    def step(a: Tensor, before: Tensor) -> Tensor:
        """The new state ``(..., parts * H)`` from the old one and ``a (..., blocks * H)``, which may be overwritten."""
        return a.tanh_()

    @staticmethod
    def slopes(a: Tensor | None, before: Tensor, after: Tensor) -> Tensor:
        """What :meth:`send_back` needs to know of a step, lane by lane; all lanes of a tree at once."""
        return 1 - after * after

    @staticmethod
    def send_back(sent: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor | None]:
        """From the gradient in the new state: that in ``a``, and what reaches the old state past ``a``."""
        return sent * slopes, None


class GRU:
    r"""The gated recurrent unit, in the form of :class:`torch.nn.GRU`.

    .. math:: r = \sigma(a^r), \quad z = \sigma(a^z), \quad n = \tanh(a^n + r \odot a^m), \quad
              h_t = (1 - z) \odot n + z \odot h_{t-1},

    where symbols act on :math:`a^r, a^z, a^n` and :math:`h_{t-1}` on :math:`a^r, a^z, a^m`.

    Source: Cho et al. (2014), *Learning phrase representations using RNN encoder-decoder*, arXiv:1406.1078, equations
    5-8, with the reset gate behind the product as in PyTorch and cuDNN.
    """

    symbol_blocks: ClassVar[tuple[int, ...]] = (0, 1, 2)
    state_blocks: ClassVar[tuple[int, ...]] = (0, 1, 3)
    blocks: ClassVar[int] = 4
    parts: ClassVar[int] = 1

    @staticmethod
    def step(a: Tensor, before: Tensor) -> Tensor:
        r, z, n, m = a.chunk(4, -1)
        return torch.lerp((n + r.sigmoid() * m).tanh(), before, z.sigmoid())

    @staticmethod
    def slopes(a: Tensor | None, before: Tensor, after: Tensor) -> Tensor:
        assert a is not None  # a cell with gates keeps its pre-activations
        r, z, n, m = a.chunk(4, -1)
        r, z = r.sigmoid(), z.sigmoid()
        n = (n + r * m).tanh()
        inner = (1 - z) * (1 - n * n)
        return torch.cat([inner * m * r * (1 - r), (before - n) * z * (1 - z), inner, inner * r, z], -1)

    @staticmethod
    def send_back(sent: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor | None]:
        H = sent.shape[-1]
        back = (sent.unsqueeze(-2) * slopes.unflatten(-1, (5, H))).flatten(-2)
        return back[..., : 4 * H], back[..., 4 * H :]


class LSTM:
    r"""Long short-term memory, in the form of :class:`torch.nn.LSTM`; its state is :math:`(h, s)`.

    .. math:: i, f, q = \sigma(a^i), \sigma(a^f), \sigma(a^q), \quad g = \tanh(a^g), \quad
              s_t = f \odot s_{t-1} + i \odot g, \quad h_t = q \odot \tanh(s_t).

    Blocks stand in the order :math:`i, f, g, q`, the last being the output gate.

    Source: Hochreiter and Schmidhuber (1997); Gers, Schmidhuber and Cummins (2000), *Learning to forget*.
    """

    symbol_blocks: ClassVar[tuple[int, ...]] = (0, 1, 2, 3)
    state_blocks: ClassVar[tuple[int, ...]] = (0, 1, 2, 3)
    blocks: ClassVar[int] = 4
    parts: ClassVar[int] = 2

    @staticmethod
    def step(a: Tensor, before: Tensor) -> Tensor:
        i, f, g, q = a.chunk(4, -1)
        s = f.sigmoid() * before[..., before.shape[-1] // 2 :] + i.sigmoid() * g.tanh()
        return torch.cat([q.sigmoid() * s.tanh(), s], -1)

    @staticmethod
    def slopes(a: Tensor | None, before: Tensor, after: Tensor) -> Tensor:
        assert a is not None  # a cell with gates keeps its pre-activations
        i, f, g, q = a.chunk(4, -1)
        i, f, g, q = i.sigmoid(), f.sigmoid(), g.tanh(), q.sigmoid()
        old, s = before[..., before.shape[-1] // 2 :], after[..., after.shape[-1] // 2 :].tanh()
        memory = [g * i * (1 - i), old * f * (1 - f), i * (1 - g * g), f]
        return torch.cat([*memory, s * q * (1 - q), q * (1 - s * s)], -1)

    @staticmethod
    def send_back(sent: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor | None]:
        H = sent.shape[-1] // 2
        memory, gate, through = slopes.split([4 * H, H, H], -1)
        dh, ds = sent[..., :H], torch.addcmul(sent[..., H:], sent[..., :H], through)
        back = (ds.unsqueeze(-2) * memory.unflatten(-1, (4, H))).flatten(-2)
        past = torch.cat([torch.zeros_like(dh), back[..., 3 * H :]], -1)
        return torch.cat([back[..., : 3 * H], dh * gate], -1), past


Cell = type[Tanh] | type[GRU] | type[LSTM]

CELLS: dict[str, Cell] = {"tanh": Tanh, "gru": GRU, "lstm": LSTM}
