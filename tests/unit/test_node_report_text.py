"""The text of a whole node report: what each step becomes, what is unknown, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.errors import UnreadableReportError
from standfast.gpu import NodeReport, parse_report
from standfast.node_facts import CudaStart, StuckProcess
from standfast.nvidia_smi import GpuProcess
from tests.builders import NOW

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"
"""Real captures, where somebody has them."""
NODE = "i-0a1b2c3d4e5f60718"
UUID = "GPU-6ce25ffe-2d0c-4f0f-a4a2-3a5f9cbdc4c1"
CUT = "(the rest is left out)"
HEADER = "index, uuid, name, pci.bus_id, memory.used [MiB], memory.total [MiB]"
STEPS = {
    "clock": (0, f"{NOW:.0f}"),
    "boot": (0, "7c1f8d52-0f4e-4c7c-9d1e-6f1f0b6f3a55"),
    "driver": (0, "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue Sep 23 10:00:00 UTC 2025"),
    "pci": (0, "0000:31:00.0 0302: 10de:27b8 (rev a1)\n0000:c1:00.0 0680: 10de:22a3 (rev a1)"),
    "fabric": (0, "LoadState=loaded\nActiveState=active"),
    "dcgm": (0, '{"body": {"Overall Health": {"value": "Healthy"}}, "header": ["Health Monitor Report"]}'),
    "gpus": (0, f"{HEADER}\n0, {UUID}, NVIDIA L4, 00000000:31:00.0, 20730 MiB, 23034 MiB"),
    "listed": (0, f"GPU 0: NVIDIA L4 (UUID: {UUID})"),
    "apps": (0, f"gpu_uuid, pid, process_name, used_gpu_memory [MiB]\n{UUID}, 4711, VLLM::Worker, 20730 MiB"),
    "cuda": (0, "0 1"),
    "stuck": (0, "D    9001 os_acquire_rwlock_write          nvidia-smi"),
    "kernel": (0, f"{NOW:.6f} node kernel: NVRM: Xid (PCI:0000:31:00): 31, pid=1"),
}
"""What each step says on a node with one GPU."""


def text(**steps: tuple[int, str]) -> str:
    """A report. `steps` replace a step's exit status and what it printed."""
    printed = [f"=== {name}\n{said}\n=== {name} exit {status}" for name, (status, said) in {**STEPS, **steps}.items()]
    return "\n".join(["=== standfast-node-report 1", *printed, "=== end", ""])


def report(**steps: tuple[int, str]) -> NodeReport:
    return parse_report(NODE, text(**steps), NOW)


def test_every_step_is_read() -> None:
    found = report()
    assert (found.listed, found.pci_gpus, found.switches) == ((UUID,), ("0000:31:00",), 1)
    assert (found.fabric_manager, found.loaded_driver) == ("active", "580.95.05")
    assert found.stuck == (StuckProcess(9001, "nvidia-smi", "os_acquire_rwlock_write"),)
    assert found.apps == (GpuProcess(UUID, 4711, "VLLM::Worker", 20730.0),)
    assert (found.cuda, found.dcgm, found.problems) == (CudaStart(0, 1), (), ())


def test_a_report_of_an_older_document_leaves_the_later_steps_unknown() -> None:
    older = ("clock", "boot", "gpus", "kernel")
    printed = "\n".join(f"=== {name}\n{STEPS[name][1]}\n=== {name} exit 0" for name in older)
    found = parse_report(NODE, f"=== standfast-node-report 1\n{printed}\n=== end\n", NOW)
    assert (found.listed, found.pci_gpus, found.switches, found.fabric_manager) == (None, None, None, None)
    assert (found.stuck, found.loaded_driver, found.apps, found.cuda, found.dcgm) == ((), None, None, None, None)
    assert (len(found.gpus), len(found.xids), found.problems) == (1, 1, ())


@pytest.mark.parametrize("step", ["dcgm", "cuda"])
def test_what_a_good_node_may_lack_is_no_problem(step: str) -> None:
    found = report(**{step: (127, "timeout: failed to run command")})
    assert (getattr(found, step), found.problems, found.steps[step]) == (None, (), 127)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("pci", "lspci is not installed: nothing is known of the PCI bus"),
        ("fabric", "systemctl is not installed: nothing is known of the fabric manager"),
    ],
)
def test_a_tool_that_is_not_there_is_said(step: str, said: str) -> None:
    found = report(**{step: (127, "")})
    assert found.problems == (said,)
    assert None in (found.pci_gpus, found.fabric_manager)


@pytest.mark.parametrize("status", [124, 137])
def test_cuda_that_did_not_start_in_time_is_a_finding_and_no_missing_evidence(status: int) -> None:
    found = report(cuda=(status, ""))
    assert found.cuda == CudaStart(None, timed_out=True)
    assert found.problems == ("the start of CUDA in a new process did not answer in time",)


@pytest.mark.parametrize("status", [1, 139])
def test_a_start_of_cuda_that_breaks_off_is_unknown_and_said(status: int) -> None:
    found = report(cuda=(status, "0 8"))
    assert found.cuda is None
    assert found.problems == (f"the start of CUDA in a new process could not be read (exit {status})",)


def test_what_was_left_out_since_nvidia_smi_hangs_is_said_once() -> None:
    found = report(gpus=(124, ""), listed=(75, ""), apps=(75, ""))
    assert (found.listed, found.apps) == (None, None)
    assert found.problems == ("nvidia-smi did not answer in time",)


