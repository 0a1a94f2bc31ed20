"""What a process and a model have in common: a family of laws over words, one per duration."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from pgm_rnn.checks import as_tensor, check_alphabet, check_duration, check_integer, reject
from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.sequences import Sequences
from pgm_rnn.sides import NO_SIDES, Conditions, Sides, check_side


class ParameterCount(NamedTuple):
    """Numbers a family stores, and how many of them are free: the softmax's redundancy is what ``free`` leaves out."""

    stored: int
    free: int


class Family(nn.Module):
    """``family(duration)`` builds the law over words of that duration from the tensors the module holds *now*.

    So ``torch.func.functional_call``, priors and posterior draws work, and ``family.to(device)`` moves everything.

    Args:
        alphabet_size: the number ``k >= 2`` of symbols.
        replicates: ``R`` independent copies with a leading axis ``R`` in every tensor, or None for one without.
    """

    alphabet_size: int
    replicates: int | None
    context_dim: int | None = None
    """The width of a context, or the number of its labels; None for a family that takes none."""
    input_dim: int | None = None
    """The same for the input of a step."""
    ends: bool = False
    """Whether the last of the symbols is an absorbing END, so that the laws are over words of any length."""

    def __init__(self, alphabet_size: int, replicates: int | None = None) -> None:
        super().__init__()
        self.alphabet_size = check_alphabet(alphabet_size)
        self.replicates = None if replicates is None else check_integer("replicates", replicates, 1)

    @property
    def lead(self) -> tuple[int, ...]:
        """Leading shape of the module's tensors: ``()`` or ``(R,)``."""
        return () if self.replicates is None else (self.replicates,)

    def forward(
        self, duration: int, context: Tensor | None = None, inputs: Tensor | None = None
    ) -> SequenceDistribution:
        """The law over words of ``duration`` symbols, or of each of G sequences with a context or inputs of its own.

        Args:
            duration: T.
            context: for families that take one: vectors ``(G, D)``, or integer labels ``(G,)``.
            inputs: likewise ``(G, T, D)`` or ``(G, T)``, one for each step.

        Returns:
            A law with batch shape ``()``, or ``(G,)`` where there are contexts or inputs; with replicates ``(R, 1)`` or
            ``(R, G)``.

        Raises:
            InputError: if the duration is no integer of at least 1, or a context or inputs come that are not used, do
                not come that are, or do not fit.
        """
        duration, sides = check_duration(duration), dict[str, Tensor]()
        for argument, value, width in (("context", context, self.context_dim), ("inputs", inputs, self.input_dim)):
            if value is None and width is not None:
                each = "sequence" if argument == "context" else "step"
                raise reject(argument, f"one for each {each}, of dimension {width}", "None")
            if value is not None and width is None:
                raise reject(argument, f"None, because {type(self).__name__} takes no {argument}", type(value).__name__)
            if value is not None:
                steps = duration if argument == "inputs" else None
                sides[argument] = check_side(argument, as_tensor(argument, value), steps, self.replicates)
        roots = Sides(**sides).roots
        if len(set(roots.values()) - {1}) > 1:
            raise reject("inputs", f"one for each of the {roots['context']} contexts", roots["inputs"])
        return self.law(duration, **sides)

    def law(self, duration: int, *args: Any, **kwargs: Any) -> SequenceDistribution:
        raise NotImplementedError(f"{type(self).__name__} is abstract")

    def read(self, words: Sequences) -> Sequences:
        """Words as this family's laws have them: those over the symbols beside END with END behind them."""
        return words.with_end() if self.ends and words.alphabet_size == self.alphabet_size - 1 else words

    def relevant(self, sides: Sides) -> dict[str, Tensor]:
        """Of what a truth is conditioned on, the parts that this family takes: others it ignores."""
        widths = {"context": self.context_dim, "inputs": self.input_dim}
        return {name: part for name, part in sides.given.items() if widths[name] is not None}

    def conditions(self, duration: int) -> Conditions | None:
        """For a source of words given a context or inputs: all values of those, with their probabilities."""
        return None

    def draw_conditions(self, count: int, duration: int, generator: torch.Generator) -> Sides:
        """For such a source: contexts or inputs of ``count`` words."""
        return NO_SIDES

    def configuration(self) -> dict[str, Any]:
        """The constructor's arguments, as plain values that a file can hold."""
        raise NotImplementedError(f"{type(self).__name__} is abstract")

    def parameter_count(self, duration: int) -> ParameterCount:
        """Parameters of one replicate, as Python ints."""
        raise NotImplementedError(f"{type(self).__name__} is abstract")

    def reset_parameters(self, seeds: Sequence[int]) -> None:
        """Draw the parameters that training starts from, those of each replicate from its own seed."""
        raise NotImplementedError(f"{type(self).__name__} has no parameters to train")

    @property
    def has_choices(self) -> bool:
        """Whether fitting has settings to choose, for which it wants held-out words."""
        return True

    def with_replicates(self, replicates: int | None) -> Family:
        """A fresh family with the same settings and that many replicates."""
        return type(self)(**{**self.configuration(), "replicates": replicates})

    def replicate(self, index: int) -> Self:
        """Replicate ``index`` alone, as a family without a replicate axis."""
        if self.replicates is None:
            raise reject("replicate", "a family with replicates", "one without")
        index = check_integer("replicate", index, 0, self.replicates - 1)
        alone = copy.copy(self)
        alone.replicates = None
        own = self.named_parameters(recurse=False), self.named_buffers(recurse=False)
        alone._parameters = {name: nn.Parameter(p.detach()[index].clone()) for name, p in own[0]}
        alone._buffers = {name: buffer[index].clone() for name, buffer in own[1]}
        return alone
