"""What every truth has in common, stationary or not: nothing to learn, and every number exact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import torch
from torch import Tensor

from pgm_rnn.checks import MAX_TABLE_BYTES, check_budget, check_finite, reject
from pgm_rnn.family import Family
from pgm_rnn.sequences import Sequences

ROUNDING = 1e-6
"""How far a row may be from summing to 1: single precision is welcome, and made exact."""


class Source(Family):
    """A family without parameters whose quantities are known exactly, such as :class:`Process` and
    :class:`TimeVarying`. Its numbers stay float64 whatever the module is cast to.

    Args:
        name: what tables and pages call it.
        tensors: its buffers, by name.
    """

    name: str

    def __init__(self, alphabet_size: int, name: str, **tensors: Tensor) -> None:
        super().__init__(alphabet_size)
        self.name = name
        for key, tensor in tensors.items():
            self.register_buffer(key, tensor)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move to another device; the dtype stays float64, because the truth does not get rounded."""
        exact = dict(self._buffers)
        super()._apply(fn, recurse)
        for name, moved in self._buffers.items():
            value = exact[name]
            if moved is not None and value is not None and moved.dtype != value.dtype:
                self._buffers[name] = value.to(moved.device)
        return self

    def check_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Refuse tensors that the constructor would refuse."""
        raise NotImplementedError(f"{type(self).__name__} is abstract")

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Take over another source's tensors, once they have been checked as the constructor's are."""
        for name in self._buffers:
            if state_dict[name].dtype != torch.double:
                raise reject(name, "float64", str(state_dict[name].dtype).removeprefix("torch."))
        self.check_tensors(state_dict)
        return super().load_state_dict(state_dict, strict, assign)

    def draw(self, count: int, duration: int, generator: torch.Generator) -> Sequences:
        """``count`` words, with the context or inputs that each is given, if they are."""
        check_budget("num_sequences", 8 * count * duration, MAX_TABLE_BYTES, "bytes of symbols", "draw fewer words")
        sides = self.draw_conditions(count, duration, generator)
        law = self(duration, **sides.given)
        symbols = law.sample(() if sides.given else (count,), generator=generator)
        return Sequences(symbols, self.alphabet_size, None, *sides)

    def conditional_entropies(self, duration: int) -> Tensor:
        r""":math:`h_t = H(y_t \mid y_1 \ldots y_{t-1})` for ``t = 1..T``: ``(T,)``, float64, in nats, to 1e-12."""
        raise NotImplementedError(f"{type(self).__name__} is abstract")

    def block_entropy(self, duration: int) -> float:
        """``H(T)``, the entropy of a word in nats: the sum of :meth:`conditional_entropies`."""
        return float(self.conditional_entropies(duration).sum())

    def entropy_rate(self, tolerance: float = 1e-10) -> float:
        """The entropy rate h in nats per symbol, to ``tolerance``."""
        raise NotImplementedError(f"{type(self).__name__} is abstract")


def check_joint(argument: str, joint: Tensor) -> Tensor:
    """Labelled transition matrices ``(k, S, S)`` in float64, each row summing to 1 exactly."""
    if joint.ndim != 3 or joint.shape[0] < 2 or joint.shape[1] < 1 or joint.shape[1] != joint.shape[2]:
        raise reject(argument, "shape (k, S, S) with k >= 2 symbols and S >= 1 states", tuple(joint.shape))
    joint = check_probabilities(argument, joint)
    totals = joint.sum((0, 2))
    wrong = ((totals - 1).abs() > ROUNDING).nonzero().flatten().tolist()
    if wrong:
        got = ", ".join(f"{float(totals[s]):.6g} for s = {s}" for s in wrong[:4])
        raise reject(argument, f"{argument}[:, s, :] to sum to 1 for every state s", got)
    return joint / totals[:, None]


def check_initial(initial: Tensor, states: int) -> Tensor:
    """The distribution ``(S,)`` of the first state in float64, summing to 1 exactly."""
    start = check_probabilities("initial", initial)
    if start.shape != (states,) or abs(float(start.sum()) - 1) > ROUNDING:
        raise reject("initial", f"{states} probabilities that sum to 1, one for each state", start.tolist())
    return start / start.sum()


def check_probabilities(argument: str, values: Tensor) -> Tensor:
    """A copy of ``values`` in float64, if all are real, finite and non-negative."""
    if values.dtype.is_complex or values.dtype == torch.bool:
        raise reject(argument, "real probabilities", f"dtype {str(values.dtype).removeprefix('torch.')}")
    values = check_finite(argument, values.detach().double().clone())
    if bool((values < 0).any()):
        place = tuple(int(i) for i in (values < 0).nonzero()[0])
        raise reject(argument, "non-negative probabilities", f"{float(values[place]):g} at index {place}")
    return values
