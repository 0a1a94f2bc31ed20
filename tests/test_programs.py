"""The two Pyro programs put to use: conditioned, replayed, predicted from, and given a prior."""

from __future__ import annotations

import math

import pyro
import pytest
import torch
from families import randomise
from invariants import assert_close, chi_square_p, word_counts
from oracles import all_words
from pyro import poutine
from pyro.infer import SVI, Predictive, Trace_ELBO
from pyro.infer.autoguide import AutoNormal
from torch.func import functional_call

from pgm_rnn.checks import InputError
from pgm_rnn.family import Family
from pgm_rnn.inference.bayes import bayesian
from pgm_rnn.models import EndSymbol, Markov, Recurrent
from pgm_rnn.processes import PROCESSES
from pgm_rnn.programs import fused, stepwise
from pgm_rnn.sequences import Sequences


def network(replicates: int | None = None, dtype: torch.dtype = torch.float64) -> Recurrent:
    model = Recurrent(2, 3, replicates=replicates).to(dtype)
    randomise(model)
    return model


FAMILIES = {"recurrent": network(), "markov": Markov(3, 1), "even": PROCESSES["even"](), "mess3": PROCESSES["mess3"]()}
named = pytest.mark.parametrize("name", FAMILIES)
programs = pytest.mark.parametrize("program", [stepwise, fused])
WORDS = Sequences([[0, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]], 2)


@named
@programs
def test_samples_follow_the_law(name: str, program) -> None:  # type: ignore[no-untyped-def]
    family = FAMILIES[name]
    words = program(family, duration=3, num_sequences=4000)
    p = family(3).log_prob(all_words(family.alphabet_size, 3)).detach().exp()
    assert chi_square_p(word_counts(words, family.alphabet_size), p) > 1e-4


@named
@pytest.mark.parametrize("handler", [pyro.condition, poutine.condition])
@pytest.mark.parametrize("as_lanes", [False, True])
def test_conditioned_on_a_prefix_it_continues(name: str, handler, as_lanes: bool) -> None:  # type: ignore[no-untyped-def]
    """A scalar stands for all words; a value for each is as good."""
    family, N = FAMILIES[name], 4000
    prefix = [1, 0]
    values = {f"y_{t}": torch.full((N,), y) if as_lanes else torch.tensor(y) for t, y in enumerate(prefix, 1)}
    words = handler(stepwise, values)(family, duration=5, num_sequences=N)
    assert words.shape == (N, 5)
    assert torch.equal(words[:, :2], torch.tensor(prefix).expand(N, 2))
    k = family.alphabet_size
    rest = all_words(k, 3)
    joint = family(5).log_prob(torch.cat([torch.tensor(prefix).expand(len(rest), 2), rest], -1)).detach().exp()
    counts = word_counts(words[:, 2:], k)
    assert chi_square_p(counts, joint / joint.sum()) > 1e-4
    assert chi_square_p(counts, family(5).given(prefix).log_prob(rest).detach().exp()) > 1e-4


def test_conditioned_trace_scores_the_prefix() -> None:
    family = network()
    values = {"y_1": torch.tensor([1, 0]), "y_2": torch.tensor([0, 0])}
    trace = poutine.trace(poutine.condition(stepwise, values)).get_trace(family, duration=4, num_sequences=2)
    trace.compute_log_prob()
    seen = trace.nodes["y_1"]["log_prob"] + trace.nodes["y_2"]["log_prob"]
    assert_close(seen, family(2).log_prob(torch.tensor([[1, 0], [0, 0]])), 1e-10)
    assert trace.observation_nodes == ["y_1", "y_2"]


