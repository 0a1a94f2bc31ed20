"""The loss step by step and in segments, against the law's own log-probability and its gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pgm_rnn import processes
from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.experiment.costs import peak_bytes
from pgm_rnn.inference.segments import loss_along, loss_in_segments
from pgm_rnn.models import Recurrent

WORDS = processes.mess3()(19).sample((5,), generator=torch.Generator().manual_seed(0))


def start(model: Recurrent, words: Tensor) -> tuple[SequenceDistribution, Tensor, Tensor]:
    law = model(words.shape[1])
    return law, law.initial_state((len(words),)), words


@pytest.mark.parametrize("T", [1, 2, 3, 4, 10, 16, 19])
def test_both_losses_and_their_gradients_are_the_law_s(T: int) -> None:
    model, words = Recurrent(3, 6).double(), WORDS[:, :T]
    expected = -model(T).log_prob(words).sum()
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(expected, parameters, allow_unused=T == 1, materialize_grads=T == 1)
    for loss in (loss_along(*start(model, words))[0], loss_in_segments(*start(model, words))):
        torch.testing.assert_close(loss, expected, rtol=1e-13, atol=0)
        model.zero_grad()
        loss.backward()
        for parameter, gradient in zip(parameters, gradients, strict=True):
            ours = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            torch.testing.assert_close(ours, gradient, rtol=1e-11, atol=1e-12)


def test_a_walk_can_be_cut_anywhere() -> None:
    model = Recurrent(3, 6).double()
    law, state, words = start(model, WORDS)
    whole, end = loss_along(law, state, words)
    first, middle = loss_along(law, state, words[:, :7])
    second, last = loss_along(law, middle, words[:, 7:])
    torch.testing.assert_close(first + second, whole, rtol=1e-13, atol=0)
    torch.testing.assert_close(last, end, rtol=1e-13, atol=0)


def test_memory_grows_with_t_or_with_its_root() -> None:
    """From T = 36 to 144 to 576 each increase is four times the one before, or twice."""
    model = Recurrent(2, 32).double()
    words = torch.randint(2, (4, 576), generator=torch.Generator().manual_seed(0))
    loss_along(*start(model, words))[0].backward()  # from now on gradients are there, to be added to

    def kept_at(T: int) -> int:
        return peak_bytes(lambda: loss_along(*start(model, words[:, :T]))[0].backward())

    def segments_at(T: int) -> int:
        return peak_bytes(lambda: loss_in_segments(*start(model, words[:, :T])).backward())

    kept, segments = ([at(T) for T in (36, 144, 576)] for at in (kept_at, segments_at))
    assert (kept[2] - kept[1]) / (kept[1] - kept[0]) == pytest.approx(4, rel=0.02)
    assert (segments[2] - segments[1]) / (segments[1] - segments[0]) == pytest.approx(2, rel=0.05)
