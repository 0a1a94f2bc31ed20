"""Learning: closed forms, gradients, and priors with variational posteriors."""

from __future__ import annotations

from pgm_rnn.inference.fitting import fit
from pgm_rnn.inference.result import Fit

__all__ = ["Fit", "fit"]
