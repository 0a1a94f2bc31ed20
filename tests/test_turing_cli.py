"""pgm-rnn turing: what it prints, and how it says no."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgm_rnn.cli import main
from pgm_rnn.turing import MACHINES
from pgm_rnn.turing.machine import INCREMENT


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    with pytest.raises(SystemExit) as caught:
        main(["turing", *arguments])
    out, err = capsys.readouterr()
    return int(caught.value.code or 0), out, err


def test_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "increment", "--input", "1011")
    assert code == 0
    assert "51 units, 4 steps for one step of the machine" in out
    assert "halted     in state done at step 8, the network's tape equal at each\ntape       1100\n" in out


def test_a_trace_shows_tape_and_network_at_every_step(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "increment", "--input", "11", "--trace")
    head, *rows = out.splitlines()[2:-2]
    assert head.split("  ")[0].strip() == "step"
    cells = [[cell.strip() for cell in row.split("  ") if cell.strip()] for row in rows]
    assert [row[0] for row in cells] == [str(t) for t in range(7)]
    assert cells[0][1:] == ["right", "_[1]1 _", "is right", "0", "0.3131"]
    assert cells[-1][1] == "done"
    assert all(row[3] == f"is {row[1]}" for row in cells)


def test_a_wide_tape_is_cut_around_the_head(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "increment", "--input", "1" * 90, "--trace")
    tapes = [line for line in out.splitlines() if "is right" in line or "is carry" in line]
    assert len(tapes) > 180
    assert all(line.count("[") == line.count("]") == 1 for line in tapes)
    assert max(line.index("]") for line in tapes) < 100


def test_brackets_on_the_tape_are_no_markup(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "mine.tm"
    file.write_text("alphabet: _ [ ]\nstart: [bold]\nhalt: [/bold]\n[bold] _[] -> R [/bold]\n")
    code, out, _ = run(capsys, str(file), "--input", "[]", "--trace")
    assert code == 0
    assert "0  [bold]   [[]]   is [bold]" in out


def test_no_end_is_said_and_is_a_failed_run(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "busy-beaver", "--max-steps", "50", "--trace")
    assert code == 1
    assert err == "pgm-rnn: busy-beaver.tm does not halt within 50 steps; --max-steps gives it more\n"
    assert "\n  50  " in out
    assert run(capsys, "busy-beaver", "--max-steps", "107")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("incremnt",), "machine: expected one of addition, brackets,"),
        (("increment", "--input", "12"), "input: expected symbols among _ 0 1, got '2' as number 2"),
        (("increment", "--max-steps", "-1"), "max_steps: expected an integer of at least 0, got -1"),
    ],
)
def test_bad_use(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], reason: str) -> None:
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert reason in err


def test_a_bad_file_is_refused_with_its_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "mine.tm"
    file.write_text(INCREMENT.replace("L carry", "L cary"))
    code, _, err = run(capsys, str(file))
    assert code == 2
    assert err.startswith("pgm-rnn: mine.tm, line 9: expected a state with transitions")
    file.write_bytes(b"\xff\xfe")
    assert run(capsys, str(file))[0] == 2


def test_machines_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["list", "machines"])
    listed = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in listed] == list(MACHINES)
