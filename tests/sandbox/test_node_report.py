"""The document's script in a node's shell: what it prints is a report, whatever is wrong with the node."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.fleet.shell import LOST, OLDER_DRIVER, Hardware, NodeShell
from standfast.errors import UnreadableReportError
from standfast.gpu import NodeReport, parse_report
from standfast.health import Verdict
from standfast.node_facts import CudaStart, StuckProcess, read_cuda
from tests.builders import NOW, judged_node

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "documents" / "node_report.yaml").read_text())
(STEP,) = DOCUMENT["mainSteps"]
SCRIPT: str = "\n".join(STEP["inputs"]["runCommand"])
QUICK = SCRIPT.replace("sleep 1 9>", "sleep 0.1 9>")
"""The same with less time between the two looks at the processes."""
IMPATIENT = QUICK.replace("nvidia_smi 10 ", "nvidia_smi 1 ").replace("bounded 10 ", "bounded 1 ").replace(
    "--kill-after=2", "--kill-after=1").replace("+ $1 + 4", "+ $1 + 2")  # fmt: skip
"""The same with shorter times, for what hangs."""
STEPS = ("clock", "boot", "driver", "pci", "fabric", "dcgm", "gpus", "listed", "apps", "cuda", "stuck", "kernel")
NODE = "i-0a1b2c3d4e5f60718"
SYSTEM_MANAGER_KEEPS = 24_000


@pytest.fixture
def node(tmp_path: Path) -> NodeShell:
    return NodeShell(tmp_path / NODE, Hardware(count=4))


def report(node: NodeShell, script: str = QUICK) -> NodeReport:
    ran = node.run(script, 30.0)
    assert (ran.status, ran.errors) == (0, "")
    assert len(ran.output) <= 22_000 < SYSTEM_MANAGER_KEEPS
    return parse_report(NODE, ran.output, NOW)


def judged(node: NodeShell, script: str = QUICK) -> tuple[Verdict, str]:
    judgement = judged_node(report(node, script), 4)
    return judgement.verdict, judgement.reason


def test_the_document_takes_no_parameter_and_runs_bash_by_its_first_line() -> None:
    assert (DOCUMENT["schemaVersion"], STEP["action"]) == ("2.2", "aws:runShellScript")
    assert "parameters" not in DOCUMENT
    assert "{{" not in SCRIPT  # that would be one
    assert SCRIPT.startswith("#!/bin/bash\n")
    assert subprocess.run(["/bin/bash", "-n"], input=SCRIPT.encode(), check=False).returncode == 0


def test_the_impatient_script_differs_in_its_times_only() -> None:
    assert (IMPATIENT.count("nvidia_smi 1 "), IMPATIENT.count("bounded 1 "), QUICK.count("sleep 0.1 ")) == (1, 1, 1)
    assert re.sub(r"[\d.]", "", IMPATIENT) == re.sub(r"[\d.]", "", SCRIPT)


def test_the_times_of_all_steps_are_within_the_documents_time() -> None:
    """What runs side by side counts once. A step that hangs to the end costs what `bounded` adds."""

    def longest(name: str) -> int:
        (body,) = re.findall(rf"^{name}\(\) {{\n(.*?)^}}", SCRIPT, re.MULTILINE | re.DOTALL)
        return sum(int(each) + added for each in re.findall(r"(?:bounded|nvidia_smi) (\d+) ", body))

    (waits,) = re.findall(r"flock -w (\d+) 9", SCRIPT)
    (given,) = re.findall(r"SECONDS \+ \$1 \+ (\d+)", SCRIPT)
    added = int(given)
    tiers = len(re.findall(r'"\$\w+"', re.findall(r"for fields in (.*); do", SCRIPT)[0]))
    sides = [longest("ask_nvidia_smi") + tiers * longest("gpus"), longest("ask_system"), longest("ask_cuda")]
    looks = 2 * (2 + added)
    total = int(waits) + max(*sides, longest("kernel")) + looks
    assert (tiers, min(sides) > 0, "processes() { bounded 2 ps" in SCRIPT) == (4, True, True)
    assert total < int(STEP["inputs"]["timeoutSeconds"]) <= 110


def test_a_healthy_node_reports_everything(node: NodeShell) -> None:
    found = report(node)
    assert found.steps == dict.fromkeys(STEPS, 0) | {"dcgm": 127}
    assert found.boot_id == node.boot_id()
    assert found.clock == pytest.approx(time.time(), abs=30)
    assert [gpu.index for gpu in found.gpus] == [0, 1, 2, 3]
    assert {gpu.recovery_action for gpu in found.gpus} == {"None"}
    assert found.driver == "580.95.05"
    assert (found.problems, found.xids) == ((), ())
    assert found.listed == tuple(gpu.uuid for gpu in found.gpus) == tuple(node.uuid(index) for index in range(4))
    assert (found.pci_gpus, found.switches) == (tuple(node.pci(index) for index in range(4)), 0)
    assert (found.fabric_manager, found.loaded_driver) == ("not installed", found.driver)
    assert (found.stuck, found.cuda, found.dcgm) == ((), CudaStart(0, 4), None)
    assert found.apps is not None
    assert [(app.gpu_uuid, app.memory) for app in found.apps] == [(gpu.uuid, gpu.memory_used) for gpu in found.gpus]
    assert judged_node(found, 4).verdict is Verdict.HEALTHY


def test_an_older_driver_is_asked_for_what_it_knows(tmp_path: Path) -> None:
    found = report(NodeShell(tmp_path / NODE, driver=OLDER_DRIVER))
    (gpu,) = found.gpus
    assert (gpu.slowdowns, gpu.remapped_rows, gpu.recovery_action) == ((), 0, None)
    assert (gpu.pcie_width, gpu.slowdown_microseconds) == (16, None)
    assert found.problems == ()


def test_a_driver_without_the_counters_of_slowdowns_still_says_the_state_of_the_fabric(tmp_path: Path) -> None:
    node = NodeShell(tmp_path / NODE, Hardware(switches=4))
    table = node._state / "gpus"
    table.write_text(table.read_text().replace("reasons_counters", "unheard_of"))
    (gpu,) = report(node).gpus
    assert (gpu.fabric_state, gpu.slowdowns, gpu.slowdown_microseconds) == ("Completed", (), None)


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
        "reboot: GPU 1 (0000:32:00) does not answer (memory.total: GPU is lost); 3 of 4 GPUs answer",
    )


def test_a_gpu_that_is_not_there_is_missed(node: NodeShell) -> None:
    node.remove_gpu(3)
    assert judged(node) == (Verdict.UNHEALTHY, "reboot: 3 of 4 GPUs answer")


def test_a_node_without_any_gpu_says_so(node: NodeShell) -> None:
    for index in range(4):
        node.remove_gpu(index)
    assert judged(node) == (Verdict.UNHEALTHY, "reboot: nvidia-smi finds no GPU")


def test_an_xid_is_found_with_its_time_and_old_ones_are_not(node: NodeShell) -> None:
    node.add_kernel_line("NVRM: Xid (PCI:0000:31:00): 79, long ago", at=time.time() - 25 * 3600)
    node.add_kernel_line("usb 1-1: new high-speed USB device")
    node.add_xid(95, "Uncontained ECC error.")
    (xid,) = report(node).xids
    assert (xid.code, xid.pci) == (95, "0000:31:00")
    assert xid.at == pytest.approx(time.time(), abs=30)


def test_the_serial_number_that_the_driver_names_beside_an_xid_stays_on_the_node(node: NodeShell) -> None:
    node.add_kernel_line("NVRM: GPU Board Serial Number: 1655512345678")
    node.add_xid(79, "GPU has fallen off the bus.")
    node.add_kernel_line(f"NVRM: GPU {node.pci(0)}.0: GPU serial number is 1655512345678.")
    ran = node.run(QUICK, 30.0)
    assert "1655512345678" not in ran.output
    assert [xid.code for xid in parse_report(NODE, ran.output, NOW).xids] == [79]


def test_where_there_is_no_journal_the_ring_buffer_is_read(node: NodeShell, tmp_path: Path) -> None:
    node.add_xid(79, "GPU has fallen off the bus.")
    (tmp_path / "bin").mkdir()
    broken = tmp_path / "bin" / "journalctl"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    ran = node.run(QUICK.replace('export LC_ALL=C PATH="', f'export LC_ALL=C PATH="{tmp_path}/bin:'), 30.0)
    (xid,) = parse_report(NODE, ran.output, NOW).xids
    assert (xid.code, xid.at) == (79, None)


def test_too_many_kernel_lines_leave_the_newest_and_the_whole_table(node: NodeShell) -> None:
    for number in range(2000):
        node.add_xid(63, f"row {number} marked for remapping")
    ran = node.run(QUICK, 30.0)
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
    found = report(node)
    assert len(found.gpus) == len(found.listed or ()) == len(found.pci_gpus or ()) == len(found.apps or ()) == 16
    assert found.problems == ()


def test_whatever_the_tools_say_the_report_is_whole_and_what_is_cut_off_is_unknown(node: NodeShell) -> None:
    endless = "x" * 79 + "\n"
    for name in ("gpus", "boot_id", "fabric-manager", "proc/version", "cuda", "dcgm"):
        (node._state / name).write_text(endless * 400)
    (node._state / "listed").write_text("GPU 0: NVIDIA L4 (UUID: GPU-1)\n" * 400)
    (node._state / "apps").write_text("GPU-1, 1, a, 1 MiB\n" * 1_000)
    (node._state / "pci").write_text("0000:31:00.0 0302: 10de:27b8 (rev a1)\n" * 400)
    (node._state / "processes").write_text(f"D  1 {'x' * 32} {'x' * 15}\n" * 400)
    for number in range(400):
        node.add_xid(79, f"{number} {'x' * 200}")
    found = report(node)
    assert (found.gpus, found.listed, found.apps, found.pci_gpus, found.dcgm) == ((), None, None, None, None)
    assert "nvidia-smi -L said more than the report holds" in found.problems
    assert found.xids[-1].text.startswith("399 ")


def test_a_tool_that_says_ten_megabytes_of_nothing_is_cut_short(node: NodeShell) -> None:
    (node._state / "listed").write_bytes(b"\0\xff\x80\n" * 2_500_000)
    assert report(node).listed is None


def test_nvidia_smi_that_hangs_is_said_and_ended(node: NodeShell) -> None:
    node.hang_nvidia_smi()
    node.add_xid(31, "MMU Fault")
    found = report(node, IMPATIENT)
    assert [found.steps[step] for step in ("gpus", "listed", "apps")] == [124, 75, 75]
    assert found.problems == ("nvidia-smi did not answer in time",)
    assert (found.listed, found.apps, found.cuda) == (None, None, CudaStart(0, 4))
    assert [xid.code for xid in found.xids] == [31]  # the other steps go on
    assert judged_node(found, 4).reason == "nothing is known of the GPUs; nvidia-smi did not answer in time"
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
        assert second.steps["listed"] == 75
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
    tools = ["nvidia-smi", "sysctl", "head", "lspci", "systemctl", "dcgmi", "python3", "journalctl", "ps"]
    assert {path.name for path in node._runtime.iterdir()} == {f"standfast-{name}" for name in ["node-report", *tools]}


def test_where_the_runtime_folder_cannot_be_written_the_report_is_made_all_the_same(node: NodeShell) -> None:
    shutil.rmtree(node._runtime)
    assert len(parse_report(NODE, node.run(QUICK, 30.0).output, NOW).gpus) == 4


def test_a_script_whose_time_is_up_has_no_last_line(node: NodeShell) -> None:
    node.hang_nvidia_smi()
    ran = node.run(SCRIPT, 0.8)
    assert ran.status is None
    with pytest.raises(UnreadableReportError, match=r"cut off after \d sections"):
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
    "command",
    [
        "nvidia-smi -q",
        "journalctl -b",
        "sysctl -a",
        "nvidia-smi --query-gpu=index,x --format=csv",
        "lspci -v",
        "systemctl stop nvidia-fabricmanager",
        "ps aux",
        "python3 -c 'print(1)'",
        "python3",
        "dcgmi diag -r 3",
    ],
)
def test_a_tool_refuses_what_it_does_not_know(node: NodeShell, command: str) -> None:
    assert node.run(f"#!/bin/sh\n{command}\n", 10.0).status != 0


# What each fault looks like


def test_a_gpu_off_the_bus_without_an_xid_is_named_by_a_message_of_several_lines(node: NodeShell) -> None:
    node.lose_gpu_without_xid(2)
    found = report(node)
    assert (found.xids, found.lost, found.pci_silent) == ((), (node.pci(2),), (node.pci(2),))
    assert len(found.gpus) == len(found.listed or ()) == 3
    assert judged_node(found, None).verdict is Verdict.UNHEALTHY


def test_a_gpu_may_be_missing_from_the_listing_or_from_the_bus_alone(node: NodeShell) -> None:
    node.unlist_gpu(0)
    node.unplug_gpu(3)
    found = report(node)
    assert found.listed == tuple(node.uuid(index) for index in (1, 2, 3))
    assert found.pci_gpus == tuple(node.pci(index) for index in (0, 1, 2))
    assert len(found.gpus) == 4


def test_a_row_that_could_not_be_remapped_a_narrow_link_and_memory_that_nobody_holds_are_of_one_gpu(
    node: NodeShell,
) -> None:
    node.fail_remapping(1)
    node.narrow_link(2, 8)
    node.hold_memory(3)
    found = report(node)
    assert [gpu.remapping_failed for gpu in found.gpus] == [False, True, False, False]
    assert [(gpu.pcie_width, gpu.pcie_width_max) for gpu in found.gpus] == [(16, 16), (16, 16), (8, 16), (16, 16)]
    assert [app.gpu_uuid for app in found.apps or ()] == [node.uuid(index) for index in range(3)]
    assert found.gpus[3].memory_used == found.gpus[0].memory_used


def test_a_driver_that_was_updated_while_loaded_is_a_mismatch(node: NodeShell) -> None:
    node.mismatch_driver()
    found = report(node)
    assert (found.steps["gpus"], found.loaded_driver, found.gpus) == (18, "580.95.05", ())
    assert "the loaded NVIDIA driver and its library are of different versions" in found.problems
    assert found.cuda == CudaStart(803)


def test_cuda_that_does_not_start_or_hangs_is_found_while_nvidia_smi_is_well(node: NodeShell) -> None:
    node.break_cuda()
    assert report(node).cuda == CudaStart(999)
    node.hang_cuda()
    found = report(node, IMPATIENT)
    assert found.cuda == CudaStart(None, timed_out=True)
    assert found.problems == ("the start of CUDA in a new process did not answer in time",)
    assert len(found.gpus) == 4


def test_a_stuck_process_is_one_that_is_stuck_at_both_looks(node: NodeShell, tmp_path: Path) -> None:
    node.add_stuck_process("python3", "rpc_wait_for_gsp")
    (stuck,) = report(node).stuck
    assert (stuck.name, stuck.where) == ("python3", "rpc_wait_for_gsp")
    node.clear()
    (tmp_path / "bin").mkdir()
    ps = tmp_path / "bin" / "ps"
    ps.write_text('#!/bin/sh\necho "D 1 - always"\necho "D $$ - reads-a-disk"\necho "D 2 place$$ goes-on"\n')
    ps.chmod(0o755)
    script = QUICK.replace('export LC_ALL=C PATH="', f'export LC_ALL=C PATH="{tmp_path}/bin:')
    assert report(node, script).stuck == (StuckProcess(1, "always", "-"),)


def test_a_failed_fabric_manager_is_found_beside_its_switches(tmp_path: Path) -> None:
    node = NodeShell(tmp_path / NODE, Hardware(count=8, switches=4))
    assert (report(node).fabric_manager, report(node).switches) == ("active", 4)
    node.fail_fabric_manager()
    found = report(node)
    assert (found.fabric_manager, found.switches, len(found.pci_gpus or ())) == ("failed", 4, 8)


def test_dcgm_is_heard_where_it_is_there(node: NodeShell) -> None:
    errors = {"Errors": {"children": {"Memory system": {"value": "Failure", "overflow": ["A row failed."]}}}}
    body = {
        "Overall Health": {"value": "Failure"},
        "GPU": {"children": {"2": {"children": errors, "value": "Failure"}}},
    }
    node.set_dcgm(json.dumps({"body": body, "header": ["Health Monitor Report"]}, indent=8))
    assert report(node).dcgm == ("GPU 2, Memory system: Failure",)
    node.set_dcgm("Error: Health watches not enabled. Please enable watches.")
    assert report(node).dcgm is None


def test_names_of_processes_lose_their_folders_and_arguments_on_the_node(node: NodeShell) -> None:
    gpu = node.uuid(0)
    names = ["/opt/an engine/bin/x --key secret", "/usr/bin/python3 -m a/b, --key=secret", "y" * 300, "[Not Found]"]
    (node._state / "apps").write_text("".join(f"{gpu}, {pid}, {name}, 5 MiB\n" for pid, name in enumerate(names)))
    ran = node.run(QUICK, 30.0)
    assert "secret" not in ran.output
    apps = parse_report(NODE, ran.output, NOW).apps or ()
    assert [(app.pid, app.name, app.memory) for app in apps] == [
        (0, "an", 5.0), (1, "python3", 5.0), (2, "y" * 40, 5.0), (3, "[Not Found]", 5.0),
    ]  # fmt: skip


@pytest.mark.parametrize("mend", [NodeShell.clear, NodeShell.reboot])
def test_what_is_mended_leaves_no_trace_and_the_same_gpus(node: NodeShell, mend: Callable[[NodeShell], None]) -> None:
    before = [node.uuid(index) for index in range(4)]
    for fault in (node.lose_gpu, node.lose_gpu_without_xid, node.narrow_link, node.hold_memory, node.unplug_gpu):
        fault(0 if fault == node.lose_gpu else 1)
    for other in (node.break_cuda, node.hang_cuda, node.add_stuck_process, node.fail_fabric_manager,
                  node.mismatch_driver, node.hang_nvidia_smi):  # fmt: skip
        other()
    node.set_dcgm("{}")
    mend(node)
    found = report(node)
    assert [gpu.uuid for gpu in found.gpus] == before
    assert (judged_node(found, 4).verdict, found.problems, found.stuck) == (Verdict.HEALTHY, (), ())
    assert (found.cuda, found.fabric_manager, found.switches, found.steps["dcgm"]) == (
        CudaStart(0, 4), "not installed", 0, 127,
    )  # fmt: skip


# CUDA itself


FAKE_CTYPES = """
class c_int:
    value = -1
