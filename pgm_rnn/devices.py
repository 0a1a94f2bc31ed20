"""Where to compute: the name a user gives, as a torch device."""

from __future__ import annotations

import torch

from pgm_rnn.checks import check_name, reject


def resolve_device(name: str | torch.device) -> torch.device:
    """``auto`` (the GPU if there is one), ``cpu``, ``cuda`` or a torch device.

    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if isinstance(name, torch.device):
        return name
    kind = check_name("device", str(name).split(":")[0], ("auto", "cpu", "cuda"))
    if kind == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if kind == "cuda" and not torch.cuda.is_available():
        raise reject("device", "a device of this machine", repr(name), "there is no CUDA device; use cpu or auto")
    try:
        return torch.device(name)
    except RuntimeError:
        raise reject("device", "a name like auto, cpu, cuda or cuda:0", repr(name)) from None
