"""The house's arrows run one way: functions -> bootstrap -> aws, probes -> ports; functions -> decisions -> ports."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYER = ROOT / "layers" / "standfast" / "python"
FUNCTIONS = ROOT / "functions"
AWS = {"boto3", "botocore"}
WIRE = {"httpx", "prometheus_client"}
WORLD = {"os", "time", "datetime", "socket", "random", "secrets", "subprocess"}
"""Where a clock, an environment or chance comes from."""
ADAPTERS = {"standfast.aws", "standfast.probes"}


def name_of(path: Path) -> str:
    """The module's dotted name, such as standfast.aws.calls or failover.take_lease."""
    root = LAYER if path.is_relative_to(LAYER) else FUNCTIONS
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in sorted([*LAYER.rglob("*.py"), *FUNCTIONS.rglob("*.py")])}
HANDLERS = [name for name, path in MODULES.items() if path.is_relative_to(FUNCTIONS)]
SHARED = [name for name in MODULES if name not in HANDLERS]
EDGES = ("standfast.aws", "standfast.probes", "standfast.bootstrap", "standfast.settings")
DECISIONS = [name for name in SHARED if not name.startswith(EDGES)]


def imports(name: str, *, typing_only: bool = True) -> set[str]:
    """Every module that a module imports, anywhere in it, with what it imports from it.

    Without `typing_only` those that only a type checker sees are left out.
    """
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    skipped: set[ast.AST] = set()
    if not typing_only:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
                skipped |= {inner for statement in node.body for inner in ast.walk(statement)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name} imports relatively"
            found |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def packages(name: str) -> set[str]:
    """The top-level packages that a module imports."""
    return {module.split(".")[0] for module in imports(name)}


def reaches(name: str, folder: str, *, typing_only: bool = True) -> bool:
    """Whether a module imports a package or a part of it."""
    found = imports(name, typing_only=typing_only)
    return any(module == folder or module.startswith(folder + ".") for module in found)


def test_there_is_something_to_look_at() -> None:
    assert {"standfast.health", "standfast.watch", "standfast.aws.cluster_table", "failover.take_lease"} <= set(MODULES)
    assert "standfast.health" in DECISIONS
    assert "boto3" in packages("standfast.aws.cluster_table")


@pytest.mark.parametrize("name", list(MODULES))
def test_only_aws_imports_boto3(name: str) -> None:
    if not name.startswith("standfast.aws."):
        assert not packages(name) & AWS


@pytest.mark.parametrize("name", list(MODULES))
def test_only_probes_import_httpx_and_the_metrics_parser(name: str) -> None:
    if not name.startswith("standfast.probes."):
        assert not packages(name) & WIRE


@pytest.mark.parametrize("name", DECISIONS)
def test_decisions_know_no_world(name: str) -> None:
    """No clock, no environment, no adapter: so that tests, the sandbox and a simulation run the same code."""
    # They write times that they were given, and reckon in days and months.
    allowed = (
        {"datetime"} if name in {"standfast.announcements", "standfast.backup", "standfast.ledger_periods"} else set()
    )
    assert not packages(name) & (WORLD - allowed)
    for folder in EDGES:
        assert not reaches(name, folder)


@pytest.mark.parametrize("name", HANDLERS)
def test_a_function_reaches_the_world_through_bootstrap_only(name: str) -> None:
    for folder in ADAPTERS:
        assert not reaches(name, folder, typing_only=False)
    assert not packages(name) & (WORLD - {"datetime"})


@pytest.mark.parametrize("name", HANDLERS)
def test_a_function_imports_no_other_function(name: str) -> None:
    folders = {handler.split(".")[0] for handler in HANDLERS}
    assert not packages(name) & folders


@pytest.mark.parametrize("name", SHARED)
def test_the_layer_imports_no_function_and_nothing_that_is_not_deployed(name: str) -> None:
    folders = {handler.split(".")[0] for handler in HANDLERS}
    assert not packages(name) & (folders | {"tests", "sandbox", "moto", "pytest"})


@pytest.mark.parametrize("name", SHARED)
def test_aws_and_probes_do_not_know_each_other_or_bootstrap(name: str) -> None:
    for folder, others in (
        ("standfast.aws", ["standfast.probes", "standfast.bootstrap", "standfast.settings"]),
        ("standfast.probes", ["standfast.aws", "standfast.bootstrap", "standfast.settings"]),
    ):
        if name.startswith(folder):
            assert not any(reaches(name, other) for other in others)


def test_bootstrap_imports_its_adapters_when_they_are_asked_for() -> None:
    """So that a function pays, in its cold start, only for what it uses."""
    tree = ast.parse(MODULES["standfast.bootstrap"].read_text(encoding="utf-8"))
    at_once = {node.module for node in tree.body if isinstance(node, ast.ImportFrom) and node.module is not None}
    assert not any(module.startswith(("standfast.aws", "standfast.probes")) for module in at_once)
    assert imports("standfast.bootstrap") >= {"standfast.aws.cluster_table", "standfast.probes.http"}


def test_ports_depend_on_nothing_but_words_at_run_time() -> None:
    def ours(name: str) -> set[str]:
        return {module for module in imports(name, typing_only=False) if module.startswith("standfast")}

    assert ours("standfast.ports") == ours("standfast.node_reports") == set()
    assert ours("standfast.stores") == {"standfast.lease", "standfast.lease.Lease"}


@pytest.mark.parametrize("name", list(MODULES))
def test_no_deployed_module_knows_that_it_may_be_in_a_sandbox(name: str) -> None:
    assert "sandbox" not in MODULES[name].read_text(encoding="utf-8").lower()


@pytest.mark.parametrize("name", list(MODULES))
def test_a_module_is_small(name: str) -> None:
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= 300