@programs
@pytest.mark.parametrize("replicates", [None, 1, 2])
def test_replay_repeats_the_words(program, replicates: int | None) -> None:  # type: ignore[no-untyped-def]
    family = network(replicates)
    trace = poutine.trace(program).get_trace(family, duration=4, num_sequences=3)
    again = poutine.replay(program, trace=trace)(family, duration=4, num_sequences=3)
    assert torch.equal(again, trace.nodes["_RETURN"]["value"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("replicates", [None, 1, 2])
def test_predictive(parallel: bool, replicates: int | None, dtype: torch.dtype) -> None:
    family = network(replicates, dtype)
    lead = () if replicates is None else (replicates,)
    arguments = {"duration": 2, "num_sequences": 200}
    drawn = Predictive(stepwise, num_samples=5, parallel=parallel)(family, **arguments)
    assert drawn["y_1"].shape == (5, *lead, 200)
    whole = Predictive(fused, num_samples=5, parallel=parallel)(family, **arguments)["y"]
    assert whole.shape == (5, *lead, 200, 2)
    p = family(2).log_prob(all_words(2, 2)).detach().exp()
    for words in (whole, torch.stack([drawn["y_1"], drawn["y_2"]], -1)):
        first = words if replicates is None else words[:, 0]
        assert chi_square_p(word_counts(first.reshape(-1, 2), 2), p if replicates is None else p[0]) > 1e-4


def test_inside_a_plate_of_the_user() -> None:
    def program() -> torch.Tensor:
        with pyro.plate("chains", 5, dim=-2):
            return stepwise(network(), duration=3, num_sequences=4, mediators=True)

    trace = poutine.trace(program).get_trace()
    assert trace.nodes["_RETURN"]["value"].shape == (5, 4, 3)
    trace.compute_log_prob()
    assert trace.nodes["y_3"]["log_prob"].shape == (5, 4)


def test_plates() -> None:
    for replicates, expected in ((None, {"sequences": -1}), (2, {"replicates": -2, "sequences": -1})):
        for program, site in ((stepwise, "y_1"), (fused, "y")):
            trace = poutine.trace(program).get_trace(network(replicates), duration=2, num_sequences=3)
            assert {frame.name: frame.dim for frame in trace.nodes[site]["cond_indep_stack"]} == expected


def test_mediators_are_deterministic_sites() -> None:
    family = network()
    trace = poutine.trace(stepwise).get_trace(family, WORDS, mediators=True)
    h = torch.tanh(family.b).expand(3, -1)
    assert_close(trace.nodes["h_1"]["value"], h, 1e-12)
    assert_close(
        trace.nodes["h_2"]["value"], torch.tanh(family.b + h @ family.W.T + family.U.T[WORDS.symbols[:, 0]]), 1e-12
    )
    assert not [
        name for name in poutine.trace(stepwise).get_trace(Markov(2, 1), WORDS, mediators=True).nodes if name[0] == "h"
    ]


@pytest.mark.parametrize("shape", [(3,), (3, 3)], ids=["one for all words", "one for each"])
def test_an_intervention_on_a_mediator_acts_on_what_follows(shape: tuple[int, ...]) -> None:
    """``do(h_2 = 0)``: y_2 is drawn from softmax(c), whatever y_1 was."""
    family = network()
    zero = {"h_2": torch.zeros(shape, dtype=torch.float64)}
    trace = poutine.trace(poutine.do(stepwise, zero)).get_trace(family, WORDS, mediators=True)
    trace.compute_log_prob()
    assert_close(trace.nodes["y_2"]["log_prob"], family.c.log_softmax(-1)[WORDS.symbols[:, 1]], 1e-12)


def test_a_list_of_data_sets_goes_to_the_replicates() -> None:
    family = network(2)
    sets = [WORDS, Sequences(1 - WORDS.symbols, 2)]
    trace = poutine.trace(stepwise).get_trace(family, sets)
    alone = sum(poutine.trace(stepwise).get_trace(family.replicate(r), sets[r]).log_prob_sum() for r in range(2))
    assert_close(trace.log_prob_sum(), alone, 1e-10)
    assert trace.nodes["_RETURN"]["value"].shape == (2, 3, 4)
    both = poutine.trace(fused).get_trace(family, WORDS)  # one data set serves every replicate
    assert_close(both.log_prob_sum(), family(4).log_prob(WORDS.symbols).sum(), 1e-10)


def test_any_callable_is_a_family() -> None:
    model = network()
    trace = poutine.trace(stepwise).get_trace(lambda duration: model(duration), WORDS)
    assert_close(trace.log_prob_sum(), model(4).log_prob(WORDS.symbols).sum(), 1e-10)


def test_context_and_inputs_reach_the_family() -> None:
    seen = {}

    def family(duration: int, **sides: torch.Tensor):  # type: ignore[no-untyped-def]
        seen.update(sides)
        return network()(duration)

    context, inputs = torch.rand(3, 2), torch.rand(3, 4, 5)
    stepwise(family, Sequences(WORDS.symbols, 2, context=context, inputs=inputs))
    assert torch.equal(seen["context"], context)
    assert torch.equal(seen["inputs"], inputs)


@programs
@pytest.mark.parametrize(
    ("family", "arguments", "message"),
    [
        (network(), {}, "sequences: expected data to observe, or a duration to sample, got neither"),
        (network(), {"duration": 0}, "duration: expected an integer of at least 1, got 0"),
        (network(), {"duration": 2, "num_sequences": 0}, "num_sequences: expected an integer of at least 1, got 0"),
        (network(), {"duration": 2, "num_sequences": 2**63}, "num_sequences: expected at most"),
        ("even", {"duration": 2}, "family: expected a family, or a function from a duration to a law, got str"),
        (network(), {"sequences": WORDS, "duration": 5}, "duration: expected None or 4, as in the sequences, got 5"),
        (
            network(),
            {"sequences": WORDS, "num_sequences": 5},
            "num_sequences: expected None or 3, as in the sequences, got 5",
        ),
        (
            network(),
            {"sequences": [WORDS, WORDS]},
            "sequences: expected one data set, or one for each of the law's no replicates, got 2",
        ),
        (
            network(2),
            {"sequences": [WORDS] * 3},
            "sequences: expected one data set, or one for each of the law's 2 replicates, got 3",
        ),
        (
            network(2),
            {"sequences": []},
            "sequences: expected Sequences, or a list of them that have one N, T and k, got",
        ),
        (network(2), {"sequences": [WORDS, WORDS.symbols]}, "sequences: expected Sequences, or a list of them"),
        (
            network(2),
            {"sequences": [WORDS, WORDS[torch.tensor([0])]]},
            "sequences: expected Sequences, or a list of them",
        ),
        (network(), {"sequences": WORDS.symbols}, "sequences: expected Sequences, or a list of them"),
        (
            network(),
            {"sequences": Sequences(WORDS.symbols, 3)},
            "sequences: expected alphabet_size 2, as in the law, got 3",
        ),
    ],
)
def test_bad_input(program, family: Family, arguments: dict, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError) as error:
        program(family, **arguments)
    assert str(error.value).startswith(message)


# Priors.


@pytest.mark.parametrize("model", [network(), network(2), Markov(2, 1)], ids=["recurrent", "replicates", "markov"])
@programs
def test_svi_with_a_prior(model: Family, program) -> None:  # type: ignore[no-untyped-def]
    """The bound rises, a draw has the weights' shapes, and predictions come from posterior draws."""
    data = Sequences(torch.tensor([[0, 1, 1, 1]]).repeat(30, 1), 2)
    family = bayesian(model)
    guide = AutoNormal(program)
    svi = SVI(program, guide, pyro.optim.Adam({"lr": 0.1}), Trace_ELBO())
    losses = [svi.step(family, data) for _ in range(60)]
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])
    draw = guide(family, data)
    assert {name: value.shape for name, value in draw.items()} == {n: p.shape for n, p in model.named_parameters()}
    samples = Predictive(guide, num_samples=10)(family, data)
    weights = {name: samples[name] for name, _ in model.named_parameters()}
    predicted = Predictive(program, weights)(family, duration=4, num_sequences=50)
    words = predicted["y"] if program is fused else torch.stack([predicted[f"y_{t}"] for t in range(1, 5)], -1)
    assert words.shape == (10, *((2,) if model.replicates else ()), 50, 4)
    hits = (words == data.symbols[0]).all(-1).double().mean()
    assert float(hits) > 0.4  # by chance one word in sixteen


