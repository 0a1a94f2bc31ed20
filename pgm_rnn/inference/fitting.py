"""fit: one signature for every model and every kind of data."""

from __future__ import annotations

import copy
from typing import Any, TypeGuard

import torch

from pgm_rnn.checks import check_integer, check_name, check_seed, reject
from pgm_rnn.devices import resolve_device
from pgm_rnn.family import Family
from pgm_rnn.inference.batches import Batches
from pgm_rnn.inference.counting import Counted, fit_counting
from pgm_rnn.inference.forcing import LIKELIHOODS, MODES, TEACHER_FORCING, TRUE_SHARES
from pgm_rnn.inference.given_length import fit_given_length
from pgm_rnn.inference.gradient import fit_gradient
from pgm_rnn.inference.kinds_of_data import Data, as_tree, map_words, split
from pgm_rnn.inference.result import Fit
from pgm_rnn.inference.sampled import fit_batches
from pgm_rnn.models.endings import CountedEnding
from pgm_rnn.models.predicted_length import PredictedLength
from pgm_rnn.models.rows import RowsFamily
from pgm_rnn.prefix_tree import PrefixTree
from pgm_rnn.progress import progress_bar

MAX_STEPS = 2000
"""Evaluations of the gradient at most, unless the caller says otherwise."""


def fit(
    model: Family,
    data: Data,
    *,
    validation: Data | None = None,
    max_steps: int | None = None,
    restarts: int = 3,
    mode: str = "teacher-forcing",
    seed: int = 0,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    progress: bool = False,
) -> Fit:
    r"""Fit a copy of ``model`` by maximum likelihood.

    On a law, or on a prefix tree, the likelihood is exact and is driven to convergence; the restart with the lowest
    training loss is kept. On sequences whatever is tuned (stopping, restart and weight decay of a network, pseudocount
    and order of a table where they are None) is chosen on a seeded split of the same words, or on ``validation``.

    Args:
        model: any model of :data:`pgm_rnn.models.MODELS`, with or without an ending.
        data: Sequences, a list of R of them, a PrefixTree, or a law, such as ``process(duration)``. Words of different
            lengths are learnt with their END by a model that ends, and as far as they go by another.
        validation: words to choose on, in place of a split.
        max_steps: evaluations of a gradient at most (default 2000); counting ignores it.
        restarts: starting points, from seeds of their own; an inner axis, so R results come back.
        mode: what a network is fed while it trains. ``"teacher-forcing"``: the true past, which makes the loss the
            likelihood. ``"free-running"``: symbols that it draws itself. ``"scheduled"``: each symbol the true one with
            a probability that falls linearly from 1 to 0 over training, or else its own. ``"output-vector"``: its
            output vector o in place of a one-hot. See :mod:`pgm_rnn.inference.forcing`; the losses are the mode's own.
            The two that draw symbols train on batches of words or of a law's words, for exactly ``max_steps`` steps of
            Adam, and leave the choice of the restart to the training loss.
        seed: of the split and of the starting points. Each of a list of data sets uses it as it would alone;
            replicates on one and the same data use seed, seed + 1, ...
        device: where to compute (default: where the model is).
        dtype: of the parameters (default float64, and float32 on a GPU).
        progress: show a bar with the time left, if there is a terminal.

    Raises:
        InputError: if data and model do not go together, or an argument is out of range.

    Example:
        >>> from pgm_rnn import models, processes
        >>> even = processes.even()
        >>> result = fit(models.Markov(2, order=1), even(4))
        >>> bool(result.losses[-1] > even.block_entropy(4))
        True
    """
    how: Any = {
        "max_steps": check_integer("max_steps", MAX_STEPS if max_steps is None else max_steps, 1),
        "restarts": check_integer("restarts", restarts, 1),
        "seed": check_seed(seed),
    }
    _check(model, mode, dtype)
    if isinstance(model, PredictedLength):
        return fit_given_length(fit, model, data, validation, device=device, dtype=dtype, progress=progress, **how)
    data = map_words(model.read, data)
    validation = None if validation is None else map_words(model.read, validation)
    where = next(model.parameters()).device if device is None else resolve_device(device)
    if mode in TRUE_SHARES:
        if validation is not None:
            raise reject("validation", f"None with mode {mode!r}", type(validation).__name__, "nothing is chosen on it")
        batches = Batches(data)
        model = _prepare(model, batches, where, dtype)
        with progress_bar("fit", progress) as report:
            result = fit_batches(model, batches, TRUE_SHARES[mode], progress=report, **how)
    else:
        tree = as_tree("data", data, where)
        model = _prepare(model, tree, where, dtype)
        halves = split(data, tree, validation, seed, where) if model.has_choices else None
        if is_counted(model):
            result = fit_counting(model, tree, halves)
        else:
            part, held_out = (tree, None) if halves is None else halves
            with progress_bar("fit", progress) as report:
                result = fit_gradient(model, part, held_out, likelihood=LIKELIHOODS[mode], progress=report, **how)
    return result if model.replicates is not None else result.alone()


def _check(model: object, mode: str, dtype: torch.dtype | None) -> None:
    """Refuse what is no model, or cannot be trained so."""
    if not isinstance(model, Family) or not list(model.parameters()):
        raise reject("model", "a model with parameters to learn", type(model).__name__)
    if dtype not in (None, torch.float32, torch.float64):
        raise reject("dtype", "torch.float32, torch.float64 or None", dtype)
    if check_name("mode", mode, MODES) != TEACHER_FORCING and (is_counted(model) or model.ends):
        why = "its rows are counted, whatever it is fed" if is_counted(model) else "words of its own end elsewhere"
        raise reject("mode", f"{TEACHER_FORCING!r} for {type(model).__name__}", repr(mode), why)


def is_counted(model: Family) -> TypeGuard[Counted]:
    """Whether the parameters of a model are a function of counts."""
    return isinstance(model, RowsFamily) or (isinstance(model, CountedEnding) and model.is_counted)


def _prepare(model: Family, data: PrefixTree | Batches, device: torch.device, dtype: torch.dtype | None) -> Family:
    """A copy of the model with the data's replicates, on its device."""
    if model.alphabet_size != data.alphabet_size:
        raise reject("model", f"alphabet_size {data.alphabet_size}, as in the data", model.alphabet_size)
    if data.replicates not in (None, model.replicates):
        if model.replicates is not None:
            raise reject("model", f"replicates {data.replicates}, as there are data sets", model.replicates)
        model = model.with_replicates(data.replicates)
    if dtype is None:
        dtype = torch.float64 if device.type == "cpu" else torch.float32
    return copy.deepcopy(model).to(device=device, dtype=dtype)
