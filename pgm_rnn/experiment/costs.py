"""What a computation costs: peak memory and time, measured, and how they grow."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.family import Family
from pgm_rnn.inference.segments import loss_along, loss_in_segments
from pgm_rnn.lanes import State

Step = Callable[[], object]


def peak_bytes(step: Step, device: torch.device | str = "cpu") -> int:
    """The most memory that tensors made by ``step`` held at one time, in bytes, beyond what was there before.

    On CUDA the allocator keeps that number (``torch.cuda.max_memory_allocated``). On the CPU every storage is followed
    from the operation that makes it until it is freed, in the backward pass too; what an operation allocates and frees
    inside itself is not seen.

    Example:
        >>> ones = torch.ones(1000, dtype=torch.double)
        >>> peak_bytes(lambda: (ones + 1).sum())  # 1000 numbers and their sum
        8008
    """
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with _Ledger() as ledger:
        step()
    return ledger.peak


class _Ledger(TorchDispatchMode):
    """Sees every operation, and keeps an account of the storages that operations made and that are still held."""

    def __init__(self) -> None:
        super().__init__()
        self.held = self.peak = 0
        self._entries: dict[int, weakref.ref] = {}  # by address, which no two living storages share

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        for storage in map(Tensor.untyped_storage, filter(_is_tensor, tree_leaves(result))):
            if storage.data_ptr() not in self._entries and not _is_view(storage, args):
                self._enter(storage)
        return result

    def _enter(self, storage: torch.UntypedStorage) -> None:
        address, size = storage.data_ptr(), storage.nbytes()
        self.held += size
        self.peak = max(self.peak, self.held)
        self._entries[address] = weakref.ref(storage, lambda _: self._leave(address, size))

    def _leave(self, address: int, size: int) -> None:
        self.held -= size
        del self._entries[address]


def _is_tensor(value: object) -> bool:
    return isinstance(value, Tensor)


def _is_view(storage: torch.UntypedStorage, args: Sequence[Any]) -> bool:
    """Whether an operation gave a storage back that was among its arguments."""
    address = storage.data_ptr()
    return any(other.untyped_storage().data_ptr() == address for other in tree_leaves(args) if _is_tensor(other))


def passes(model: Family, words: Tensor) -> dict[str, Step]:
    """Four ways through ``words (N, T)``, by what becomes of the states.

    ``dropped`` and ``forward`` compute the loss, without and with the states that its gradient needs; ``backward`` adds
    that gradient to the parameters', and so does ``segments``, which keeps few states and computes the others again.

    >>> from pgm_rnn.models import Recurrent
    >>> steps = passes(Recurrent(2, hidden_dim=4), torch.zeros(1, 400).long())
    >>> peak_bytes(steps["dropped"]) < peak_bytes(steps["forward"])
    True
    """

    def start() -> tuple[SequenceDistribution, State, Tensor]:
        law = model(words.shape[1])
        return law, law.initial_state((len(words),)), words

    return {
        "dropped": torch.no_grad()(lambda: loss_along(*start())),
        "forward": lambda: loss_along(*start()),
        "backward": lambda: loss_along(*start())[0].backward(),
        "segments": lambda: loss_in_segments(*start()).backward(),
    }


def fewest_seconds(steps: Mapping[str, Step], rounds: int, device: torch.device | str = "cpu") -> dict[str, float]:
    """The fewest seconds that each step took in ``rounds`` turns; the steps take turns, so that they meet the same lot.

    On the CPU they are seconds of this process on the processor, which other programs do not lengthen; on one thread
    of an idle machine that is the time that passes. On CUDA it is the time until the device is done.

    >>> sorted(fewest_seconds({"sum": lambda: torch.ones(3).sum(), "nothing": lambda: None}, rounds=2))
    ['nothing', 'sum']
    """
    cuda = torch.device(device).type == "cuda"
    clock = perf_counter if cuda else process_time
    fewest = dict.fromkeys(steps, float("inf"))
    for _ in range(rounds):
        for name, step in steps.items():
            start = clock()
            step()
            if cuda:
                torch.cuda.synchronize(device)
            fewest[name] = min(fewest[name], clock() - start)
    return fewest


def growth_exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    r"""The least-squares slope of :math:`\log \mathrm{cost}` against :math:`\log \mathrm{size}`.

    >>> round(growth_exponent([1, 2, 4], [3, 12, 48]), 6)
    2.0
    """
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def exponents(rows: pd.DataFrame, column: str, *by: str) -> pd.Series:
    """The exponent of T in a column that measures a cost, for all rows that agree in ``by``.

    >>> rows = pd.DataFrame({"way": ["slow", "slow"], "seed": [0, 0], "T": [10, 100], "seconds": [1.0, 100.0]})
    >>> exponents(rows, "seconds", "way", "seed").round(6).to_dict()
    {('slow', 0): 2.0}
    """
    groups = rows.groupby(list(by))
    return pd.Series({key: growth_exponent(mine["T"].tolist(), mine[column].tolist()) for key, mine in groups})
