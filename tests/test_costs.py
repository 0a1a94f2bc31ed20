"""Peak memory against computations of known peak and against the allocator's own record; growth and turns."""

from __future__ import annotations

import time
from statistics import median

import pytest
import torch
from torch import Tensor
from torch.autograd import Function
from torch.profiler import ProfilerActivity, profile
from torch.utils.checkpoint import checkpoint

from pgm_rnn.experiment.costs import Step, fewest_seconds, growth_exponent, peak_bytes

KILOBYTE = torch.zeros(128, dtype=torch.double)


def recorded_peak(step: Step) -> int:
    """The running sum of torch's own record of allocations, at its highest."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        step()
    held = peak = 0
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]  # type: ignore[union-attr]  # it ran
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def held_together(count: int) -> list[Tensor]:
    return [KILOBYTE + i for i in range(count)]


def one_after_the_other(count: int) -> None:
    for i in range(count):
        KILOBYTE + i


def test_what_is_held_counts_and_what_is_dropped_does_not() -> None:
    assert peak_bytes(lambda: held_together(5)) == 5 * 1024
    assert peak_bytes(lambda: one_after_the_other(5)) == 1024


def test_a_peak_in_the_middle_is_seen_and_what_remains_is_not_the_peak() -> None:
    def step() -> Tensor:
        many = held_together(7)
        return many[0]

    assert peak_bytes(step) == 7 * 1024


def test_views_and_changes_in_place_are_free() -> None:
    assert peak_bytes(lambda: [KILOBYTE[i:].reshape(-1).unsqueeze(0) for i in range(5)]) == 0
    assert peak_bytes(lambda: KILOBYTE.zero_()) == 0
    assert peak_bytes(lambda: (KILOBYTE + 1).add_(1).mul_(2).view(2, -1)) == 1024


def test_several_results_and_containers_count() -> None:
    assert peak_bytes(lambda: KILOBYTE.sort()) == 2 * 1024
    assert peak_bytes(lambda: torch.cat([KILOBYTE, KILOBYTE])) == 2 * 1024


def chain(x: Tensor, length: int) -> Tensor:
    for _ in range(length):
        x = x.tanh()
    return x


def test_what_backward_keeps_and_frees_is_seen() -> None:
    """tanh keeps its result; in the backward pass two gradients come on top, and one result after the other goes."""
    leaf = KILOBYTE.clone().requires_grad_()
    leaf.grad = torch.zeros_like(leaf)
    forward_only = peak_bytes(lambda: chain(leaf, 10).sum())
    assert forward_only == 10 * 1024 + 8
    both = peak_bytes(lambda: chain(leaf, 10).sum().backward())
    assert forward_only < both <= forward_only + 2 * 1024 + 16


class Cubed(Function):
    """A backward pass of its own, that allocates."""

    @staticmethod
    def forward(ctx, x):  # type: ignore[no-untyped-def]  # as torch calls it
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, above):  # type: ignore[no-untyped-def]  # as torch calls it
        (x,) = ctx.saved_tensors
        return above * 3 * x * x


@pytest.mark.parametrize("name", ["chain", "segments", "function", "products"])
def test_the_allocator_s_record_says_the_same(name: str) -> None:
    leaf = torch.linspace(-1, 1, 64 * 64, dtype=torch.double).reshape(64, 64).requires_grad_()

    def segments() -> Tensor:
        x = leaf
        for _ in range(4):
            x = checkpoint(chain, x, 4, use_reentrant=False, preserve_rng_state=False)
        return x

    made = {
        "chain": lambda: chain(leaf, 16),
        "segments": segments,
        "function": lambda: Cubed.apply(leaf),
        "products": lambda: (leaf @ leaf).log_softmax(-1) @ leaf,
    }[name]

    def step() -> None:
        torch.autograd.grad(made().sum(), leaf)  # nothing from outside is freed here, which a record may or may not see

    recorded = median(recorded_peak(step) for _ in range(5))  # events of one instant come in any order, once in a while
    assert peak_bytes(step) == pytest.approx(recorded, rel=0.01)


def test_no_graph_keeps_nothing() -> None:
    leaf = KILOBYTE.clone().requires_grad_()
    with torch.no_grad():
        assert peak_bytes(lambda: chain(leaf, 50)) <= 2 * 1024


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_the_allocator_s_own_number() -> None:
    x = torch.zeros(2**20, device="cuda")
    assert peak_bytes(lambda: [x + i for i in range(5)], "cuda") == 5 * 2**22


def test_turns_are_taken_and_the_fewest_seconds_of_work_kept() -> None:
    turns: list[str] = []

    def busy() -> None:
        turns.append("busy")
        end = time.process_time() + (0.02 if turns.count("busy") == 2 else 0.1)
        while time.process_time() < end:
            pass

    def idle() -> None:
        turns.append("idle")
        time.sleep(0.05)

    seconds = fewest_seconds({"busy": busy, "idle": idle}, rounds=3)
    assert turns == ["busy", "idle"] * 3
    assert 0.02 <= seconds["busy"] < 0.1
    assert seconds["idle"] < 0.02


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_the_exponent_of_a_power_law(power: float) -> None:
    sizes = [64, 256, 1024, 4096]
    assert growth_exponent(sizes, [7.0 * size**power for size in sizes]) == pytest.approx(power, abs=1e-12)
