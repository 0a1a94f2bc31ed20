"""All states of a recurrent network at once: Newton's iteration over the whole sequence, and where it must fail."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pgm_rnn.checks import check_integer, check_number, reject
from pgm_rnn.inference.bptt import before, check_batch, inputs, parameters
from pgm_rnn.models import Recurrent
from pgm_rnn.summaries import trajectory


class Solution(NamedTuple):
    """States ``(N, T, H)`` and how they came about.

    ``residual`` is the largest :math:`|h_t - f(h_{t-1})|`, and ``converged`` says that it met the tolerance. Where the
    network is chaotic a small residual does not make the states those of the sequential pass: both are orbits up to
    rounding, and rounding grows like :math:`e^{\\lambda t}`.
    """

    states: Tensor
    iterations: int
    residual: float
    converged: bool


@torch.no_grad()
def newton_states(
    model: Recurrent, words: Tensor, tolerance: float = 1e-12, max_iterations: int | None = None
) -> Solution:
    r"""Solve :math:`h_t - f_t(h_{t-1}) = 0` for all t at once, :math:`f_t(h) = \tanh(b + W h + U x_t)`.

    With the residuals :math:`r_t = f_t(h_{t-1}) - h_t` and the Jacobians :math:`J_t = \mathrm{diag}(1 -
    f_t(h_{t-1})^2)\, W`, Newton's correction is the linear recurrence :math:`\delta_t = J_t \delta_{t-1} + r_t`, which
    :func:`scan` solves in a logarithmic number of dependent steps. Corrected states are clamped to [-1, 1], where
    those of a tanh are, and a correction that overflowed is left out; neither moves a state that is right. Each
    iteration makes at least one more state right, so in exact arithmetic T iterations suffice for any network.

    Args:
        model: a tanh network without replicates.
        words: symbols ``(N, T)``, of which the last is not read.
        tolerance: of the largest residual.
        max_iterations: after which it gives up; T if None.

    Raises:
        InputError: for another model, words or settings.

    Source: Lim, Zhu, Selfridge and Kasim, *Parallelizing non-linear sequential models over the sequence length*
    (2023), arXiv:2309.12252. That T iterations suffice: Gonzalez, Warrington, Smith and Linderman, *Towards scalable
    and stable parallelization of nonlinear RNNs* (2024), arXiv:2407.19115.

    Example:
        >>> model, words = Recurrent(2, hidden_dim=4).double(), torch.randint(2, (1, 1000))
        >>> solution = newton_states(model, words)
        >>> solution.converged, solution.iterations < 20
        (True, True)
    """
    U, W, _, b, _ = parameters(model)
    drive = b + inputs(check_batch(model, words), model) @ U.T
    check_number("tolerance", tolerance, 0, 1)
    limit = drive.shape[1] if max_iterations is None else check_integer("max_iterations", max_iterations, 1)
    h, iterations = torch.zeros_like(drive), 0
    while True:
        f = (drive + before(h) @ W.T).tanh()
        residual = float((f - h).abs().max())
        if residual <= tolerance or iterations == limit:
            return Solution(h, iterations, residual, residual <= tolerance)
        h = (h + scan(jacobians(f, W), f - h).nan_to_num(nan=0.0)).clamp(-1.0, 1.0)
        iterations += 1


def jacobians(h: Tensor, W: Tensor) -> Tensor:
    r"""The :math:`\partial h_t / \partial h_{t-1} = \mathrm{diag}(1 - h_t^2)\, W`, ``(..., H, H)``, of ``(..., H)``."""
    return (1 - h**2).unsqueeze(-1) * W


def scan(J: Tensor, z: Tensor) -> Tensor:
    r"""The linear recurrence :math:`\delta_t = J_t \delta_{t-1} + z_t` with :math:`\delta_0 = 0`, in parallel.

    Two steps in a row are one step, :math:`(J_2 J_1,\, J_2 z_1 + z_2)`, and that composition is associative: join the
    steps in pairs, solve the recurrence of half the length, and fill in the states between.

    Args:
        J: ``(..., T, H, H)``; the first is not used.
        z: ``(..., T, H)``.

    Returns:
        ``(..., T, H)``, after :func:`scan_depth` dependent products.

    Source: Blelloch, *Prefix sums and their applications* (1990), section 1.4.

    Example:
        >>> scan(torch.full((4, 1, 1), 0.5), torch.ones(4, 1)).squeeze(-1)
        tensor([1.0000, 1.5000, 1.7500, 1.8750])
    """
    T = z.shape[-2]
    if T == 1:
        return z
    first, second = slice(0, T - 1, 2), slice(1, T, 2)
    J_second = J[..., second, :, :]
    solved = torch.empty_like(z)
    solved[..., 0, :] = z[..., 0, :]
    solved[..., second, :] = scan(
        J_second @ J[..., first, :, :], multiply(J_second, z[..., first, :]) + z[..., second, :]
    )
    if T > 2:
        between = slice(2, T, 2)
        solved[..., between, :] = multiply(J[..., between, :, :], solved[..., 1 : T - 1 : 2, :]) + z[..., between, :]
    return solved


def multiply(J: Tensor, z: Tensor) -> Tensor:
    """The products ``(..., H)`` of matrices ``(..., H, H)`` with vectors ``(..., H)``."""
    return (J @ z.unsqueeze(-1)).squeeze(-1)


def scan_depth(T: int) -> int:
    """How many products of :func:`scan` must wait for each other: 0 for T = 1, then about ``2 log2(T)``.

    >>> [scan_depth(T) for T in (1, 2, 3, 8, 4096)]
    [0, 1, 2, 5, 23]
    """
    return 0 if T == 1 else 1 + scan_depth(T // 2) + (T > 2)


def dependent_steps(iterations: int, T: int) -> int:
    """How many steps must wait for each other: an evaluation of all f and a scan per iteration, and the last check.

    The sequential pass has T.

    >>> dependent_steps(5, 4096)
    121
    """
    return iterations * (1 + scan_depth(T)) + 1


@torch.no_grad()
def lyapunov_exponent(model: Recurrent, words: Tensor) -> Tensor:
    r"""The largest Lyapunov exponent along ``words (N, T)``, in nats per step: shape ``(N,)``.

    .. math:: \lambda = \frac{1}{T - 1} \sum_{t=2}^T \log \lVert J_t q_{t-1} \rVert, \qquad
              q_t = J_t q_{t-1} / \lVert J_t q_{t-1} \rVert

    which is what a QR decomposition at each step does to its first column. Below 0 the network forgets where it
    started; above 0 it is chaotic, and two orbits part like :math:`e^{\lambda t}`.

    Raises:
        InputError: for another model than :func:`newton_states` takes, or words of fewer than 2 steps.

    Source: Benettin, Galgani, Giorgilli and Strelcyn, *Meccanica* 15 (1980); Engelken, Wolf and Abbott (2023),
    *Physical Review Research* 5, 043044, for recurrent networks.

    Example:
        >>> model = Recurrent(2, hidden_dim=4).double()  # W is orthogonal, and tanh contracts
        >>> bool(lyapunov_exponent(model, torch.randint(2, (1, 200))) < 0)
        True
    """
    _, W, _, b, _ = parameters(model)
    y = check_batch(model, words)
    if y.shape[1] < 2:
        raise reject("words", "at least 2 steps", y.shape[1])
    states = trajectory(model, y[:, :-1])
    q = torch.full((len(y), len(b)), len(b) ** -0.5, dtype=b.dtype, device=b.device)
    growth = []
    for J in jacobians(states, W)[:, 1:].unbind(1):
        q = multiply(J, q)
        growth.append(q.norm(dim=-1, keepdim=True))
        q = q / growth[-1].clamp_min(torch.finfo(q.dtype).tiny)  # a direction that vanished stays so
    return torch.cat(growth, -1).log().mean(-1)
