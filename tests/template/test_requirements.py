"""What is installed: pinned by hash everywhere, in the same version everywhere, from no address."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.template import documents

LAYER = documents.ROOT / "layers/dependencies/requirements.txt"
DEVELOPMENT = documents.ROOT / "requirements/development.txt"
RUNTIME = documents.ROOT / "requirements/runtime.txt"
LOCKS = [LAYER, *sorted((documents.ROOT / "requirements").glob("*.txt"))]
ASKED_FOR = [path.with_suffix(".in") for path in LOCKS]

PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[a-z0-9,-]+\])?==(?P<version>[^\s;]+)")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def entries(path: Path) -> list[str]:
    """The file's requirements, continued lines joined."""
    joined = path.read_text().replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def pins(path: Path) -> dict[str, set[str]]:
    """Name -> versions; some packages have one for each version of Python."""
    found: dict[str, set[str]] = {}
    for entry in entries(path):
        match = PIN.match(entry)
        assert match, f"{path.name}: {entry[:60]!r} is not pinned"
        found.setdefault(match["name"].lower().replace("_", "-"), set()).add(match["version"])
    return found


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_every_requirement_is_pinned_with_a_hash(path: Path) -> None:
    assert pins(path)
    assert [entry[:60] for entry in entries(path) if not HASH.search(entry)] == []


@pytest.mark.parametrize("path", [*LOCKS, *ASKED_FOR], ids=lambda path: f"{path.parent.name}-{path.name}")
def test_no_address_stands_in_a_requirements_file(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    assert not re.search(r"--(extra-)?index-url|--find-links|--trusted-host|\s@\s|\bgit\+", text)


@pytest.mark.parametrize("other", [DEVELOPMENT, RUNTIME], ids=lambda path: path.name)
def test_what_the_layer_ships_is_what_is_tested(other: Path) -> None:
    here, there = pins(LAYER), pins(other)
    assert {name: there.get(name) for name in here} == here


def test_the_sandboxs_functions_run_on_what_is_tested() -> None:
    here, there = pins(RUNTIME), pins(DEVELOPMENT)
    shared = set(here) & set(there)
    assert {"boto3", "botocore"} <= shared
    assert {name: here[name] for name in shared} == {name: there[name] for name in shared}
