"""Each invariant catches a family that breaks it, and lets the family it was made from pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import invariants as inv
import pytest
import torch
from families import randomise
from torch import Tensor

from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.family import Family
from pgm_rnn.models import EndSymbol, Markov, Recurrent
from pgm_rnn.models.cells import Tanh
from pgm_rnn.models.recurrent_law import RecurrentLaw
from pgm_rnn.placed import Placed

TOLERANCE = 1e-10


class Broken(Family):
    """A sound family whose laws are spoilt: ``spoil`` changes each one in place or replaces it."""

    def __init__(self, sound: Family, spoil: Callable[[Any], SequenceDistribution]) -> None:
        super().__init__(sound.alphabet_size, sound.replicates)
        self.sound = sound
        self.spoil = spoil

    def law(self, duration: int) -> SequenceDistribution:
        return self.spoil(self.sound(duration))


def network(replicates: int | None = None, symbols: int = 2) -> Recurrent:
    model = Recurrent(symbols, 3, replicates=replicates).double()
    randomise(model)
    return model


def chain(order: int) -> Markov:
    model = Markov(2, order).double()
    randomise(model)
    return model


def replacing(**methods: Callable[..., Any]) -> Callable[[SequenceDistribution], SequenceDistribution]:
    """Spoil a law by methods that get the sound law and its own method's arguments."""

    def spoil(law: SequenceDistribution) -> SequenceDistribution:
        cls = type(law)

        def bind(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
            return lambda self, *args, **kwargs: method(self, getattr(cls, name), *args, **kwargs)

        if {"update", "select"} & set(methods):  # a spoilt step is a step that is taken, not one that is unrolled
            methods.setdefault("logits_along", lambda law, own, *args: SequenceDistribution.logits_along(law, *args))
        law.__class__ = type(f"Spoilt{cls.__name__}", (cls,), {n: bind(n, m) for n, m in methods.items()})
        return law

    return spoil


def caught(check: Callable[..., None], sound: Family, broken: Family, *arguments: object) -> None:
    check(sound, *arguments)
    with pytest.raises(AssertionError):
        check(broken, *arguments)


def test_mass_that_leaks() -> None:
    leak = replacing(log_prob=lambda law, own, words: own(law, words) - 1e-6)
    caught(inv.check_sums_to_one, network(), Broken(network(), leak), 3, TOLERANCE)


def test_words_in_another_order() -> None:
    flip = replacing(enumerate_support=lambda law, own, expand: own(law, expand).flip(0))
    caught(inv.check_sums_to_one, network(), Broken(network(), flip), 3, TOLERANCE)


def test_log_prob_of_another_law() -> None:
    sharpen = replacing(logits_along=lambda law, own, state, edges: 1.001 * own(law, state, edges))
    caught(inv.check_chain_rule, network(), Broken(network(), sharpen), 3, TOLERANCE)


def test_lanes_that_see_each_other() -> None:
    def mix(law: Any, own: Any, state: Tensor, symbol: Tensor) -> Tensor:
        after = own(law, state, symbol)
        return after + 1e-3 * after.mean(-2, keepdim=True)

    caught(inv.check_chain_rule, network(), Broken(network(), replacing(update=mix)), 3, TOLERANCE)
    caught(inv.check_trees_agree, network(), Broken(network(), replacing(update=mix)), 3, TOLERANCE)


def test_a_program_that_scores_otherwise() -> None:
    sharpen = replacing(log_prob=lambda law, own, words: own(law, words) * 1.001)
    caught(inv.check_programs_agree, network(2), Broken(network(2), sharpen), 3, TOLERANCE)


def test_a_mediator_that_does_not_mediate() -> None:
    """What is shown as h_t is not what the rest depends on."""
    half = replacing(with_mediator=lambda law, own, state, mediator: mediator / 2)
    caught(inv.check_programs_agree, network(), Broken(network(), half), 3, TOLERANCE)


def test_a_law_that_knows_its_duration() -> None:
    hurry = replacing(next_logits=lambda law, own, state: own(law, state) * (1 + 1e-3 * law.duration))
    caught(inv.check_last_symbol_sums_out, network(), Broken(network(), hurry), 3, TOLERANCE)


def test_a_process_that_is_not_stationary() -> None:
    still = chain(0)  # its rows are the same at every step, those of the longer chain are not
    caught(inv.check_first_symbol_sums_out, still, chain(1), 3, TOLERANCE)


def test_a_gather_of_the_wrong_lanes() -> None:
    """The tree's lanes are gathered by the family's states: here every lane gets its neighbour's."""
    roll = replacing(select=lambda law, own, state, parent: own(law, state, parent).roll(1, -2))
    caught(inv.check_trees_agree, network(3), Broken(network(3), roll), 4, TOLERANCE)


def test_a_detached_step() -> None:
    """The value is right and the gradient is not, on the tree's path alone."""
    cut = replacing(select=lambda law, own, state, parent: own(law, state, parent).detach())
    caught(inv.check_trees_agree, network(), Broken(network(), cut), 4, TOLERANCE)


@pytest.mark.parametrize(
    "methods",
    [
        {"log_prob": lambda law, own, words: own(law, words).unsqueeze(-1)},
        {"sample": lambda law, own, shape=(), generator=None: own(law, shape, generator=generator)[..., 0]},
        {"expand": lambda law, own, batch_shape, _instance=None: law},
    ],
    ids=["log_prob", "sample", "expand"],
)
def test_wrong_shapes(methods: dict[str, Callable[..., Any]]) -> None:
    caught(inv.check_shapes, network(3), Broken(network(3), replacing(**methods)), 2, TOLERANCE)


def test_replicates_that_share() -> None:
    def share(law: RecurrentLaw, own: Any, shape: Sequence[int]) -> Tensor:
        return own(law, shape) + 1e-3 * law.b.mean(0)

    class Sharing(Recurrent):
        def law(self, duration: int) -> RecurrentLaw:
            law = super().law(duration)
            return law if self.replicates is None else replacing(initial_state=share)(law)  # type: ignore[return-value]

    broken = Sharing(2, 3, replicates=3).double()
    randomise(broken)
    caught(inv.check_replicates_stand_alone, network(3), broken, 2, TOLERANCE)


def test_a_sampler_of_another_law() -> None:
    def flatten(law: Any, own: Any, shape: Sequence[int] = (), *, generator: torch.Generator | None = None) -> Tensor:
        words = own(law, shape, generator=generator)
        words[: len(words) // 10] = 1
        return words

    caught(inv.check_sample_frequencies, network(), Broken(network(), replacing(sample=flatten)), 2)


def test_a_sampler_that_draws_forbidden_words() -> None:
    model = chain(1)
    with torch.no_grad():
        model.logits[0, 1] = -torch.inf
    stray = replacing(sample=lambda law, own, shape=(), generator=None: own(law, shape, generator=generator) | 1)
    caught(inv.check_sample_frequencies, model, Broken(model, stray), 2)


def test_a_filter_that_divides_by_zero() -> None:
    """Renormalised after a forbidden symbol, a belief is nan."""
    model = network()
    with torch.no_grad():
        model.c[0] = -torch.inf
    forget = replacing(update=lambda law, own, state, symbol: own(law, state, symbol) * (symbol / symbol).unsqueeze(-1))
    caught(inv.check_never_nan, model, Broken(model, forget), 3)


def test_a_gradient_that_is_nan() -> None:
    """A square root at 0 is right in value and infinite in slope."""

    def spike(law: Any, own: Any, state: Tensor, symbol: Tensor) -> Tensor:
        after = own(law, state, symbol)
        return after + (after - after.detach()).abs().sqrt()

    caught(inv.check_never_nan, network(), Broken(network(), replacing(update=spike)), 3)


def test_a_parameter_without_effect() -> None:
    cut = replacing(update=lambda law, own, state, symbol: own(law, state.detach() * 0, symbol))
    caught(inv.check_gradient_reaches_parameters, network(), Broken(network(), cut), 3)


def test_an_end_that_does_not_last() -> None:
    resume = replacing(_absorb=lambda law, own, logits, ended: logits)
    ended = EndSymbol(network(symbols=3))
    caught(inv.check_end_absorbs, ended, Broken(ended, resume), 3)


def test_an_end_that_never_comes() -> None:
    deaf = replacing(_absorb=lambda law, own, logits, ended: law._begin(logits))
    ended = EndSymbol(network(symbols=3))
    caught(inv.check_end_absorbs, ended, Broken(ended, deaf), 3)


def test_a_table_of_another_law() -> None:
    sharpen = replacing(logits_along=lambda law, own, state, edges: 1.001 * own(law, state, edges))
    caught(inv.check_tabulate, network(), Broken(network(), sharpen), 3, TOLERANCE)


class Forgetful(Recurrent):
    """Its configuration leaves out what its law depends on."""

    temperature = 1.0

    def law(self, duration: int) -> RecurrentLaw:
        return RecurrentLaw(duration, Tanh, self.U, self.W, self.V * self.temperature, self.b, self.c)


def test_a_file_that_forgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("pgm_rnn").models.MODELS, "recurrent", Forgetful)
    sound, broken = Forgetful(2, 3), Forgetful(2, 3)
    broken.temperature = 2.0
    caught(inv.check_storage, sound, broken, 3, tmp_path, TOLERANCE)


def test_a_chain_that_keeps_all_symbols() -> None:
    """The context as ``(context * k + symbol) % k**m`` has the chain's probabilities and the table's graph."""

    def modulo(law: Any, own: Any, state: Placed, symbol: Tensor) -> Placed:
        past = state.past[-1] if state.past else torch.zeros_like(state.root)
        return Placed(((past * law.alphabet_size + symbol) % law.alphabet_size,), state.root, state.t + 1)

    broken = Broken(chain(1), replacing(update=modulo))
    inv.check_sums_to_one(broken, 3, TOLERANCE)
    caught(inv.check_graph, chain(1), broken, 1)


def test_a_mediator_that_is_passed_by() -> None:
    """The state keeps the hidden vector it had, so h_t is drawn and nothing depends on it."""
    passed = replacing(with_mediator=lambda law, own, state, mediator: state)
    caught(inv.check_graph, network(), Broken(network(), passed), None)


@pytest.mark.parametrize(
    "methods",
    [
        {"log_prob": lambda law, own, words: own(law, words.long().clamp(0, law.alphabet_size - 1))},
        {"given": lambda law, own, prefix: own(law, torch.as_tensor(prefix).long().clamp(0, 1)[..., :1])},
    ],
    ids=["log_prob", "given"],
)
def test_bad_input_taken(methods: dict[str, Callable[..., Any]]) -> None:
    caught(inv.check_bad_input, network(), Broken(network(), replacing(**methods)), 2)