@pytest.mark.parametrize("replicates", [None, 2])
@programs
def test_parallel_draws_of_the_weights(program, replicates: int | None) -> None:  # type: ignore[no-untyped-def]
    """Draws of the weights go through the programs together as they do one by one, and so do particles."""
    model, nesting = network(replicates), 1 if replicates is None else 2
    family, data = bayesian(model), Sequences(torch.tensor([[0, 1, 1, 1]]).repeat(30, 1), 2)
    with pyro.plate("draws", 7, dim=-nesting - 1):
        trace = poutine.trace(program).get_trace(family, data)
    trace.compute_log_prob()
    sites = [site["log_prob"] for name, site in trace.nodes.items() if name.startswith("y")]
    assert {site.shape for site in sites} == {(7, *model.lead, 30)}
    draws = {name: trace.nodes[name]["value"].reshape(7, *weight.shape) for name, weight in model.named_parameters()}
    for r in range(7):
        alone = functional_call(model, {name: draw[r] for name, draw in draws.items()}, (4,))
        assert_close(sum(sites)[r], alone.log_prob(data.symbols), 1e-9)
    predicted = Predictive(program, draws, parallel=True)(family, duration=4, num_sequences=5)
    assert all(site.shape[: nesting + 1] == (7, *model.lead, 5) for site in predicted.values())
    bound = Trace_ELBO(num_particles=3, vectorize_particles=True, max_plate_nesting=nesting)
    svi = SVI(program, AutoNormal(program), pyro.optim.Adam({"lr": 0.1}), bound)
    assert math.isfinite(svi.step(family, data))


