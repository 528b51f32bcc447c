"""The document's script in a node's shell: what it prints is a report, whatever is wrong with the node."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.fleet.shell import LOST, OLDER_DRIVER, Hardware, NodeShell
from standfast.errors import UnreadableReportError
from standfast.gpu import NodeReport, judge_node, parse_report
from standfast.health import Verdict
from tests.builders import NOW

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "documents" / "node_report.yaml").read_text())
(STEP,) = DOCUMENT["mainSteps"]
SCRIPT: str = "\n".join(STEP["inputs"]["runCommand"])
IMPATIENT = SCRIPT.replace("bounded 10 ", "bounded 1 ").replace("--kill-after=2", "--kill-after=1").replace(
    "+ $1 + 4", "+ $1 + 2")  # fmt: skip
"""The same with shorter times, for what hangs."""
NODE = "i-0a1b2c3d4e5f60718"
SYSTEM_MANAGER_KEEPS = 24_000


@pytest.fixture
def node(tmp_path: Path) -> NodeShell:
    return NodeShell(tmp_path / NODE, Hardware(count=4))


def report(node: NodeShell, script: str = SCRIPT) -> NodeReport:
    ran = node.run(script, 30.0)
    assert ran.status == 0
    assert len(ran.output) <= SYSTEM_MANAGER_KEEPS
    return parse_report(NODE, ran.output, NOW)


def judged(node: NodeShell, script: str = SCRIPT) -> tuple[Verdict, str]:
    judgement = judge_node(report(node, script), 4)
    return judgement.verdict, judgement.reason


def test_the_document_takes_no_parameter_and_runs_bash_by_its_first_line() -> None:
    assert (DOCUMENT["schemaVersion"], STEP["action"]) == ("2.2", "aws:runShellScript")
    assert "parameters" not in DOCUMENT
    assert "{{" not in SCRIPT  # that would be one
    assert SCRIPT.startswith("#!/bin/bash\n")
    assert subprocess.run(["/bin/bash", "-n"], input=SCRIPT.encode(), check=False).returncode == 0


def test_the_impatient_script_differs_in_its_times_only() -> None:
    assert IMPATIENT.count("bounded 1 ") == 1
    assert re.sub(r"\d", "", IMPATIENT) == re.sub(r"\d", "", SCRIPT.replace("bounded 10", "bounded 1"))


def test_a_healthy_node_reports_everything(node: NodeShell) -> None:
    found = report(node)
    assert found.steps == {"clock": 0, "boot": 0, "gpus": 0, "kernel": 0}
    assert found.boot_id == node.boot_id()
    assert found.clock == pytest.approx(time.time(), abs=30)
    assert [gpu.index for gpu in found.gpus] == [0, 1, 2, 3]
    assert {gpu.recovery_action for gpu in found.gpus} == {"None"}
    assert found.driver == "580.95.05"
    assert (found.problems, found.xids) == ((), ())
    assert judge_node(found, 4).verdict is Verdict.HEALTHY


def test_an_older_driver_is_asked_for_what_it_knows(tmp_path: Path) -> None:
    found = report(NodeShell(tmp_path / NODE, driver=OLDER_DRIVER))
    (gpu,) = found.gpus
    assert (gpu.slowdowns, gpu.remapped_rows, gpu.recovery_action) == ((), 0, None)
    assert found.problems == ()


def test_an_ancient_driver_still_names_its_gpus(node: NodeShell) -> None:
    table = node._state / "gpus"
    table.write_text(re.sub("remapped_rows", "unheard_of", table.read_text()))
    found = report(node)
    assert [gpu.memory_total for gpu in found.gpus] == [23034.0] * 4
    assert {gpu.remapped_rows for gpu in found.gpus} == {None}


def test_a_gpu_that_falls_off_the_bus_condemns_its_node_until_it_is_mended(node: NodeShell) -> None:
    node.lose_gpu(2)
    verdict, reason = judged(node)
    assert verdict is Verdict.UNHEALTHY
    assert "Xid 154 on 0000:33:00" in reason
    node.reboot()
    assert judged(node)[0] is Verdict.HEALTHY


def test_a_gpu_that_is_lost_without_a_word_condemns_its_node(node: NodeShell) -> None:
    node.set_field(1, "memory.total", LOST)
    assert judged(node) == (
        Verdict.UNHEALTHY,
        "GPU 1 (0000:32:00) does not answer (memory.total: GPU is lost); 3 of 4 GPUs answer",
    )


def test_a_gpu_that_is_not_there_is_missed(node: NodeShell) -> None:
    node.remove_gpu(3)
    assert judged(node) == (Verdict.UNHEALTHY, "3 of 4 GPUs answer")


def test_a_node_without_any_gpu_says_so(node: NodeShell) -> None:
    for index in range(4):
        node.remove_gpu(index)
    assert judged(node) == (Verdict.UNHEALTHY, "nvidia-smi finds no GPU")


def test_an_xid_is_found_with_its_time_and_old_ones_are_not(node: NodeShell) -> None:
    node.add_kernel_line("NVRM: Xid (PCI:0000:31:00): 79, long ago", at=time.time() - 25 * 3600)
    node.add_kernel_line("usb 1-1: new high-speed USB device")
    node.add_xid(95, "Uncontained ECC error.")
    (xid,) = report(node).xids
    assert (xid.code, xid.pci) == (95, "0000:31:00")
    assert xid.at == pytest.approx(time.time(), abs=30)


def test_where_there_is_no_journal_the_ring_buffer_is_read(node: NodeShell, tmp_path: Path) -> None:
    node.add_xid(79, "GPU has fallen off the bus.")
    (tmp_path / "bin").mkdir()
    broken = tmp_path / "bin" / "journalctl"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    ran = node.run(SCRIPT.replace('export LC_ALL=C PATH="', f'export LC_ALL=C PATH="{tmp_path}/bin:'), 30.0)
    (xid,) = parse_report(NODE, ran.output, NOW).xids
    assert (xid.code, xid.at) == (79, None)


def test_too_many_kernel_lines_leave_the_newest_and_the_whole_table(node: NodeShell) -> None:
    for number in range(2000):
        node.add_xid(63, f"row {number} marked for remapping")
    ran = node.run(SCRIPT, 30.0)
    assert 15_000 < len(ran.output) <= SYSTEM_MANAGER_KEEPS
    found = parse_report(NODE, ran.output, NOW)
    assert len(found.gpus) == 4
    assert found.xids[-1].text == "row 1999 marked for remapping"
    assert all(xid.text.startswith("row ") for xid in found.xids)  # none is cut
    assert "(older lines are left out)" in ran.output


def test_sixteen_gpus_and_all_their_errors_fit(tmp_path: Path) -> None:
    node = NodeShell(tmp_path / NODE, Hardware(count=16, name="NVIDIA H100 80GB HBM3"))
    for number in range(2000):
        node.add_xid(63, f"row {number} marked for remapping", gpu=number % 16)
    assert len(report(node).gpus) == 16


def test_nvidia_smi_that_hangs_is_said_and_ended(node: NodeShell) -> None:
    node.hang_nvidia_smi()
    node.add_xid(31, "MMU Fault")
    began = time.monotonic()
    found = report(node, IMPATIENT)
    assert time.monotonic() - began < 4
    assert found.steps["gpus"] == 124
    assert [xid.code for xid in found.xids] == [31]  # the other steps go on
    assert judge_node(found, 4).reason == "nothing is known of the GPUs; nvidia-smi did not answer in time"
    node.clear()
    assert judged(node)[0] is Verdict.HEALTHY


def test_a_tool_that_cannot_be_killed_is_left_behind_and_no_second_one_is_sent(node: NodeShell, tmp_path: Path) -> None:
    """As a process in state D: timeout(1) itself would wait for it."""
    (tmp_path / "bin").mkdir()
    asked = tmp_path / "asked"
    stuck = tmp_path / "bin" / "timeout"
    stuck.write_text(
        "#!/bin/bash\ncase $* in *nvidia-smi*) ;; *) exec /usr/bin/timeout \"$@\" ;; esac\n"
        f"echo >>{asked}\ntrap '' TERM\nuntil [ -e {tmp_path}/over ]; do sleep 0.1; done\n"
    )  # fmt: skip
    stuck.chmod(0o755)
    script = IMPATIENT.replace('export LC_ALL=C PATH="', f'export LC_ALL=C PATH="{tmp_path}/bin:')
    try:
        assert report(node, script).steps["gpus"] == 137
        second = report(node, script)
        assert second.steps["gpus"] == 124
        assert "nvidia-smi: an earlier nvidia-smi still hangs" in second.problems
        assert asked.read_text() == "\n"
    finally:
        (tmp_path / "over").touch()


def test_two_reports_do_not_run_at_once(node: NodeShell) -> None:
    node.hang_nvidia_smi()
    hasty = IMPATIENT.replace("flock -w 8 9", "flock -w 0.2 9")
    first = threading.Thread(target=node.run, args=(IMPATIENT, 30.0))
    first.start()
    lock = node._runtime / "standfast-nvidia-smi"
    while not lock.exists():
        time.sleep(0.02)
    found = report(node, hasty)
    first.join()
    assert found.steps == {"lock": 1}
    assert found.problems == ("another report was still running",)


def test_no_file_is_left_but_the_locks(node: NodeShell) -> None:
    report(node)
    assert {path.name for path in node._runtime.iterdir()} == {"standfast-node-report", "standfast-nvidia-smi"}


def test_where_the_runtime_folder_cannot_be_written_the_report_is_made_all_the_same(node: NodeShell) -> None:
    shutil.rmtree(node._runtime)
    assert len(report(node).gpus) == 4


def test_a_script_whose_time_is_up_has_no_last_line(node: NodeShell) -> None:
    node.hang_nvidia_smi()
    ran = node.run(SCRIPT, 0.8)
    assert ran.status is None
    with pytest.raises(UnreadableReportError, match=r"cut off in section gpus|cut off after 2 sections"):
        parse_report(NODE, ran.output, NOW)


def test_a_shell_that_is_closed_ends_what_runs_in_it(node: NodeShell) -> None:
    ended: list[int | None] = []
    thread = threading.Thread(target=lambda: ended.append(node.run("#!/bin/sh\nsleep 30\n", 60.0).status))
    thread.start()
    while not node._running:
        time.sleep(0.02)
    node.close()
    thread.join(5.0)
    assert ended == [-9]


def test_a_shell_sees_nothing_of_the_machines_own_environment(node: NodeShell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "SOMETHING", "else")
    assert "SOMETHING" not in node.run("#!/bin/sh\nenv\n", 10.0).output


@pytest.mark.parametrize(
    "command", ["nvidia-smi -q", "journalctl -b", "sysctl -a", "nvidia-smi --query-gpu=index,x --format=csv"]
)
def test_a_tool_refuses_what_it_does_not_know(node: NodeShell, command: str) -> None:
    assert node.run(f"#!/bin/sh\n{command}\n", 10.0).status != 0
