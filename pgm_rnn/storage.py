"""Families in files: safetensors with the constructor's arguments beside the tensors; no code is ever run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from pgm_rnn.checks import InputError, check_name, check_path, reject
from pgm_rnn.family import Family
from pgm_rnn.files import write_whole
from pgm_rnn.models import ENDINGS, MODELS
from pgm_rnn.processes import FiniteWords, Interpolated, Mixture, Process, TimeVarying, Transducer

FORMAT = "pgm_rnn-1"

TRUTHS: dict[str, type[Interpolated | Mixture | Process | TimeVarying | Transducer]] = {
    "finite-words": FiniteWords,
    "interpolated": Interpolated,
    "mixture": Mixture,
    "process": Process,
    "time-varying": TimeVarying,
    "transducer": Transducer,
}


def _constructors() -> dict[str, Callable[..., Family]]:
    return {**MODELS, **ENDINGS, **{name: kind.blank for name, kind in TRUTHS.items()}}


def _kind(family: Family) -> str:
    for name, constructor in {**MODELS, **ENDINGS, **TRUTHS}.items():
        if type(family) is constructor:
            return name
    known = ", ".join(sorted({**MODELS, **ENDINGS}))
    raise reject("model", "a process or one of " + known, type(family).__name__)


def _described(family: Family) -> dict[str, Any]:
    """A family among another's arguments, as JSON."""
    return {"family": _kind(family), "configuration": family.configuration()}


def _rebuilt(values: dict[str, Any]) -> Any:
    """A family from what :func:`_described` gave; any other JSON object as it is."""
    if set(values) != {"family", "configuration"}:
        return values
    return MODELS[check_name("family", values["family"], MODELS)](**values["configuration"])


def save(model: Family, path: str | os.PathLike[str]) -> None:
    """Write a model or a process; the file appears whole or not at all.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from pgm_rnn import models
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(models.Markov(2, order=1), Path(folder) / "chain.safetensors")
        ...     load(Path(folder) / "chain.safetensors").order
        1
    """
    configuration = json.dumps(model.configuration(), default=_described)
    metadata = {"format": FORMAT, "family": _kind(model), "configuration": configuration}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_whole(check_path("path", path), to_bytes(tensors, metadata=metadata))


def load(path: str | os.PathLike[str]) -> Family:
    """Read what :func:`save` wrote.

    The family is laid out without memory first, and filled only if every tensor of the file fits it.

    Raises:
        InputError: if the file is missing, damaged, or no file of this library.
    """
    source = check_path("path", path)
    if not source.is_file():
        raise reject("path", "a model file", repr(str(source)))
    try:
        with safe_open(source, framework="pt") as file:
            metadata = file.metadata() or {}
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  # no dict
            family = _blank(metadata, shapes)
            tensors = {name: file.get_tensor(name) for name in shapes}
    except (SafetensorError, OSError, UnicodeDecodeError) as error:
        raise reject("path", "a model file written by save", f"{source.name} ({error})") from None
    except InputError as error:
        raise reject("path", "a model file written by save", f"{source.name} ({error})") from None
    _check_numbers(family, tensors)
    family.load_state_dict(tensors, assign=True)
    return family


def _check_numbers(family: Family, tensors: dict[str, Tensor]) -> None:
    """Refuse what would fail later: NaN, or other types of number than the family computes with."""
    for name, own in family.state_dict().items():
        allowed = (torch.float32, torch.float64) if own.is_floating_point() else (own.dtype,)
        if tensors[name].dtype not in allowed:
            raise reject("path", f"a model file with {name} as {allowed[0]}", tensors[name].dtype)
        if bool(tensors[name].isnan().any()):
            raise reject("path", "a model file of numbers", f"NaN in {name}")
    floats = {str(tensor.dtype) for tensor in tensors.values() if tensor.is_floating_point()}
    if len(floats) > 1:
        raise reject("path", "a model file in float32 or in float64", " and ".join(sorted(floats)))


def _blank(metadata: dict[str, str], shapes: dict[str, tuple[int, ...]]) -> Family:
    """The family that the file describes, on the meta device, if the file's tensors have its shapes."""
    if metadata.get("format") != FORMAT:
        raise reject("format", repr(FORMAT), repr(metadata.get("format")))
    constructors = _constructors()
    constructor = constructors[check_name("family", metadata.get("family", ""), constructors)]
    try:
        with torch.device("meta"):
            family = constructor(**json.loads(metadata.get("configuration", ""), object_hook=_rebuilt))
    except (TypeError, ValueError, RuntimeError, OverflowError, MemoryError) as error:
        raise reject("configuration", "the constructor's arguments", str(error)) from None
    expected = {name: tuple(tensor.shape) for name, tensor in family.state_dict().items()}
    if expected != shapes:
        raise reject("tensors", str(expected), str(shapes))
    return family
