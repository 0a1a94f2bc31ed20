"""A machine and its network side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pgm_rnn.turing.compiler import Layout, run_net
from pgm_rnn.turing.machine import Machine
from pgm_rnn.turing.simulator import Configuration, simulate


class Moment(NamedTuple):
    """One step of the machine: its configuration, the one that is read off the network, and the network's state."""

    machine: Configuration
    net: Configuration
    state: np.ndarray


def lockstep(machine: Machine, word: str) -> Iterator[Moment]:
    """The moments of a run on ``word`` until the machine halts; endless if it does not.

    Example:
        >>> from pgm_rnn.turing.catalogue import find_machine
        >>> moments = list(lockstep(find_machine("busy-beaver"), ""))
        >>> len(moments) - 1, all(moment.machine == moment.net for moment in moments)
        (107, True)
    """
    layout = Layout(machine)
    for configuration, s in zip(simulate(machine, word), run_net(machine, word), strict=False):
        yield Moment(configuration, layout.configuration(s), s)
