"""The batched optimizer against scipy, and each row against itself alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, rosen, rosen_der
from torch import Tensor

from pgm_rnn.inference.lbfgs import BatchedLBFGS


def rosenbrock(points: Tensor) -> tuple[Tensor, Tensor]:
    values = np.array([rosen(row) for row in points.numpy()])
    gradients = np.array([rosen_der(row) for row in points.numpy()])
    return torch.from_numpy(values), torch.from_numpy(gradients)


def run(points: Tensor, steps: int) -> BatchedLBFGS:
    optimizer = BatchedLBFGS(rosenbrock, points)
    active = torch.ones(len(points), dtype=torch.bool)
    for _ in range(steps):
        optimizer.step(active)
    return optimizer


@pytest.fixture
def starts() -> Tensor:
    return torch.randn(4, 6, dtype=torch.double, generator=torch.Generator().manual_seed(1))


def test_reaches_the_minimum_that_scipy_reaches(starts: Tensor) -> None:
    found = run(starts, 200).values.numpy()
    peer = np.array(
        [minimize(rosen, row, jac=rosen_der, method="L-BFGS-B", options={"ftol": 1e-14}).fun for row in starts.numpy()]
    )
    np.testing.assert_allclose(found, np.round(peer, 6), atol=1e-6)


def test_every_row_is_what_it_is_alone(starts: Tensor) -> None:
    together = run(starts, 40)
    for row in range(len(starts)):
        alone = run(starts[row : row + 1], 40)
        torch.testing.assert_close(alone.points[0], together.points[row], rtol=1e-9, atol=1e-9)
        assert alone.accepted[0] == together.accepted[row]


def test_values_never_rise(starts: Tensor) -> None:
    optimizer = BatchedLBFGS(rosenbrock, starts)
    before = optimizer.values
    for _ in range(60):
        optimizer.step(torch.ones(4, dtype=torch.bool))
        assert bool((optimizer.values <= before).all())
        before = optimizer.values


def test_inactive_rows_stand_still(starts: Tensor) -> None:
    optimizer = BatchedLBFGS(rosenbrock, starts)
    for _ in range(5):
        optimizer.step(torch.tensor([True, False, True, False]))
    torch.testing.assert_close(optimizer.points[[1, 3]], starts[[1, 3]])
    assert bool((optimizer.points[[0, 2]] != starts[[0, 2]]).any())


def test_a_row_at_its_minimum_is_stuck_not_lost() -> None:
    optimizer = run(torch.ones(1, 3, dtype=torch.double), 60)
    torch.testing.assert_close(optimizer.points, torch.ones(1, 3, dtype=torch.double))
