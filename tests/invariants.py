"""What must hold for every family: one plain function each, which a broken family makes raise AssertionError."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyro
import torch
from oracles import all_words, contract_log_prob
from pyro.infer.inspect import get_model_relations
from scipy.stats import chi2
from torch import Tensor

import pgm_rnn
from pgm_rnn.checks import InputError
from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.family import Family
from pgm_rnn.prefix_tree import PrefixTree
from pgm_rnn.programs import fused, stepwise
from pgm_rnn.sequences import Sequences


def assert_close(got: Tensor | np.ndarray, wanted: Tensor | np.ndarray | float, tolerance: float) -> None:
    """Equal, also in shape and in where infinities stand, to ``tolerance`` absolutely and relatively."""
    got, wanted = (torch.as_tensor(part, dtype=torch.double).detach() for part in (got, wanted))
    torch.testing.assert_close(got, wanted, atol=tolerance, rtol=tolerance)


def some_words(law: SequenceDistribution, count: int) -> Tensor:
    """Words of the law and of the uniform one, so that likely, unlikely and forbidden ones are among them."""
    generator = torch.Generator().manual_seed(3)
    uniform = torch.randint(law.alphabet_size, (count, law.duration), generator=generator)
    return torch.cat([law.sample((count,), generator=generator).reshape(-1, law.duration)[:count], uniform])


def check_sums_to_one(family: Family, duration: int, tolerance: float) -> None:
    law = family(duration)
    words = all_words(law.alphabet_size, duration)
    assert_close(law.log_prob(words).logsumexp(-1).exp(), torch.ones(law.batch_shape[:-1]), tolerance)
    assert torch.equal(law.enumerate_support(expand=False).reshape(-1, duration), words)


def check_chain_rule(family: Family, duration: int, tolerance: float) -> None:
    law = family(duration)
    words = some_words(law, 8)
    alone = np.stack([contract_log_prob(law, word) for word in words.tolist()], -1)
    assert_close(law.log_prob(words), alone, tolerance)


def check_programs_agree(family: Family, duration: int, tolerance: float) -> None:
    law = family(duration)
    words = law.sample((7,), generator=torch.Generator().manual_seed(5))  # (7, *batch, T)
    words = words.movedim(0, -2)[..., 0, :, :] if law.batch_shape else words
    k = family.alphabet_size
    data = [Sequences(part, k) for part in words] if law.batch_shape else Sequences(words, k)
    expected = law.log_prob(words)
    traces = [pyro.poutine.trace(stepwise).get_trace(family, data, mediators=m) for m in (False, True)]
    traces.append(pyro.poutine.trace(fused).get_trace(family, data))
    for trace in traces:
        trace.compute_log_prob()
        sites = [site for name, site in trace.nodes.items() if name.startswith("y")]
        assert_close(sum(site["log_prob"] for site in sites), expected, tolerance)
        assert torch.equal(trace.nodes["_RETURN"]["value"], words)


def check_last_symbol_sums_out(family: Family, duration: int, tolerance: float) -> None:
    long, short = family(duration), family(duration - 1)
    k = family.alphabet_size
    log_p = long.log_prob(all_words(k, duration)).unflatten(-1, (-1, k))
    assert_close(log_p.logsumexp(-1), short.log_prob(all_words(k, duration - 1)), tolerance)


def check_first_symbol_sums_out(family: Family, duration: int, tolerance: float) -> None:
    long, short = family(duration), family(duration - 1)
    k = family.alphabet_size
    log_p = long.log_prob(all_words(k, duration)).unflatten(-1, (k, -1))
    assert_close(log_p.logsumexp(-2), short.log_prob(all_words(k, duration - 1)), tolerance)


def check_trees_agree(family: Family, duration: int, tolerance: float) -> None:
    """Union, forest and batch give the mean log-likelihood and its gradient, as the words one by one do."""
    k, R = family.alphabet_size, family.replicates
    generator = torch.Generator().manual_seed(7)
    words = family(duration).sample((9,), generator=generator)
    sets = [Sequences(words[: 9 - r, r, 0], k) for r in range(R)] if R else [Sequences(words, k)]
    by_word = family(duration).log_prob
    means = [by_word(data.symbols).mean(-1) for data in sets]
    expected = torch.stack([mean[r] for r, mean in enumerate(means)]) if R else means[0]
    parameters = list(family.parameters())
    wanted = torch.autograd.grad(expected.sum(), parameters, allow_unused=True) if parameters else ()
    for layout in ("union", "forest", "batch"):
        tree = PrefixTree.from_sequences(sets if R else sets[0], layout=layout)
        value = tree.expected_log_prob(family(duration))
        assert_close(value, expected, tolerance)
        assert_close(tree.expected_log_probs(family(duration)).sum(-1), expected, tolerance)
        got = torch.autograd.grad(value.sum(), parameters, allow_unused=True) if parameters else ()
        for one, other, parameter in zip(got, wanted, parameters, strict=True):
            zero = torch.zeros_like(parameter)
            assert_close(zero if one is None else one, zero if other is None else other, tolerance)


def check_shapes(family: Family, duration: int, tolerance: float) -> None:
    law = family(duration)
    batch = () if family.replicates is None else (family.replicates, 1)
    assert law.batch_shape == batch
    assert law.event_shape == (duration,)
    words = torch.randint(family.alphabet_size, (4, 1, 5, duration), generator=torch.Generator().manual_seed(1))
    assert law.log_prob(words[0, 0, 0]).shape == batch
    assert law.log_prob(words[0, 0]).shape == (*batch[:1], 5)
    assert law.log_prob(words).shape == (4, *(batch[:1] or (1,)), 5)
    assert law.sample().shape == (*batch, duration)
    assert law.sample((3, 2)).shape == (3, 2, *batch, duration)
    wide = law.expand((*batch[:1], 5))
    assert wide.batch_shape == (*batch[:1], 5)
    assert wide.sample((2,)).shape == (2, *batch[:1], 5, duration)
    assert_close(wide.log_prob(words[0, 0]), law.log_prob(words[0, 0]), tolerance)
    assert law.enumerate_support().shape == (family.alphabet_size**duration, *batch, duration)


def check_replicates_stand_alone(family: Family, duration: int, tolerance: float) -> None:
    words = some_words(family(duration), 5)
    together = family(duration).log_prob(words)
    assert family.replicates is not None
    for index in range(family.replicates):
        alone = family.replicate(index)
        assert alone.replicates is None
        assert_close(alone(duration).log_prob(words), together[index], tolerance)


def chi_square_p(observed: Tensor, probabilities: Tensor) -> float:
    """The p-value of counts under probabilities; cells expected fewer than 5 times are pooled."""
    assert int(observed[probabilities == 0].sum()) == 0, "a forbidden word was drawn"
    expected = probabilities.double() * observed.sum()
    small = expected < 5
    groups = [(observed[~small].double(), expected[~small])]
    if float(expected[small].sum()) >= 5:
        groups.append((observed[small].sum().double().reshape(1), expected[small].sum().reshape(1)))
    seen, wanted = (torch.cat(parts) for parts in zip(*groups, strict=True))
    return float(chi2.sf(float(((seen - wanted) ** 2 / wanted).sum()), max(len(wanted) - 1, 1)))


def word_counts(words: Tensor, alphabet_size: int) -> Tensor:
    """How often every word of ``(N, T)`` occurs, in lexicographic order."""
    powers = alphabet_size ** torch.arange(words.shape[-1] - 1, -1, -1)
    return torch.bincount((words * powers).sum(-1), minlength=alphabet_size ** words.shape[-1])


def check_sample_frequencies(family: Family, duration: int) -> None:
    """A chi-square test at a fixed seed: a correct sampler fails one seed in ten thousand."""
    law, k = family(duration), family.alphabet_size
    words = law.sample((4000,), generator=torch.Generator().manual_seed(11))
    probabilities = law.log_prob(all_words(k, duration)).detach().exp()
    for drawn, p in zip(
        words[:, :, 0].unbind(1) if law.batch_shape else [words],
        probabilities if law.batch_shape else [probabilities],
        strict=True,
    ):
        assert chi_square_p(word_counts(drawn, k), p) > 1e-4


def check_never_nan(family: Family, duration: int) -> None:
    """Every word has a log-probability of at most 0, which may be ``-inf``, and no gradient is nan or infinite."""
    law = family(duration)
    log_p = law.log_prob(all_words(family.alphabet_size, duration))
    assert not bool(log_p.isnan().any())
    assert bool((log_p <= 1e-6).all())
    assert bool(torch.isfinite(log_p).any())
    parameters = list(family.parameters())
    tree = PrefixTree.from_law(law)  # its own words alone: 0 * -inf counts as 0
    for value in (tree.expected_log_prob(family(duration)), log_p.masked_fill(log_p.isneginf(), 0.0)):
        assert bool(torch.isfinite(value).all())
        if parameters:
            gradients = torch.autograd.grad(value.sum(), parameters, allow_unused=True, retain_graph=True)
            assert all(bool(g.isfinite().all()) for g in gradients if g is not None)


def check_gradient_reaches_parameters(family: Family, duration: int, idle: Mapping[str, Tensor] | None = None) -> None:
    """Some word's likelihood depends on each single number that the family stores, but those that are ``idle``."""
    words = all_words(family.alphabet_size, duration)
    log_p = family(duration).log_prob(words)
    log_p = log_p.masked_fill(log_p.isneginf(), 0.0)
    weights = torch.rand(log_p.shape, dtype=log_p.dtype, generator=torch.Generator().manual_seed(13))
    gradients = torch.autograd.grad((weights * log_p).sum(), list(family.parameters()), allow_unused=True)
    for (name, _), gradient in zip(family.named_parameters(), gradients, strict=True):
        assert gradient is not None, f"no gradient for {name}"
        silent = (idle or {}).get(name, torch.tensor(False)).expand_as(gradient)
        assert torch.equal(gradient.abs() < 1e-13, silent), (
            f"no gradient for an entry of {name}, or one for an idle one"
        )


