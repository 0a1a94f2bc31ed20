"""Every test starts with an empty Pyro store, a fixed seed and Pyro's validation on, and leaves none of it behind."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pyro
import pytest
import torch

torch.set_num_threads(1)  # test workers share the cores, and threads that compete for one slow down many times over
os.environ.setdefault("OMP_NUM_THREADS", "1")  # so do the programs that tests start


@pytest.fixture(autouse=True)
def clean_pyro() -> Iterator[None]:
    with torch.random.fork_rng(), pyro.validation_enabled(True), pyro.get_param_store().scope():
        torch.manual_seed(0)
        yield
