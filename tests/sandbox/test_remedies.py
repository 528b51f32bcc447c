"""The documents of the ladder on a sandbox node: each mends what it can, once, and leaves the rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.fleet import shell as shells
from sandbox.fleet.shell import Hardware, NodeShell, Ran
from standfast.gpu import parse_report
from standfast.health import Verdict
from standfast.xids import Action
from tests.builders import judged_node

DOCUMENTS = Path(__file__).resolve().parents[2] / "documents"
NODE = "i-0123456789abcdef0"
RUNGS = {
    Action.RESTART_ENGINE: "restart_engine",
    Action.RESET_GPU: "reset_gpu",
    Action.REBOOT: "reboot_node",
}


def script(name: str) -> str:
    document: dict[str, Any] = yaml.safe_load((DOCUMENTS / f"{name}.yaml").read_text())
    return "\n".join(document["mainSteps"][0]["inputs"]["runCommand"])


REPORT = script("node_report").replace("\n  sleep 1 9>&- &", "\n  sleep 0.1 9>&- &")


class Engine:
    """An engine that counts its starts."""

    def __init__(self) -> None:
        self.alive = True
        self.starts = 0

    def load(self, folder: Path) -> None:
        raise AssertionError(f"no remedy changes the model: {folder}")

    def begin(self) -> None:
        self.alive = True
        self.starts += 1

    def close(self) -> None:
        self.alive = False


@pytest.fixture(autouse=True)
def quick_boots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shells, "BOOT_SECONDS", 0.01)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def node(tmp_path: Path, engine: Engine) -> NodeShell:
    return NodeShell(tmp_path / NODE, Hardware(count=2), engine=engine)


def treat(node: NodeShell, rung: Action, remedy: str = "r-1") -> Ran:
    """As the agent of Systems Manager does: 194 is a reboot, and the script again."""
    text = script(RUNGS[rung]).replace("{{ Remedy }}", remedy).replace("sleep 5", "sleep 0.1")
    ran = node.run(text, 60.0)
    if ran.status == 194:
        node.restart_machine()
        ran = node.run(text, 60.0)
    return ran


def is_well(node: NodeShell) -> bool:
    finding = judged_node(parse_report(NODE, node.run(REPORT, 60.0).output, time.time()), 2)
    return finding.verdict in (Verdict.HEALTHY, Verdict.DEGRADED) and finding.action <= Action.WATCH


FAULTS: list[tuple[str, Callable[[NodeShell], None], Action]] = [
    (
        "an Xid of the engine",
        lambda node: node.add_xid(13, "pid={pid}, name=VLLM, SM Exception"),
        Action.RESTART_ENGINE,
    ),
    ("an uncontained ECC error", lambda node: node.add_xid(95, "Uncontained ECC error"), Action.RESET_GPU),
    ("off the bus", lambda node: node.lose_gpu(0), Action.REBOOT),
    ("gone", lambda node: node.remove_gpu(1), Action.REBOOT),
    ("a row that is not remapped", lambda node: node.fail_remapping(0), Action.REPLACE),
]
SHORT = "an Xid of the engine"
"""The others climb to higher rungs, which takes longer."""


@pytest.mark.parametrize(
    ("fault", "mended_by"),
    [pytest.param(put, rung, id=name, marks=() if name == SHORT else pytest.mark.long) for name, put, rung in FAULTS],
)
def test_a_fault_is_mended_by_its_rung_and_by_none_below(
    node: NodeShell, fault: Callable[[NodeShell], None], mended_by: Action
) -> None:
    assert is_well(node)
    fault(node)
    for rung in RUNGS:
        assert not is_well(node)
        treat(node, rung, f"r-{rung.value}")
        if rung >= mended_by:
            assert is_well(node)
            return
    assert mended_by is Action.REPLACE
    assert not is_well(node)


def test_a_stubborn_fault_looks_as_ever_and_needs_more(node: NodeShell) -> None:
    with node.ills.stubborn(Action.REBOOT):
        node.add_xid(95, "Uncontained ECC error")
    ran = treat(node, Action.RESET_GPU)
    assert (ran.status, "the GPUs were reset" in ran.output) == (0, True)
    assert not is_well(node)
    treat(node, Action.REBOOT, "r-2")
    assert is_well(node)


@pytest.mark.parametrize("rung", RUNGS)
def test_a_remedy_that_is_sent_twice_is_done_once(node: NodeShell, engine: Engine, rung: Action) -> None:
    assert treat(node, rung).status == 0
    boot, starts = node.boot_id(), engine.starts
    assert starts == 1
    again = treat(node, rung)
    assert (again.status, node.boot_id(), engine.starts) == (0, boot, starts)


def test_a_restart_gives_the_engine_new_processes(node: NodeShell, engine: Engine) -> None:
    before = (node._state / "apps").read_text()
    engine.alive = False
    ran = treat(node, Action.RESTART_ENGINE)
    assert ran.output == "the engine was restarted\n"
    assert engine.alive
    assert (node._state / "apps").read_text() != before


def test_an_engine_does_not_start_where_no_process_can_start_cuda(node: NodeShell, engine: Engine) -> None:
    node.break_cuda()
    treat(node, Action.RESTART_ENGINE)
    assert not engine.alive
    treat(node, Action.REBOOT, "r-2")
    assert engine.alive


def test_a_reset_that_the_driver_refuses_is_said_and_the_engine_is_started_all_the_same(
    node: NodeShell, engine: Engine
) -> None:
    node.fail_nvidia_smi(9, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.")
    ran = treat(node, Action.RESET_GPU)
    assert ran.status == 9
    assert "the GPUs were not reset: nvidia-smi ended with 9" in ran.output
    assert not engine.alive  # the unit was started, and its process cannot live


def test_what_an_engine_left_behind_is_ended_before_the_reset(node: NodeShell) -> None:
    apps = node._state / "apps"
    before = apps.read_text()
    node.run("systemctl stop standfast-engine.service", 10.0)
    apps.write_text(before)  # a worker outlived its engine
    assert treat(node, Action.RESET_GPU).status == 0


def test_a_reboot_is_a_new_boot_with_an_empty_log_and_the_same_disk(node: NodeShell) -> None:
    node.add_kernel_line("something of the last boot")
    boot = node.boot_id()
    ran = treat(node, Action.REBOOT)
    assert (ran.status, ran.output) == (0, "the node was rebooted\n")
    assert node.boot_id() != boot
    assert "last boot" not in (node._state / "kernel").read_text()


@pytest.mark.parametrize("name", [*RUNGS.values(), "node_report", "update_model"])
def test_every_parameter_has_a_pattern_and_every_document_a_lock(name: str) -> None:
    document = yaml.safe_load((DOCUMENTS / f"{name}.yaml").read_text())
    for rules in document.get("parameters", {}).values():
        assert rules["type"] == "String"
        assert rules["allowedPattern"].startswith("^")
        assert rules["allowedPattern"].endswith("$")
        assert not set(rules["allowedPattern"]) & set("';`\"")
    assert "flock" in script(name)


@pytest.mark.parametrize("name", [*RUNGS.values(), "update_model"])
def test_every_tool_of_a_remedy_gets_term_at_its_bound_first(name: str) -> None:
    text = script(name)
    assert "timeout --signal=TERM --kill-after=" in text
    for line in text.splitlines():
        if ("systemctl" in line or "nvidia-smi -" in line) and not line.lstrip().startswith(("#", "echo")):
            assert "bounded" in line or "timeout --signal=TERM" in line, line
