"""Newton's method beside the sequential pass, on one word."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pgm_rnn.experiment.costs import Step, fewest_seconds
from pgm_rnn.inference.newton import dependent_steps, lyapunov_exponent, newton_states
from pgm_rnn.models import Recurrent
from pgm_rnn.summaries import trajectory


def newton_record(model: Recurrent, word: Tensor, cap: int, tolerance: float) -> dict[str, Any]:
    """The columns that tell how Newton fared: what it took, and whether its states are those of the sequential pass.

    Args:
        model: a tanh network without replicates.
        word: symbols ``(1, T)``.
        cap: iterations after which Newton gives up; T of them are always enough.
        tolerance: the largest difference between states that are the same.

    Example:
        >>> import torch
        >>> record = newton_record(Recurrent(2, hidden_dim=4).double(), torch.zeros(1, 64).long(), 20, 1e-10)
        >>> record["reached"], record["dependent_steps"] < 64 * 20
        (True, True)
    """
    T = word.shape[1]
    found: dict[str, Any] = {}
    steps: dict[str, Step] = {
        "newton": lambda: found.update(newton=newton_states(model, word, max_iterations=min(T, cap))),
        "sequential": lambda: found.update(states=trajectory(model, word[:, :-1]).detach()),
    }
    seconds = fewest_seconds(steps, 1, word.device)
    solution, difference = found["newton"], float((found["newton"].states - found["states"]).abs().max())
    return {
        "lyapunov_nats_per_step": float(lyapunov_exponent(model, word)),
        "iterations": solution.iterations,
        "dependent_steps": dependent_steps(solution.iterations, T),
        "residual": solution.residual,
        "difference": difference,
        "reached": solution.converged and difference <= tolerance,
        **{f"{name}_seconds": value for name, value in seconds.items()},
    }