def check_end_absorbs(family: Family, duration: int) -> None:
    """No word begins with END, and none goes on after it; words that do neither are possible, of every length."""
    words, end = all_words(family.alphabet_size, duration), family.alphabet_size - 1
    ended = words == end
    sound = ~ended[:, 0] & (ended[:, 1:] | ~ended[:, :-1]).all(-1)
    log_p = family(duration).log_prob(words)
    assert bool(log_p[..., ~sound].isneginf().all())
    for length in range(1, duration):
        of_length = sound & ((~ended).sum(-1) == length)
        assert bool(log_p[..., of_length].isfinite().all()), f"no words of length {length}"


def check_tabulate(family: Family, duration: int, tolerance: float) -> None:
    law = family(duration)
    words = all_words(family.alphabet_size, duration)
    table = pgm_rnn.tabulate(law)
    assert table.batch_shape == law.batch_shape
    assert_close(table.log_prob(words), law.log_prob(words), tolerance)


def check_storage(family: Family, duration: int, folder: Path, tolerance: float) -> None:
    path = folder / "family.safetensors"
    pgm_rnn.save(family, path)
    loaded = pgm_rnn.load(path)
    words = all_words(family.alphabet_size, duration)
    assert type(loaded) is type(family)
    for name, tensor in family.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    assert_close(loaded(duration).log_prob(words), family(duration).log_prob(words), tolerance)


