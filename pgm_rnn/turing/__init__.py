"""Turing machines as recurrent networks: what a person types, compiled to A, B and c, and run beside the machine."""

from pgm_rnn.turing.catalogue import MACHINES, find_machine
from pgm_rnn.turing.compiler import Layout, compile_machine, run_net
from pgm_rnn.turing.lockstep import Moment, lockstep
from pgm_rnn.turing.machine import Machine, Transition, parse_machine
from pgm_rnn.turing.net import Net, exact_run, float_run
from pgm_rnn.turing.simulator import Configuration, simulate

__all__ = [
    "MACHINES",
    "Configuration",
    "Layout",
    "Machine",
    "Moment",
    "Net",
    "Transition",
    "compile_machine",
    "exact_run",
    "find_machine",
    "float_run",
    "lockstep",
    "parse_machine",
    "run_net",
    "simulate",
]
