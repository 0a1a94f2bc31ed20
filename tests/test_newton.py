"""Newton over all steps against the sequential pass, the scan against a loop, and the exponent where it is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pgm_rnn.checks import InputError
from pgm_rnn.inference.newton import dependent_steps, lyapunov_exponent, newton_states, scan, scan_depth
from pgm_rnn.models import Recurrent, Tabular


def network(gain: float, H: int = 8, k: int = 2, seed: int = 0) -> Recurrent:
    """W with independent entries of variance ``gain^2 / H``: contracting for a small gain, chaotic for a large one."""
    generator = torch.Generator().manual_seed(seed)
    model = Recurrent(k, H).double()
    with torch.no_grad():
        model.W.copy_(gain * torch.randn(H, H, generator=generator, dtype=torch.double) / H**0.5)
        model.U.copy_(0.5 * torch.randn(H, k, generator=generator, dtype=torch.double))
    return model


def drawn(N: int, T: int, k: int = 2) -> Tensor:
    return torch.randint(0, k, (N, T), generator=torch.Generator().manual_seed(1))


def sequential(model: Recurrent, words: Tensor) -> np.ndarray:
    """One step after the other, in numpy."""
    U, W, b = (getattr(model, name).detach().numpy() for name in ("U", "W", "b"))
    out = np.zeros((*words.shape, len(b)))
    for n, word in enumerate(words.tolist()):
        h = np.tanh(b)
        out[n, 0] = h
        for t, symbol in enumerate(word[:-1], 1):
            h = out[n, t] = np.tanh(b + W @ h + U[:, symbol])
    return out


@given(T=st.integers(1, 33), H=st.integers(1, 4), batch=st.sampled_from([(), (2,), (2, 3)]), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_scan_is_the_loop(T: int, H: int, batch: tuple[int, ...], seed: int) -> None:
    generator = np.random.default_rng(seed)
    J, z = generator.normal(size=(*batch, T, H, H)), generator.normal(size=(*batch, T, H))
    expected, state = np.zeros_like(z), np.zeros((*batch, H))
    for t in range(T):
        state = (J[..., t, :, :] @ state[..., None])[..., 0] + z[..., t, :]
        expected[..., t, :] = state
    scale = np.abs(expected).max()
    np.testing.assert_allclose(scan(torch.from_numpy(J), torch.from_numpy(z)).numpy(), expected, atol=1e-10 * scale)


class Products(TorchFunctionMode):
    """Counts products of matrices with matrices, and with vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.square = self.thin = 0

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(function, "__name__", "") in ("matmul", "__matmul__"):
            self.square += args[1].shape[-1] != 1
            self.thin += args[1].shape[-1] == 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("T", [1, 2, 3, 4, 7, 64, 100])
def test_the_depth_of_a_scan_counts_its_rounds(T: int) -> None:
    """A level multiplies matrices and vectors side by side, then fills in: the rounds are those with a vector."""
    with Products() as seen:
        scan(torch.zeros(T, 2, 2), torch.zeros(T, 2))
    assert seen.thin == scan_depth(T)
    assert seen.square == math.floor(math.log2(T))


@given(
    N=st.integers(1, 3),
    T=st.integers(1, 40),
    k=st.integers(2, 3),
    H=st.integers(1, 6),
    gain=st.floats(0.2, 1.2),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_newton_reaches_the_sequential_states(N: int, T: int, k: int, H: int, gain: float, seed: int) -> None:
    model, words = network(gain, H, k, seed), drawn(N, T, k)
    solution = newton_states(model, words)
    assert solution.converged
    assert solution.residual <= 1e-12
    assert solution.iterations <= T
    np.testing.assert_allclose(solution.states.numpy(), sequential(model, words), atol=1e-10)


def test_few_iterations_suffice_however_long_the_sequence() -> None:
    model = network(0.8)
    counts = [newton_states(model, drawn(1, T)).iterations for T in (16, 256, 4096)]
    assert counts[0] <= counts[-1] <= 8
    assert dependent_steps(counts[-1], 4096) < 4096 / 10


@pytest.mark.parametrize("iterations", [1, 2, 5, 12])
def test_each_iteration_makes_one_more_state_right(iterations: int) -> None:
    model, words = network(4.0), drawn(2, 30)
    states = newton_states(model, words, max_iterations=iterations).states.numpy()
    np.testing.assert_allclose(states[:, :iterations], sequential(model, words)[:, :iterations], atol=1e-10)


def test_a_chaotic_network_is_reported_as_not_converged() -> None:
    model, words = network(4.0, H=16), drawn(1, 512)
    solution = newton_states(model, words, max_iterations=50)
    assert (solution.converged, solution.iterations) == (False, 50)
    assert solution.residual > 1e-2
    assert solution.states.isfinite().all()
    assert solution.states.abs().max() <= 1
    assert lyapunov_exponent(model, words).item() > 0.05


def test_overflowing_products_leave_finite_states() -> None:
    solution = newton_states(network(1e8), drawn(1, 300), max_iterations=3)
    assert solution.states.isfinite().all()


@pytest.mark.parametrize("gain", [0.3, 1.0, 1.7])
def test_the_exponent_at_a_fixed_point_is_the_logarithm_of_the_gain(gain: float) -> None:
    """With b = 0 and U = 0 the state stays 0, and every Jacobian is W, here a permutation times the gain."""
    model = Recurrent(2, 6).double()
    with torch.no_grad():
        model.U.zero_()
        model.b.zero_()
        model.W.copy_(gain * torch.eye(6, dtype=torch.double).roll(1, 0))
    assert lyapunov_exponent(model, drawn(3, 50)).tolist() == pytest.approx([math.log(gain)] * 3, abs=1e-12)


@pytest.mark.parametrize("gain", [0.8, 2.5])
def test_the_exponent_is_that_of_a_qr_decomposition_of_all_directions(gain: float) -> None:
    model, words = network(gain), drawn(1, 3000)
    W, Q, growth = model.W.detach().numpy(), np.eye(8), np.zeros(8)
    for h in sequential(model, words)[0, 1:]:
        Q, R = np.linalg.qr((1 - h**2)[:, None] * W @ Q)
        growth += np.log(np.abs(np.diag(R)))
    assert lyapunov_exponent(model, words).item() == pytest.approx((growth / 2999).max(), abs=5e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: newton_states(Tabular(2, 3), drawn(1, 3)), "model: expected a tanh Recurrent"),  # type: ignore[arg-type]  # the wrong type is the test
        (lambda: newton_states(network(1.0), drawn(1, 3), max_iterations=0), "max_iterations: expected an integer"),
        (lambda: newton_states(network(1.0), drawn(1, 3), tolerance=-1.0), "tolerance: expected a number"),
        (lambda: newton_states(network(1.0), drawn(1, 3)[0]), r"words: expected shape \(N, T\)"),
        (lambda: lyapunov_exponent(network(1.0), drawn(1, 1)), "words: expected at least 2 steps"),
    ],
)
def test_bad_input_is_refused(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_a_network_that_forgets_at_once_has_no_finite_exponent() -> None:
    model = Recurrent(2, 3).double()
    model.W.data.zero_()
    assert lyapunov_exponent(model, torch.tensor([[0, 1, 1, 0], [1, 1, 0, 0]])).tolist() == [-math.inf] * 2