def expected_edges(duration: int, order: int | None, mediated: bool) -> dict[str, set[str]]:
    """The parents of every site: all earlier symbols, the last ``order``, or the mediator alone."""
    if not mediated:
        reach = duration if order is None else order
        return {f"y_{t}": {f"y_{s}" for s in range(max(1, t - reach), t)} for t in range(1, duration + 1)}
    edges: dict[str, set[str]] = {}
    for t in range(1, duration + 1):
        past = {f"y_{t - 1}"} if order == 1 else {f"h_{t - 1}", f"y_{t - 1}"}  # at order 1 no state is handed on
        edges[f"h_{t}"] = past if t > 1 else set()
        edges[f"y_{t}"] = {f"h_{t}"}
    return edges


def check_graph(family: Family, order: int | None) -> None:
    """The traced program at T = 3 has exactly the family's edges, with mediators hidden and shown."""
    law = family(3)
    mediated = law.mediator(law.initial_state((*law.batch_shape[:-1], 1))) is not None
    for shown in (False, True):
        options = {"duration": 3, "num_sequences": 2, "mediators": shown}
        relations = get_model_relations(stepwise, (family,), options, include_deterministic=True)
        edges = {site: set(parents) for site, parents in relations["sample_sample"].items()}
        assert edges == expected_edges(3, order, mediated and shown)


def check_bad_input(family: Family, duration: int) -> None:
    """Each of :func:`bad_calls` is refused in the one phrasing, naming the argument."""
    for what, (argument, call) in bad_calls(family, duration).items():
        said = refusal(call)
        assert re.match(rf"{re.escape(argument)}: expected .+, got .+", said), f"{what}: {said or 'accepted'}"


def refusal(call: Callable[[], object]) -> str:
    """What the input error says that a call raises, or nothing if it raises none."""
    try:
        call()
    except InputError as error:
        return str(error)
    return ""


def bad_calls(family: Family, duration: int) -> dict[str, tuple[str, Callable[[], object]]]:
    """What a user can get wrong with any family: a name, the argument the error names, the call."""
    law, k = family(duration), family.alphabet_size
    good = torch.zeros(3, duration, dtype=torch.long)
    data = Sequences(torch.zeros(3, duration + 1, dtype=torch.long), k)
    other = Sequences(torch.zeros(3, duration, dtype=torch.long), k + 1)
    return {
        "symbol k": ("words", lambda: law.log_prob(good + k)),
        "negative": ("words", lambda: law.log_prob(good - 1)),
        "float": ("words", lambda: law.log_prob(good.double())),
        "nan": ("words", lambda: law.log_prob(good.double() * torch.nan)),
        "bool": ("words", lambda: law.log_prob(good.bool())),
        "too long": ("words", lambda: law.log_prob(data.symbols)),
        "scalar": ("words", lambda: law.log_prob(torch.tensor(0))),
        "T = 0": ("duration", lambda: family(0)),
        "T = 1.5": ("duration", lambda: family(1.5)),  # type: ignore[arg-type]  # that is the point
        "context": ("context", lambda: family(duration, context=torch.zeros(3, 2))),
        "inputs": ("inputs", lambda: family(duration, inputs=torch.zeros(3, duration, 2))),
        "prefix of length T": ("prefix", lambda: law.given(good[0])),
        "prefix symbol": ("prefix", lambda: law.given([k])),
        "float prefix": ("prefix", lambda: law.given([0.5])),
        "tree of other T": ("law.duration", lambda: PrefixTree.from_sequences(data).expected_log_prob(law)),
        "tree of other k": ("law.alphabet_size", lambda: PrefixTree.from_sequences(other).expected_log_prob(law)),
        "no data": ("sequences", lambda: stepwise(family)),
        "no words": ("num_sequences", lambda: fused(family, duration=duration, num_sequences=0)),
        "data of other k": ("sequences", lambda: stepwise(family, other)),
    }
