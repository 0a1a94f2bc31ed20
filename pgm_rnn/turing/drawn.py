"""Machines and words drawn at random, the same ones for the same seed."""

from __future__ import annotations

import random

from pgm_rnn.turing.machine import Machine, Transition

SYMBOLS, STATES = "_abcd", "PQRS"


def draw_machine(seed: int) -> tuple[Machine, str]:
    """A machine with two to five symbols and one to four states, and a word of up to 20 symbols, blanks among them.

    Example:
        >>> machine, word = draw_machine(4)
        >>> machine.alphabet, machine.states, word
        ('_abcd', ('P', 'Q', 'R', 'halt'), 'bddbccbaacacb_d')
    """
    chance = random.Random(f"machine {seed}")  # hashed, for neighbouring integers begin alike
    alphabet, states = SYMBOLS[: chance.randint(2, 5)], STATES[: chance.randint(1, 4)]
    table = {}
    for state in states:
        for symbol in alphabet:
            following = "halt" if chance.random() < 0.05 else chance.choice(states)
            table[state, symbol] = Transition(chance.choice(alphabet), chance.choice("LLRRS"), following)
    word = "".join(chance.choice(alphabet) for _ in range(chance.randint(0, 20)))
    return Machine(f"drawn {seed}", alphabet, states[0], ("halt",), table), word


def draw_palindrome(length: int, seed: int) -> str:
    """A random word of zeros and ones that reads the same from both ends: who decides that must look at all of it.

    Example:
        >>> draw_palindrome(6, seed=1)
        '010010'
    """
    chance = random.Random(f"palindrome {length} {seed}")
    half = "".join(chance.choice("01") for _ in range((length + 1) // 2))
    return half + half[::-1][length % 2 :]