@pytest.mark.parametrize("status", [1, 4, 15, 124, 255])
def test_a_step_that_failed_leaves_what_it_printed_unknown(status: int) -> None:
    failed = {step: (status, STEPS[step][1]) for step in ("pci", "fabric", "listed", "apps", "stuck", "driver", "dcgm")}
    found = report(**failed)
    assert (found.listed, found.pci_gpus, found.switches, found.fabric_manager) == (None, None, None, None)
    assert (found.stuck, found.loaded_driver, found.apps, found.dcgm) == ((), None, None, None)
    assert len(found.problems) == len(failed)


def test_no_device_in_the_list_is_an_answer_and_a_list_of_nonsense_is_none() -> None:
    assert report(listed=(6, "No devices found.")).listed == ()
    assert report(listed=(14, f"GPU 0: x (UUID: {UUID})\nWARNING: infoROM is corrupted")).listed == (UUID,)
    assert report(listed=(0, "\ufffd\ufffd")).listed is None


@pytest.mark.parametrize("step", ["gpus", "listed", "apps", "pci", "dcgm"])
def test_a_step_that_said_too_much_is_unknown_rather_than_a_part_of_it(step: str) -> None:
    found = report(**{step: (0, f"{STEPS[step][1]}\n{CUT}")})
    unknown = {"gpus": found.gpus or None, "listed": found.listed, "apps": found.apps, "pci": found.pci_gpus,
               "dcgm": found.dcgm}  # fmt: skip
    assert unknown[step] is None
    assert len([each for each in unknown.values() if each is None]) == 1
    assert len(found.problems) == 1
    assert "said more than the report holds" in found.problems[0]


def test_a_driver_that_is_not_the_librarys_is_said_in_words() -> None:
    said = "Failed to initialize NVML: Driver/library version mismatch"
    found = report(gpus=(18, said))
    assert found.problems[0] == "the loaded NVIDIA driver and its library are of different versions"


# Anything at all


@pytest.mark.parametrize("filling", ["x", "=== gpus\n", "\0", "\ufffd"])
def test_ten_megabytes_are_refused_before_they_are_read(filling: str) -> None:
    answer = text(kernel=(0, filling * (10_000_000 // len(filling))))
    with pytest.raises(UnreadableReportError, match=rf"{NODE} answered with \d+ characters: no report is so long"):
        parse_report(NODE, answer, NOW)


def test_every_beginning_of_a_whole_report_is_refused() -> None:
    whole = text().rstrip()
    for length in range(len(whole)):
        with pytest.raises(UnreadableReportError):
            parse_report(NODE, whole[:length], NOW)


def readable(answer: str) -> bool:
    """Whether an answer is a report; any other error than ours fails the test."""
    try:
        found = parse_report(NODE, answer, NOW)
    except UnreadableReportError as error:
        assert NODE in str(error)  # noqa: PT017 - any text may be the one or the other
        return False
    assert found.instance_id == NODE
    return True


@given(st.text(max_size=400))
def test_any_other_text_is_refused(answer: str) -> None:
    assert not readable(answer)


PIECE = st.sampled_from(text().splitlines()) | st.text(max_size=30) | st.just("\0") | st.just("=== cuda exit 999")


@given(st.lists(PIECE, max_size=60))
def test_the_lines_of_a_report_in_any_order_are_refused_or_read(lines: list[str]) -> None:
    readable("\n".join(["=== standfast-node-report 1", *lines, "=== end"]))


@given(st.lists(st.booleans(), min_size=80, max_size=80))
def test_two_reports_whose_lines_are_mixed_are_refused_or_read(turns: list[bool]) -> None:
    one, other = iter(text().splitlines()), iter(text(gpus=(124, ""), kernel=(1, "")).splitlines())
    mixed = [line for turn in turns if (line := next(one if turn else other, None)) is not None]
    readable("\n".join([*mixed, *one, *other]))


@given(st.binary(max_size=12), st.integers(0, len(text())))
def test_bytes_that_are_no_text_in_the_midst_of_a_report_are_read_or_refused(noise: bytes, place: int) -> None:
    whole = text().encode()
    readable((whole[:place] + noise + whole[place:]).decode(errors="replace"))


# Real captures


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the captures are not here")
@pytest.mark.parametrize("path", sorted(SAMPLES.glob("nvidia-smi/*.csv")), ids=lambda path: path.stem)
def test_a_real_table_is_read_in_a_report(path: Path) -> None:
    found = report(gpus=(0, path.read_text()))
    assert (len(found.gpus), found.problems, found.gpus[0].errors) == (1, (), ())


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the captures are not here")
@pytest.mark.parametrize("path", sorted(SAMPLES.glob("kernel-log/*.txt")), ids=lambda path: path.stem)
def test_a_real_kernel_log_is_read_in_a_report(path: Path) -> None:
    found = report(kernel=(0, path.read_text()))
    assert found.xids or found.lost


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the captures are not here")
def test_every_real_line_about_an_xid_is_read_but_those_that_hold_none() -> None:
    lines = {line for path in SAMPLES.glob("kernel-log/*.txt") for line in path.read_text().splitlines()}
    about = {line for line in lines if "Xid (" in line}
    unread = {line for line in about if not report(kernel=(0, line)).xids}
    assert len(about) > 150
    # One has no number where the code should be (twice), one a variable of a shell, and one no address.
    assert {line.partition("Xid (")[2].partition(",")[0] for line in unread} == {
        "PCI:0000:66:00): abc", "PCI:0000:b3:00.0): INVALID", "PCI:$pci): 119", "invalid): some error",
    }  # fmt: skip


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the captures are not here")
def test_every_real_message_of_nvidia_smi_is_said_and_never_a_gpu_that_is_well() -> None:
    for line in filter(None, (SAMPLES / "nvidia-smi" / "one-line-errors.txt").read_text().splitlines()):
        found = report(gpus=(1, line))
        assert (found.gpus, found.problems[-1]) == ((), f"nvidia-smi: {line}")
        assert bool(found.lost) == ("device handle for" in line)
