"""Sequences: what is taken, what is refused, and that files give back what was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgm_rnn.checks import InputError
from pgm_rnn.sequences import Sequences

SYMBOLS = [[0, 1, 1], [2, 0, 1]]


@st.composite
def data_sets(draw: st.DrawFn) -> Sequences:
    """Words of any size, with or without lengths, context and inputs."""
    N, T, k = draw(st.integers(1, 6)), draw(st.integers(1, 5)), draw(st.integers(2, 5))
    symbols = draw(st.lists(st.lists(st.integers(0, k - 1), min_size=T, max_size=T), min_size=N, max_size=N))
    lengths = draw(st.none() | st.lists(st.integers(1, T), min_size=N, max_size=N))
    number = st.floats(-1e6, 1e6, width=32)
    context = draw(st.none() | st.lists(st.lists(number, min_size=2, max_size=2), min_size=N, max_size=N))
    inputs = draw(st.sampled_from([None, torch.linspace(0, 1, N * T).reshape(N, T, 1)]))
    return Sequences(symbols, k, lengths, None if context is None else np.array(context), inputs)


def assert_same(one: Sequences, other: Sequences) -> None:
    assert one.alphabet_size == other.alphabet_size
    for name in ("symbols", "lengths", "context", "inputs"):
        left, right = getattr(one, name), getattr(other, name)
        assert (left is None) == (right is None), name
        assert left is None or torch.equal(left, right), name


@pytest.mark.parametrize(
    "symbols",
    [
        SYMBOLS,
        np.array(SYMBOLS),
        np.array(SYMBOLS, dtype=np.uint8),
        np.array(SYMBOLS, dtype=np.uint64),
        np.array(SYMBOLS, dtype=">i4"),
        np.array(SYMBOLS)[:, ::-1][:, ::-1],
        torch.tensor(SYMBOLS),
        torch.tensor(SYMBOLS, dtype=torch.int8),
        torch.tensor(SYMBOLS, dtype=torch.uint8),
    ],
    ids=["list", "int64", "uint8", "uint64", "big endian", "strided", "torch", "torch int8", "torch uint8"],
)
def test_any_integers_are_taken(symbols: object) -> None:
    data = Sequences(symbols, 3)  # type: ignore[arg-type]  # that is what is tested
    assert data.symbols.dtype == torch.int64
    assert data.symbols.tolist() == SYMBOLS
    assert (len(data), data.duration, data.alphabet_size) == (2, 3, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alphabet_size": 2}, r"symbols: expected symbols in 0..1, got 2 at index \(1, 0\)"),
        ({"alphabet_size": 1}, "alphabet_size: expected an integer of at least 2, got 1"),
        ({"alphabet_size": 2.5}, "alphabet_size: expected an integer of at least 2, got 2.5"),
        ({"symbols": [[0, -1]]}, r"symbols: expected symbols in 0..2, got -1 at index \(0, 1\)"),
        ({"symbols": [[0.0, 1.0]]}, "symbols: expected integer symbols, got dtype float64"),
        ({"symbols": [[0.0, float("nan")]]}, "symbols: expected integer symbols, got dtype float64"),
        ({"symbols": torch.tensor([[True]])}, "symbols: expected integer symbols, got dtype bool"),
        ({"symbols": [0, 1]}, r"symbols: expected shape \(N, T\) with N and T at least 1, got \(2,\)"),
        ({"symbols": []}, r"symbols: expected shape \(N, T\) with N and T at least 1, got \(0,\)"),
        ({"symbols": [[]]}, r"symbols: expected shape \(N, T\) with N and T at least 1, got \(1, 0\)"),
        ({"symbols": torch.zeros(0, 3, dtype=torch.long)}, r"symbols: expected shape \(N, T\)"),
        ({"symbols": [[0, 1], [0]]}, "symbols: expected a rectangular array of numbers, got list"),
        ({"symbols": [["a", "b"]]}, "symbols: expected a rectangular array of numbers, got list"),
        ({"symbols": None}, "symbols: expected"),
        ({"symbols": torch.eye(2).long().to_sparse()}, "symbols: expected a dense tensor with values, got one on cpu"),
        ({"symbols": torch.zeros(2, 3, dtype=torch.long, device="meta")}, "symbols: expected a dense tensor"),
        ({"lengths": [3]}, r"lengths: expected shape \(2,\), got \(1,\)"),
        ({"lengths": [3, 4]}, r"lengths: expected integers in 1..3, got 3..4"),
        ({"lengths": [0, 3]}, r"lengths: expected integers in 1..3, got 0..3"),
        ({"lengths": [1.0, 2.0]}, "lengths: expected integers, got dtype float64"),
        ({"context": np.zeros(2)}, "context: expected integer labels, got dtype float64; or vectors"),
        ({"context": np.zeros((3, 1))}, r"context: expected vectors of shape \(2, D\), or labels of shape \(2,\), got"),
        ({"inputs": np.zeros((2, 2), dtype=int)}, r"inputs: expected vectors of shape \(2, 3, D\), or labels of shape"),
        ({"context": np.array([[0.0], [np.nan]])}, r"context: expected finite numbers, got nan at index \(1, 0\)"),
        ({"inputs": np.zeros((2, 2, 1))}, r"inputs: expected vectors of shape \(2, 3, D\), or labels"),
        ({"context": np.zeros((2, 0))}, r"context: expected vectors of at least one real number, got shape \(2, 0\)"),
        ({"context": np.zeros((2, 1), dtype=complex)}, "context: expected vectors of at least one real number, got"),
        (
            {"inputs": np.zeros((2, 3, 1), dtype=bool)},
            "inputs: expected vectors of at least one real number, got shape",
        ),
        ({"inputs": np.full((2, 3, 1), np.inf)}, r"inputs: expected finite numbers, got inf at index \(0, 0, 0\)"),
    ],
)
def test_bad_input(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        Sequences(**{"symbols": SYMBOLS, "alphabet_size": 3, **arguments})


def test_what_was_checked_does_not_change_any_more() -> None:
    symbols, context, inputs = torch.tensor([[0, 1]]), torch.zeros(1, 2), torch.tensor([[1, 0]])
    data = Sequences(symbols, 2, context=context, inputs=inputs)
    symbols[:], context[:], inputs[:] = 7, torch.nan, 7
    assert data.symbols.tolist() == [[0, 1]]
    assert data.context is not None
    assert data.context.tolist() == [[0.0, 0.0]]
    assert data.inputs is not None
    assert data.inputs.tolist() == [[1, 0]]


def test_padding_is_never_looked_at() -> None:
    data = Sequences([[0, 1, 99], [2, -7, 99]], 3, lengths=[2, 1])
    assert data.symbols.tolist() == [[0, 1, 0], [2, 0, 0]]
    with pytest.raises(
        InputError, match=r"^sequences: expected words of one length, got lengths 1..2; use sequences.with_end"
    ):
        data.fixed_length()
    assert Sequences(SYMBOLS, 3, lengths=[3, 3]).fixed_length().tolist() == SYMBOLS


@given(data_sets())
def test_with_end_is_the_word_and_then_end_for_ever(data: Sequences) -> None:
    if data.inputs is not None:
        with pytest.raises(InputError, match=r"^sequences: expected words without inputs"):
            data.with_end()
        return
    ended = data.with_end()
    assert (ended.alphabet_size, ended.duration, len(ended)) == (data.alphabet_size + 1, data.duration + 1, len(data))
    lengths = [data.duration] * len(data) if data.lengths is None else data.lengths.tolist()
    for row, word, length in zip(ended.symbols.tolist(), data.symbols.tolist(), lengths, strict=True):
        assert row == word[:length] + [data.alphabet_size] * (data.duration + 1 - length)
    back = ended.until_end()
    assert (back.alphabet_size, back.duration) == (data.alphabet_size, data.duration)
    assert (back.symbols.tolist(), back.word_lengths.tolist()) == (data.symbols.tolist(), lengths)


@given(data_sets(), st.floats(0.05, 0.95), st.integers(0, 2**31))
def test_split_parts_are_the_whole(data: Sequences, share: float, seed: int) -> None:
    if len(data) < 2:
        with pytest.raises(InputError, match=r"^sequences: expected at least 2 words to split, got 1"):
            data.split(share, seed)
        return
    one, other = data.split(share, seed)
    assert len(one) + len(other) == len(data)
    assert min(len(one), len(other)) >= 1
    assert abs(len(other) - share * len(data)) <= 1
    assert sorted(one.symbols.tolist() + other.symbols.tolist()) == sorted(data.symbols.tolist())
    assert_same(one, data.split(share, seed)[0])


def test_split_depends_on_the_seed_and_keeps_rows_together() -> None:
    symbols = torch.arange(60).reshape(20, 3)
    data = Sequences(symbols, 60, context=symbols[:, :1].double())
    halves = [data.split(0.5, seed)[1].symbols[:, 0].tolist() for seed in (0, 1)]
    assert halves[0] != halves[1]
    part = data.split(0.3, 0)[1]
    assert part.context is not None
    assert torch.equal(part.context[:, 0].long(), part.symbols[:, 0])


@given(data_sets())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_npz_gives_back_everything(tmp_path: Path, data: Sequences) -> None:
    data.write(tmp_path / "data.npz")
    assert_same(Sequences.read(tmp_path / "data.npz"), data)


@given(data_sets())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_csv_gives_back_the_words(tmp_path: Path, data: Sequences) -> None:
    data.write(tmp_path / "data.csv")
    back = Sequences.read(tmp_path / "data.csv", data.alphabet_size)
    assert back.to_csv() == data.to_csv()
    assert len(list(tmp_path.iterdir())) == 1, "no temporary file is left"


def test_csv_guesses_the_alphabet(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("0,0\n0,0\n")
    (tmp_path / "b.csv").write_text("0, 4\n\n1\n")
    assert Sequences.read(tmp_path / "a.csv").alphabet_size == 2
    ragged = Sequences.read(tmp_path / "b.csv")
    assert (ragged.alphabet_size, ragged.lengths.tolist()) == (5, [2, 1])  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "data: expected at least one word, got no line with symbols in empty.csv"),
        (
            "text.csv",
            b"0,1\na,b\n",
            "data: expected integer symbols separated by commas, got 'a,b' on line 2 of text.csv",
        ),
        ("float.csv", b"0,1.5\n", "data: expected integer symbols"),
        ("binary.csv", b"\xff\xfe\x00\x01", "data: expected a text file of comma-separated integers, got binary.csv"),
        ("negative.csv", b"0,-1\n", r"symbols: expected symbols in 0..1, got -1"),
        ("huge.csv", b"0,99999999999999999999999\n", "data: expected integer symbols"),
        (
            "broken.npz",
            b"PK\x03\x04 no archive",
            "data: expected an .npz file with an integer array `symbols`, got broken.npz",
        ),
        ("text.npz", b"0,1\n", "data: expected an .npz file with an integer array `symbols`, got text.npz"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"^{message}"):
        Sequences.read(tmp_path / name)


def test_hostile_npz_runs_no_code(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "was-run",))

    np.savez(tmp_path / "hostile.npz", symbols=np.array([[Hostile()]], dtype=object))
    with pytest.raises(InputError, match=r"^data: expected an .npz file"):
        Sequences.read(tmp_path / "hostile.npz")
    assert not (tmp_path / "was-run").exists()


def test_missing_file_and_unknown_ending(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^data: expected a file, got "):
        Sequences.read(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match=r"^path: expected a name ending in .csv or .npz, got 'data.txt'"):
        Sequences(SYMBOLS, 3).write(tmp_path / "data.txt")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "data.csv"
    Sequences(SYMBOLS, 3).write(target)
    before = target.read_text()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        Sequences([[1, 1, 1]], 3).write(target)
    assert target.read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


def test_repr_says_what_it_is() -> None:
    assert repr(Sequences(SYMBOLS, 3)) == "Sequences(N=2, T=3, k=3)"
    assert repr(Sequences(SYMBOLS, 3, [1, 2], np.zeros((2, 1)))) == "Sequences(N=2, T=3, k=3, lengths, context)"