def test_the_prior_is_a_normal_on_every_weight() -> None:
    model = network()
    trace = poutine.trace(stepwise).get_trace(bayesian(model, prior_scale=2.0), WORDS)
    trace.compute_log_prob()
    for name, parameter in model.named_parameters():
        value = trace.nodes[name]["value"]
        assert value.shape == parameter.shape
        assert value.dtype == parameter.dtype
        assert_close(trace.nodes[name]["log_prob"], torch.distributions.Normal(0.0, 2.0).log_prob(value).sum(), 1e-9)
    law = torch.func.functional_call(model, {n: trace.nodes[n]["value"] for n, _ in model.named_parameters()}, (4,))
    assert_close(sum(trace.nodes[f"y_{t}"]["log_prob"] for t in range(1, 5)), law.log_prob(WORDS.symbols), 1e-10)
    assert_close(model(4).log_prob(WORDS.symbols), network()(4).log_prob(WORDS.symbols), 0.0)


def test_words_of_different_lengths_count_with_their_end_under_a_prior() -> None:
    words = Sequences([[0, 1, 1], [1, 0, 0]], 2, lengths=[3, 1])
    family = bayesian(EndSymbol(Recurrent(3, 2)))
    for program in (stepwise, fused):
        trace = poutine.trace(program).get_trace(family, words)
        weights = {name: trace.nodes[name]["value"] for name in trace.stochastic_nodes if name.startswith("inner.")}
        law = torch.func.functional_call(family.model, weights, (4,))
        expected = law.log_prob(torch.tensor([[0, 1, 1, 2], [1, 2, 2, 2]])).sum()
        sites = [trace.nodes[name] for name in trace.nodes if name.startswith("y")]
        trace.compute_log_prob()
        assert_close(sum(site["log_prob"].sum() for site in sites), expected, 1e-5)


def test_posterior_of_one_row_is_the_known_one() -> None:
    """A coin's one logit ``theta = l_1 - l_0 ~ Normal(0, sqrt 2)``: weighted draws against quadrature."""
    data, family = Sequences([[1], [1], [1], [0]], 2), bayesian(Markov(2, 0).double())
    traces = [poutine.trace(stepwise).get_trace(family, data) for _ in range(1500)]
    logits = torch.stack([trace.nodes["logits"]["value"][0] for trace in traces])
    weights = torch.stack([trace.log_prob_sum(lambda name, _: name == "y_1") for trace in traces]).softmax(0)
    grid = torch.linspace(-12, 12, 4801, dtype=torch.double)
    density = (-(grid**2) / 4).exp() * grid.sigmoid() ** 3 * (-grid).sigmoid()
    exact = (density * grid).sum() / density.sum()
    assert_close((weights * (logits[:, 1] - logits[:, 0])).sum(), exact, 0.1)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf"), "wide"])
def test_bad_prior_scale(scale: object) -> None:
    with pytest.raises(InputError, match=r"^prior_scale: expected a number in \(0, inf\)"):
        bayesian(network(), prior_scale=scale)  # type: ignore[arg-type]