def byref(number): return number
class CDLL:
    def __init__(self, name):
        import os
        assert name == "libcuda.so.1" and not os.path.exists(os.environ["CUDA_MPS_PIPE_DIRECTORY"])
    def cuInit(self, flags): return {status}
    def cuDeviceGetCount(self, number):
        number.value = 8
        return 0
"""


@pytest.mark.parametrize(("status", "found"), [(0, CudaStart(0, 8)), (802, CudaStart(802))])
def test_the_documents_python_starts_cuda_and_counts_the_gpus(tmp_path: Path, status: int, found: CudaStart) -> None:
    """The code that the stand-in on a node does not run, with a library of our own in its place."""
    (tmp_path / "ctypes.py").write_text(FAKE_CTYPES.format(status=status))
    ran = python(tmp_path)
    assert (ran.returncode, read_cuda(ran.stdout)) == (0, found)


def test_without_the_drivers_library_there_is_no_cuda_to_start(tmp_path: Path) -> None:
    (tmp_path / "ctypes.py").write_text("def CDLL(name): raise OSError(name)\n")
    assert python(tmp_path).returncode == 127


def python(folder: Path) -> subprocess.CompletedProcess[str]:
    (code,) = re.findall(r"^cuda='\n(.*?)^'$", SCRIPT, re.MULTILINE | re.DOTALL)
    return subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False
    )
