"""When to stop: three ways to end a sentence, and what becomes of a sampler that has none.

A network that predicts the next symbol could go on for ever. Cut it after a fixed number of symbols, and it stops in
the middle of things. The lecture names three ways out, and all of them say the same thing, log p(y_1..y_tau, tau):

    END symbol         one more symbol, after which nothing comes
    Bernoulli halt     one more output, the probability of stopping now
    predicted length   draw tau first; then tell the network tau at every step, or the number tau - t of symbols left

So they can be compared, exactly. A finite word over k symbols is a word over k + 1 that goes on with END, and all
words of at most T symbols can be listed: the divergence from the source is a sum, and so are its two parts,

    KL(words) = KL(length law) + E over tau of KL(words of that length),

the law of the length, and the probability that a word ends where no word of the source can.

The sources know when they end. Of three of them the lengths are geometric (no memory is needed), uniform or bimodal
(the sampler has to count), and the symbols say nothing of it. The fourth writes balanced brackets: an early end shows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from pgm_rnn import Sequences, fit
from pgm_rnn.experiment.endings import cut_records, ending_records, source_sample
from pgm_rnn.experiment.intervals import Interval, t_interval
from pgm_rnn.experiment.measuring import draw_words, training_record
from pgm_rnn.experiment.shortage import too_few, too_few_converged
from pgm_rnn.experiment.study import Cell, Figure, Study, Verdict
from pgm_rnn.family import Family
from pgm_rnn.models import BernoulliHalt, EndSymbol, Markov, PredictedLength, Recurrent, Tabular
from pgm_rnn.processes import FiniteWords, parse
from pgm_rnn.report import endings as figures
from pgm_rnn.report.comparison import Contestant
from pgm_rnn.report.figures import OKABE_ITO

# --------------------------------------------------------------------------------------------------------------------
# The sources, each with the length T of its longest word: geometric lengths and brackets are taken given that they end
# in time, so that no word of the truth is cut.

BRACKETS = "brackets(longest=10)"
SOURCES = {BRACKETS: 10, "geometric-length(longest=10)": 10, "uniform-length": 8, "bimodal-length": 8}

# --------------------------------------------------------------------------------------------------------------------
# The ways to end, and what they end: a full table, a chain that sees two symbols back, a network.

NO_ENDING = "no-ending"
ENDINGS = {
    "end-symbol": Contestant("END symbol", OKABE_ITO["blue"]),
    "halt": Contestant("Bernoulli halt", OKABE_ITO["green"]),
    "predicted-length": Contestant("length, told τ", OKABE_ITO["vermillion"]),
    "remaining-length": Contestant("length, told τ - t", OKABE_ITO["purple"]),
}
INNERS = {"table": "table", "markov": "Markov(2)", "rnn": "RNN"}
H = 12


def inner_model(inner: str, k: int, steps: int, **told: Any) -> Family:
    if inner == "table":
        return Tabular(k, steps, pseudocount=None, **told)  # chosen on held-out words, like a network's weight decay
    return Markov(k, 2, pseudocount=None, **told) if inner == "markov" else Recurrent(k, H, **told)


def build(ending: str, inner: str, k: int, longest: int) -> Family:
    """A model of words of at most ``longest`` symbols, of which there are k."""
    match ending:
        case "end-symbol":
            return EndSymbol(inner_model(inner, k + 1, longest + 1))
        case "halt":
            return BernoulliHalt(inner_model(inner, k, longest + 1))
        case "predicted-length":  # as a context, which enters at every step
            return PredictedLength(inner_model(inner, k, longest, context_dim=longest), longest)
        case "remaining-length":
            return PredictedLength(inner_model(inner, k, longest, input_dim=longest), longest, remaining=True)
    return inner_model(inner, k, longest)


# --------------------------------------------------------------------------------------------------------------------
# The grid. N = None stands for infinity: the source itself. T counts the steps, END's among them.

SCALES: dict[str, dict[str, Any]] = {
    "smoke": {
        "sources": {"brackets(longest=6)": 6, "uniform-length(longest=4)": 4},
        "sizes": (200, None),
        "seeds": 2,
        "settings": {"max_steps": 40, "restarts": 1},
    },
    "standard": {
        "sources": SOURCES,
        "sizes": (1_000, None),
        "seeds": 6,
        "settings": {"max_steps": 1_500, "restarts": 2},
    },
    "full": {
        "sources": SOURCES | {"brackets(depth=5, nest=0.5, longest=10)": 10},
        "sizes": (100, 1_000, 10_000, None),
        "seeds": 12,
        "settings": {},
    },
}


def grid(scale: str) -> list[Cell]:
    s = SCALES[scale]
    cells = []
    for process, longest in s["sources"].items():
        for N in s["sizes"]:
            ways = [(ending, inner) for ending in ENDINGS for inner in INNERS]
            for ending, inner in ways + ([(NO_ENDING, "rnn")] if N else []):
                spec = {"process": process, "T": longest + 1, "N": N, "ending": ending, "inner": inner}
                seeds = s["seeds"] if N or inner == "rnn" else 1  # what is counted on the source itself has no seed
                cells.append(Cell({**spec, "seeds": list(range(seeds)), "settings": s["settings"]}))
    return cells


# --------------------------------------------------------------------------------------------------------------------
# The measurement.


def measure(spec: Mapping[str, Any], device: torch.device) -> list[dict[str, Any]]:
    source, N, seeds = parse(spec["process"]), spec["N"], spec["seeds"]
    assert isinstance(source, FiniteWords)
    longest = spec["T"] - 1
    words = [draw_words(source, spec, "train", seed, N) for seed in seeds] if N else source(spec["T"])
    if spec["ending"] == NO_ENDING:  # it learns how words go on, as far as they go
        words = [part.until_end() for part in words if isinstance(part, Sequences)]
    model = build(spec["ending"], spec["inner"], source.alphabet_size - 1, longest).with_replicates(len(seeds))
    fitted = fit(model, words, seed=0 if N else seeds[0], device=device, **spec["settings"])
    trained = fitted.model.double().cpu()
    records = cut_records if spec["ending"] == NO_ENDING else ending_records
    common = {"N": N or math.inf, "true_lengths": json.dumps(source.length_law(longest).tolist())}
    return [common | row | training_record(fitted, r) for r, row in enumerate(records(trained, source, longest))]


# --------------------------------------------------------------------------------------------------------------------
# The decision. It stood here before the first standard run, after a pilot (brackets, uniform lengths, five seeds, one
# restart) where networks missed by 3 to 6 % and the sampler without an ending left a quarter of its brackets open.
# After a review: convergence is asked of every way on every source by itself, which had been pooled, and all numbers
# have to be finite; neither changed the outcome.

MARGIN, MIN_SEEDS, MIN_CONVERGED, MANY = 0.1, 5, 0.8, 2

RULE = (
    "What decides: networks trained on 1000 words of each source. A way to end works on a source if both the total "
    "variation distance of its law of the length from the true one and its share of incomplete words are below 10 %, "
    "and does not if either is above (95 % t-intervals over data seeds). Told τ or told τ - t, the predicted length "
    "counts as a way of its own. The sampler without an ending learns from the same words and is cut after as many "
    "symbols as most words of the source have (of lengths equally frequent, the shortest).\n"
    "Supported: all four ways work on all four sources, and more than 10 % of the brackets without an ending are "
    "incomplete. Refuted: fewer than 10 % are, or some way does not work on two sources or more. Inconclusive: "
    "anything else; fewer than the four sources or five data seeds; a number that is not finite; or fewer than four "
    "fifths of the fits converged, of one way, or without an ending, on one source.\n"
    "The number is the share of incomplete brackets without an ending less that of the worst way, with its t-interval."
)


def decide(frame: pd.DataFrame) -> Verdict:
    rows = deciding(frame)
    worst = worst_shares(rows)
    works = {way: sum(interval.high < MARGIN for interval in mine.values()) for way, mine in worst.items()}
    fails = {way: sum(interval.low > MARGIN for interval in mine.values()) for way, mine in worst.items()}
    shares = rows[rows["process"] == BRACKETS].pivot(index="seed", columns="ending", values="incomplete")
    shares = shares.reindex(columns=[NO_ENDING, *ENDINGS])
    without = t_interval(shares[NO_ENDING].dropna())
    missing = what_is_missing(rows)
    if missing:
        verdict = "inconclusive"
    elif without.high < MARGIN or max(fails.values()) >= MANY:
        verdict = "refuted"
    else:
        verdict = "supported" if without.low > MARGIN and min(works.values()) == len(SOURCES) else "inconclusive"
    lines = [missing] if missing else []
    lines += describe(rows, without, works, fails) if len(rows) else []
    value, low, high = t_interval((shares[NO_ENDING] - shares[list(ENDINGS)].max(axis=1, skipna=False)).dropna())
    return Verdict(verdict, value, low, high, "of words", RULE, "\n".join(lines))


def describe(rows: pd.DataFrame, without: Interval, works: Mapping[str, int], fails: Mapping[str, int]) -> list[str]:
    lines = [f"Without an ending {without:.1%} of the brackets are incomplete."]
    for way, ending in ENDINGS.items():
        lines.append(f"{ending.label}: works on {works[way]} of {len(SOURCES)} sources, does not on {fails[way]}.")
    return lines + [ranking(str(source), mine) for source, mine in rows.groupby("process", sort=False)]


def deciding(frame: pd.DataFrame) -> pd.DataFrame:
    """Networks on 1000 words of the four sources."""
    return frame[(frame["inner"] == "rnn") & (frame["N"] == 1_000) & frame["process"].isin(list(SOURCES))]


DECIDING = ["length_distance", "incomplete"]


def worst_shares(rows: pd.DataFrame) -> dict[str, dict[str, Interval]]:
    """By way and source, the larger of the two shares that decide, NaN where one of them is."""
    rows = rows.assign(worst=rows[DECIDING].max(axis=1, skipna=False))
    grouped = {key: t_interval(mine["worst"]) for key, mine in rows.groupby(["ending", "process"])}
    return {way: {source: grouped[way, source] for source in SOURCES if (way, source) in grouped} for way in ENDINGS}


def what_is_missing(rows: pd.DataFrame) -> str:
    """Why the rule cannot decide, or nothing."""
    measured = rows.groupby("ending")["process"].nunique().reindex([NO_ENDING, *ENDINGS]).fillna(0)
    where = "of the four sources were measured with 1000 words in all ways"
    if missing := too_few(int(measured.min()), len(SOURCES), where):
        return missing
    finite = pd.Series(np.isfinite(rows[DECIDING].to_numpy(dtype=float)).all(axis=1), index=rows.index)
    contests = rows.assign(finite=finite, converged=rows["converged"].astype(bool)).groupby(["ending", "process"])
    found, converged = contests["finite"].agg(["sum", "mean"]), contests["converged"].mean()
    return (
        too_few(int(found["sum"].min()), MIN_SEEDS, f"data seeds with finite numbers{of_contest(found['sum'])}")
        or (f"Not all numbers are finite{of_contest(found['mean'])}." if found["mean"].min() < 1 else "")
        or too_few_converged(converged.min(), MIN_CONVERGED, of_contest(converged))
    )


def of_contest(found: pd.Series) -> str:
    """Where the least was found, unless it is the same everywhere."""
    (way, source), *_ = found.sort_values(kind="stable").index
    return f" ({way} on {source})" if found.nunique() > 1 else ""


def ranking(source: str, rows: pd.DataFrame) -> str:
    """The nearest way to the truth in the joint, and by how much each other is farther, on the same words."""
    kl = rows.pivot(index="seed", columns="ending", values="kl_nats_per_word")
    kl = kl[[way for way in ENDINGS if way in kl]]
    best = str(kl.mean().idxmin())
    behind = [f"{ENDINGS[str(way)].label} {t_interval(kl[way] - kl[best]):+.4f}" for way in kl.columns if way != best]
    return f"{source}: nearest is {ENDINGS[best].label}, {t_interval(kl[best]):.4f} nats/word; {'; '.join(behind)}."


# --------------------------------------------------------------------------------------------------------------------
# What the page shows.


def networks(frame: pd.DataFrame) -> pd.DataFrame:
    """Networks on the largest number of words that is at most the deciding one."""
    rows = frame[(frame["inner"] == "rnn") & (frame["N"] <= 1_000)]
    return rows[rows["N"] == rows["N"].max()]


def of_brackets(frame: pd.DataFrame) -> pd.DataFrame:
    """Those of the first source of brackets."""
    rows = networks(frame)
    return rows[rows["process"] == next(name for name in rows["process"] if name.startswith("brackets"))]


def sampler_columns(frame: pd.DataFrame) -> dict[str, str]:
    """Words of the source, of networks in all ways at their first seed, and of a chain with an END."""
    brackets = of_brackets(frame).iloc[0]
    source, steps = parse(brackets["process"]), int(brackets["T"])
    assert isinstance(source, FiniteWords)
    rows = frame[(frame["process"] == brackets["process"]) & (frame["N"] == brackets["N"])]
    samples = rows.groupby(["inner", "ending"])["samples"].first()
    columns = {"truth": source_sample(source, steps), "no ending": samples["rnn", NO_ENDING]}
    columns |= {ending.label: samples["rnn", way] for way, ending in ENDINGS.items()}
    return columns | {"Markov(2), END": samples["markov", "end-symbol"]}


FIGURES = {
    "samples": Figure(
        "Brackets drawn from the source, from networks that learned from its words (first data seed, the same random "
        "numbers), and from a chain that sees two symbols back. Vermillion: words that end, or are cut, before all is "
        "closed, or that close what was not open. Without an ending all are cut after twice the most frequent length. "
        "The chain has an END, but cannot see when to use it.",
        lambda frame: figures.words_of_brackets(sampler_columns(frame)),
    ),
    "cut": Figure(
        "Incomplete words on brackets. Grey: the network without an ending, by the number of symbols after which it is "
        "cut; the circle marks where the source's words end most often, which the rule takes. Band: lowest to "
        "highest seed. At the largest L most is closed, because no word of the source is longer, but most lengths are "
        "wrong. Coloured: the ways to end. Dotted: the 10 % of the rule.",
        lambda frame: figures.incomplete_by_cut(of_brackets(frame), ENDINGS, NO_ENDING, MARGIN),
    ),
    "length-laws": Figure(
        "When words end: networks beside the truth. Dots: means; lines: lowest to highest data seed. A predicted "
        "length is counted, so what the network is told afterwards makes no difference here. Without an ending there "
        "would be one bar, of height 1.",
        lambda frame: figures.length_laws(networks(frame), ENDINGS),
    ),
    "divergence": Figure(
        "What is missed, in two parts that add up to the divergence from the source: that of the law of the length "
        "(filled) and that of the words of each length (hollow), every fit two dots, on 1000 words (in a smoke run "
        "fewer). What is below 10⁻⁶ is drawn on the left edge.",
        lambda frame: figures.divergence_parts(frame[frame["N"] == networks(frame)["N"].max()], ENDINGS, INNERS),
    ),
    "divergence-exact": Figure(
        "The same with the source itself to learn from: what remains, a model cannot do, or training does not find. A "
        "full table can do everything.",
        lambda frame: figures.divergence_parts(frame[~(frame["N"] < math.inf)], ENDINGS, INNERS),
    ),
}


def tables(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    names = {
        "kl_nats_per_word": "KL (nats/word)",
        "kl_length_nats": "of the length (nats)",
        "kl_words_nats": "of words given it (nats)",
        "length_distance": "length law, distance",
        "incomplete": "incomplete words",
        "fit_seconds": "seconds per fit",
    }
    means = frame.groupby(["process", "N", "inner", "ending"], sort=False)[list(names)].mean()
    return [("All models, mean over seeds.", means.rename(columns=names).reset_index())]


STUDY = Study(
    name="endings",
    claim=8,
    title="When to stop",
    statement="A sampler must know when to stop, or sentences end before they are complete. Three ways: a special end "
    "symbol, an extra Bernoulli output, or predicting the length and feeding it as an input at every next step.",
    question="Do the three ways end words when the source does, which is the nearest to it, and what does a sampler "
    "without an ending leave incomplete?",
    grid=grid,
    measure=measure,
    decide=decide,
    figures=FIGURES,
    tables=tables,
    notes=(
        "All ways give log p(y_1..y_τ, τ) of the same words, and KL(words) = KL(length law) + the mean KL of words of "
        "one length.",
        "A sampler that is cut after L symbols has a law of the length that is a point: KL is infinite, and the total "
        "variation distance is 1 - P(τ = L).",
        "Counted on the source itself, END symbol and Bernoulli halt give a table, or a chain, one and the same law. "
        "Told τ or τ - t, a table is told the same, since it knows t.",
    ),
)
