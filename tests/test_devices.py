"""Everything takes a device, and gives there what it gives on the CPU."""

from __future__ import annotations

import pytest
import torch

from pgm_rnn import (
    InputError,
    PrefixTree,
    Sequences,
    compare_models,
    fit,
    fused,
    load,
    models,
    processes,
    save,
    score,
    stepwise,
)
from pgm_rnn.devices import resolve_device

DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
    ),
]
BUILDERS = [lambda: models.Tabular(2, 5), lambda: models.Markov(2, 2), lambda: models.Recurrent(2, 4), processes.even]


def test_names_of_devices() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(InputError, match="device: expected one of auto, cpu, cuda"):
        resolve_device("tpu")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("build", BUILDERS)
def test_a_law_gives_the_same_numbers(build, device: str) -> None:
    family = build().double()
    law, moved = family(5), build().double().to(device)(5)
    words = law.enumerate_support()
    assert moved.enumerate_support().device.type == device
    torch.testing.assert_close(moved.log_prob(words).cpu(), law.log_prob(words), rtol=1e-10, atol=1e-12)
    prefix = torch.tensor([0])
    torch.testing.assert_close(
        moved.given(prefix).log_prob(words[:16, 1:]).cpu(), law.given(prefix).log_prob(words[:16, 1:])
    )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("build", BUILDERS)
def test_a_seed_gives_the_same_words(build, device: str) -> None:
    here, there = (
        build().double().to(d)(5).sample((50,), generator=torch.Generator().manual_seed(3)) for d in ("cpu", device)
    )
    assert there.device.type == device
    assert torch.equal(here, there.cpu())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("model", [models.Recurrent(2, 4), models.Markov(2, None, pseudocount=None)])
def test_a_fit_is_the_same_fit(model, device: str, tmp_path) -> None:
    process = processes.even()
    words = Sequences(process(6).sample((300,), generator=torch.Generator().manual_seed(0)), 2)
    here = fit(model, [words, words], max_steps=20, restarts=2)
    there = fit(model, [words, words], max_steps=20, restarts=2, device=device, dtype=torch.float64)
    assert next(there.model.parameters()).device.type == device
    torch.testing.assert_close(there.losses.cpu(), here.losses, rtol=1e-6, atol=1e-8)
    at, expected = (score(result.model, process, 6) for result in (there, here))
    torch.testing.assert_close(at.divergence.cpu(), expected.divergence, rtol=1e-5, atol=1e-7)
    drawn = score(there.model, process, 6, num_sequences=200)
    assert bool((drawn.standard_error > 0).all())
    save(there.model, tmp_path / "model")
    every = words.symbols
    torch.testing.assert_close(load(tmp_path / "model")(6).log_prob(every), there.model(6).log_prob(every).cpu())
    assert len(compare_models({"a": there.model.replicate(0)}, words, process=process)) == 2


@pytest.mark.parametrize("device", DEVICES)
def test_trees_and_programs_follow_the_law(device: str) -> None:
    process, model = processes.even().to(device), models.Recurrent(2, 3).double().to(device)
    tree = PrefixTree.from_law(process(5))
    assert tree.totals.device.type == device
    assert float(tree.expected_log_prob(model(5)).detach()) < float(tree.expected_log_prob(process(5)))
    words = Sequences([[0, 1, 1, 0, 0]], 2)
    assert stepwise(model, words).device.type == fused(model, words).device.type == device
    assert stepwise(model, duration=5).device.type == device
