"""Finding studies: by name among those that come with the package, or by the path of a user's own file."""

from __future__ import annotations

import dataclasses
import os
import sys
import traceback
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from pgm_rnn.checks import check_name, check_path, reject
from pgm_rnn.experiment.study import Study

PACKAGE = Path(__file__).resolve().parents[1]


def known_studies() -> dict[str, Path]:
    """The files of the studies that come with the package, by name: inside a wheel, or beside it in a checkout."""
    inside, beside = PACKAGE / "studies", PACKAGE.parent / "studies"
    folder = inside if inside.is_dir() else beside
    files = sorted(path for path in folder.glob("*.py") if not path.name.startswith("_"))
    return {path.stem.replace("_", "-"): path for path in files}


def find_study(study: Study | str | os.PathLike[str]) -> Study:
    """A study as it is, by its name, or from the path of a ``.py`` file that defines ``STUDY``.

    Raises:
        InputError: listing the known names, or saying what is wrong with the file.
    """
    if isinstance(study, Study):
        return study
    if isinstance(study, str) and not study.endswith(".py") and os.sep not in study:
        return load_study(known_studies()[check_name("study", study, known_studies())])
    return load_study(check_path("study", study))


def load_study(path: Path) -> Study:
    """The study that a file defines as ``STUDY``."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise reject("study", "a Python file that can be read", f"{str(path)!r} ({error})") from None
    return study_from_text(text, str(path))


@lru_cache
def study_from_text(text: str, filename: str) -> Study:
    """The study that a file's text defines; a worker builds it from the text, wherever the file lies."""
    module = ModuleType(f"pgm_rnn_study_{Path(filename).stem}")
    module.__file__ = filename
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        exec(compile(text, filename, "exec"), module.__dict__)  # a study is a program, by design
    except (Exception, SystemExit) as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == filename]
        line = f" on line {lines[-1]}" if lines else ""
        got = f"{Path(filename).name}, which fails{line} ({type(error).__name__}: {error})"
        raise reject("study", "a Python file that defines STUDY", got) from None
    study = getattr(module, "STUDY", None)
    if not isinstance(study, Study):
        raise reject("study", "a file that defines STUDY = Study(...)", f"{Path(filename).name}, which does not")
    return dataclasses.replace(study, source=(text, filename))
