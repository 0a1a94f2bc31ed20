"""The pages' Python runs from top to bottom, and prints what the page says it prints."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).parent.parent
PAGES = sorted([CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *CHECKOUT.glob("docs/*.md")])
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"^print\(.*\)  # (.+)$", re.MULTILINE)


def blocks(page: Path) -> list[str]:
    return FENCE.findall(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": page.stem}
    for number, block in enumerate(blocks(page), 1):
        exec(compile(block, f"{page.name}, block {number}", "exec"), namespace)
        said = PRINTED.findall(block)
        printed = capsys.readouterr().out.splitlines()
        if said:
            assert printed == said, f"{page.name}, block {number}"


def test_the_tutorial_says_what_it_prints() -> None:
    """Were the pattern above to match nothing, the comparison would be empty."""
    said = [line for block in blocks(CHECKOUT / "docs" / "tutorial.md") for line in PRINTED.findall(block)]
    assert len(said) >= 15


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"
