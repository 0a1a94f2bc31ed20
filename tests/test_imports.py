"""Dependencies point one way, each library has its place, and no import changes a global."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import pgm_rnn

PACKAGE = Path(pgm_rnn.__file__).parent
CHECKOUT = Path(__file__).parent.parent

LAYERS = [
    {"checks", "edges", "lanes", "devices", "files", "naming", "progress", "placed"}
    | {"sequences", "distribution", "family", "tree_layout", "prefix_tree", "sides"},
    {"programs", "processes", "models", "graphs", "folding", "summaries", "turing"},
    {"inference", "scoring", "theory", "storage"}
    | {"causal_conditioning", "extrapolation", "exposure", "gradient_flow", "lengths", "mediation"}
    | {"sampling", "sharing"},
    {"experiment"},
    {"report", "cli", "__main__"},
    {"studies"},
]
"""A module may import from its own layer and from those above it in this list."""

STRANGERS = [
    ("models", "processes"),
    ("processes", "models"),
    ("programs", "models"),
    ("programs", "processes"),
    ("report", "cli"),
]
"""Neighbours in one layer that must not know each other: (who, whom)."""

PLACES = {
    "pyro": {"programs", "inference"},
    "pyro.distributions": {"distribution", "programs", "inference"},
    "pyro.infer.inspect": {"graphs"},
    "networkx": {"graphs"},
    "pandas": {"experiment", "report", "cli", "studies"},
    "seaborn": {"report", "studies"},
    "matplotlib": {"report", "studies"},
    "matplotlib.figure": {"report", "studies", "experiment"},  # a study says that it draws figures
    "typer": {"cli", "__main__"},
    "rich": {"cli", "progress"},
    "jinja2": {"report"},
    "safetensors": {"storage"},
    "sqlite3": {"experiment"},
    "pickle": set(),
    "scipy": set(),
}
"""Where a library may be imported; the longest entry that fits decides."""


@cache
def sources() -> dict[str, Path]:
    """Every module's dotted name and file, the package's and the studies'."""
    files = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
    files |= {f"studies.{path.stem}": path for path in (CHECKOUT / "studies").glob("*.py")}
    return {name.removesuffix(".__init__"): path for name, path in files.items()}


def imported(name: str) -> Iterator[str]:
    """Modules that a module imports anywhere, in functions and under TYPE_CHECKING too."""
    for node in ast.walk(ast.parse(sources()[name].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(module: str) -> str:
    """The name under LAYERS of a module: ``pgm_rnn.report.pages`` is ``report``."""
    return module.removeprefix("pgm_rnn.").split(".")[0]


def own_imports(name: str) -> set[str]:
    """Those of our modules that it imports; importing a name imports the module that it is in."""
    known = sources()
    found = {target if target in known else target.rpartition(".")[0] for target in imported(name)}
    return {target for target in found if target in known and target not in (name, "pgm_rnn")}


MODULES = [name for name in sources() if name != "pgm_rnn"]
"""The package's own ``__init__`` only lists where public names live."""


def test_every_module_has_its_layer() -> None:
    assert {part(name) for name in MODULES} <= set().union(*LAYERS)


@pytest.mark.parametrize("name", MODULES)
def test_dependencies_point_one_way(name: str) -> None:
    (own,) = (level for level, layer in enumerate(LAYERS) if part(name) in layer)
    for target in own_imports(name):
        (other,) = (level for level, layer in enumerate(LAYERS) if part(target) in layer)
        assert other <= own, f"{name} imports {target}"
        assert (part(name), part(target)) not in STRANGERS, f"{name} imports {target}"


def test_no_circle() -> None:
    """Inside packages too; a package's ``__init__`` gathers its modules and is not what they import."""
    tuple(TopologicalSorter({name: own_imports(name) for name in MODULES}).static_order())


@pytest.mark.parametrize("name", MODULES)
def test_libraries_keep_their_places(name: str) -> None:
    for target in imported(name):
        homes = [library for library in PLACES if f"{target}.".startswith(f"{library}.")]
        if homes:
            assert part(name) in PLACES[max(homes, key=len)], f"{name} imports {target}"


GLOBALS = """
import importlib, locale, logging, os, random, sys, warnings
import matplotlib, numpy, pandas, pyro, seaborn, torch, typer, rich, jinja2, safetensors
import torch.utils.checkpoint  # in torch 2.6 it imports sympy, which adds a filter for warnings of its own

def state():
    return {
        "dtype": torch.get_default_dtype(), "device": torch.get_default_device(), "grad": torch.is_grad_enabled(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "validation": torch.distributions.Distribution._validate_args, "pyro": dict(pyro.settings.get()),
        "store": list(pyro.get_param_store().keys()), "rc": dict(matplotlib.rcParams), "floats": numpy.geterr(),
        "seeds": (torch.get_rng_state().tolist(), str(numpy.random.get_state()), random.getstate()),
        "rows": pandas.options.display.max_rows, "environment": dict(os.environ), "warnings": list(warnings.filters),
        "logging": (logging.root.level, list(logging.root.handlers)), "hook": sys.excepthook,
        "locale": locale.setlocale(locale.LC_ALL),
    }

before = state()
for name in sys.argv[1:]:
    importlib.import_module(name)
after = state()
changed = [key for key in before if before[key] != after[key]]
sys.exit(f"importing changes {changed}" if changed else 0)
"""


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), str(CHECKOUT)])}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)


def test_no_import_changes_a_global() -> None:
    names = [name for name in MODULES if not name.endswith("__main__")]
    done = run_python(GLOBALS, *names)
    assert done.returncode == 0, done.stderr


def test_a_changed_global_is_seen() -> None:
    """The test above can fail."""
    spoilt = GLOBALS.replace("after = state()", "torch.set_default_dtype(torch.float64)\nafter = state()")
    done = run_python(spoilt, "pgm_rnn.checks")
    assert done.returncode == 1
    assert "importing changes ['dtype']" in done.stderr


def test_public_names_are_all_there() -> None:
    for name in pgm_rnn.__all__:
        assert getattr(pgm_rnn, name) is not None
    with pytest.raises(AttributeError, match="module 'pgm_rnn' has no attribute 'nonsense'"):
        pgm_rnn.nonsense  # noqa: B018  # looking it up is the test
