"""A node's report and the judgement of the node."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.errors import UnreadableReportError
from standfast.gpu import NodeReport, parse_report
from standfast.health import Verdict
from tests.builders import NOW, judged_node

NODE = "i-0a1b2c3d4e5f60718"
BOOT = "7c1f8d52-0f4e-4c7c-9d1e-6f1f0b6f3a55"
HEADER = (
    "index, uuid, name, pci.bus_id, driver_version, memory.used [MiB], memory.total [MiB], "
    "ecc.errors.uncorrected.volatile.total, retired_pages.pending, remapped_rows.pending, remapped_rows.failure, "
    "clocks_event_reasons.hw_slowdown, clocks_event_reasons.sw_power_cap, gpu_recovery_action"
)
HUNG = (124, "")


def row(index: int = 0, *, memory: str = "23034 MiB", ecc: str = "0", retiring: str = "[N/A]", remapping: str = "No",
        failure: str = "No", slow: str = "Not Active", action: str = "None") -> str:  # fmt: skip
    return (
        f"{index}, GPU-{index}, NVIDIA L4, 00000000:{0x31 + index:02X}:00.0, 580.95.05, 20730 MiB, {memory}, {ecc}, "
        f"{retiring}, {remapping}, {failure}, {slow}, Not Active, {action}"
    )


def text(rows: str | None = None, log: str = "", **steps: tuple[int, str]) -> str:
    """A report of one good GPU. `steps` replace a step's exit status and what it printed."""
    sections: Mapping[str, tuple[int, str]] = {
        "clock": (0, f"{NOW:.0f}"),
        "boot": (0, BOOT),
        "gpus": (0, f"{HEADER}\n{row() if rows is None else rows}"),
        "kernel": (0, log),
    } | steps
    printed = [f"=== {name}\n{said}\n=== {name} exit {status}" for name, (status, said) in sections.items()]
    return "\n".join(["=== standfast-node-report 1", *printed, "=== end", ""])


def report(rows: str | None = None, log: str = "", **steps: tuple[int, str]) -> NodeReport:
    return parse_report(NODE, text(rows, log, **steps), NOW)


def judged(
    rows: str | None = None, log: str = "", expected: int | None = 1, **steps: tuple[int, str]
) -> tuple[Verdict, str]:
    judgement = judged_node(report(rows, log, **steps), expected)
    return judgement.verdict, judgement.reason


def line(code: int, said: str = "x", gpu: int = 0) -> str:
    return f"{NOW:.6f} node kernel: NVRM: Xid (PCI:0000:{0x31 + gpu:02x}:00): {code}, {said}"


# The text


def test_a_report_is_what_its_steps_found() -> None:
    found = report(log=line(31))
    assert (found.instance_id, found.taken_at, found.boot_id, found.driver) == (NODE, NOW, BOOT, "580.95.05")
    assert found.clock == NOW
    assert [(gpu.index, gpu.pci, gpu.memory_total) for gpu in found.gpus] == [(0, "0000:31:00", 23034.0)]
    assert [(xid.at, xid.pci, xid.code) for xid in found.xids] == [(NOW, "0000:31:00", 31)]
    assert (found.steps, found.problems) == ({"clock": 0, "boot": 0, "gpus": 0, "kernel": 0}, ())


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "answered with nothing"),
        ("  \n", "answered with nothing"),
        ("sh: 1: not found", "answered with no report: 'sh: 1: not found'"),
        (text().removesuffix("=== end\n"), "is cut off after 4 sections"),
        (text()[: text().index("GPU-0")], "is cut off in section gpus"),
        (text()[:14_000].replace("=== end", "---Output truncated---"), "its last line is missing"),
    ],
)
def test_what_is_cut_off_or_no_report_is_refused_with_the_reason(answer: str, reason: str) -> None:
    with pytest.raises(UnreadableReportError, match=f"{NODE}.*{reason}"):
        parse_report(NODE, answer, NOW)


@given(st.integers(0, len(text(log=line(31)).rstrip()) - 1))
def test_every_beginning_of_a_report_is_refused(length: int) -> None:
    with pytest.raises(UnreadableReportError):
        parse_report(NODE, text(log=line(31))[:length], NOW)


@given(
    st.lists(
        st.text(max_size=40)
        | st.sampled_from([*text(log=line(79)).splitlines(), "=== gpus", "=== gpus exit 999", "=== end"]),
        max_size=40,
    )
)
def test_any_text_is_a_report_that_can_be_judged_or_is_refused(lines: list[str]) -> None:
    try:
        found = parse_report(NODE, "\n".join(["=== standfast-node-report 1", *lines]), NOW)
    except UnreadableReportError as error:
        assert NODE in str(error)  # noqa: PT017 - any text may be the one or the other
    else:
        assert judged_node(found, 4).reason


def test_a_step_that_failed_takes_nothing_from_the_others() -> None:
    found = report(boot=(1, "sysctl: cannot stat"))
    assert found.boot_id is None
    assert found.problems == ("the boot id could not be read (exit 1)",)
    assert len(found.gpus) == 1


# The judgement


def test_a_node_whose_gpus_all_answer_is_healthy() -> None:
    assert judged() == (Verdict.HEALTHY, "1 GPU answers without a fault")
    assert judged(f"{row(0)}\n{row(1)}", expected=2) == (Verdict.HEALTHY, "2 GPUs answer without a fault")


def test_a_node_whose_gpus_are_fewer_than_expected_is_unhealthy() -> None:
    assert judged(expected=4) == (Verdict.UNHEALTHY, "reboot: 1 of 4 GPUs answer")
    assert judged(expected=None)[0] is Verdict.HEALTHY


def test_a_lost_gpu_in_its_row_is_unhealthy() -> None:
    verdict, reason = judged(f"{row(0)}\n{row(1, memory='[GPU is lost]')}", expected=2)
    assert verdict is Verdict.UNHEALTHY
    assert reason == "reboot: GPU 1 (0000:32:00) does not answer (memory.total: GPU is lost); 1 of 2 GPUs answer"


def test_a_gpu_without_a_handle_is_unhealthy_though_no_table_came() -> None:
    said = "Unable to determine the device handle for GPU1: 0000:32:00.0: Unknown Error"
    verdict, reason = judged(gpus=(15, said))
    assert verdict is Verdict.UNHEALTHY
    assert "0000:32:00 has fallen off the bus or cannot be reached" in reason


@pytest.mark.parametrize(("status", "said"), [(6, "nvidia-smi finds no GPU"), (9, "the NVIDIA driver is not loaded")])
def test_a_node_without_a_gpu_or_a_driver_is_unhealthy(status: int, said: str) -> None:
    assert judged(gpus=(status, "as nvidia-smi says it")) == (Verdict.UNHEALTHY, f"reboot: {said}")


def test_a_gpu_off_the_bus_without_an_xid_is_unhealthy() -> None:
    log = (
        "NVRM: The NVIDIA GPU 0000:b3:00.0\n NVRM: (PCI ID: 1) installed in this system has\n NVRM: fallen off the bus"
    )
    assert judged(log=log, gpus=HUNG)[0] is Verdict.UNHEALTHY


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (124, "nvidia-smi did not answer in time"),
        (137, "nvidia-smi did not answer in time"),
        (127, "nvidia-smi could not be read (exit 127)"),
    ],
)
def test_missing_evidence_is_unknown_and_says_what_is_missing(status: int, said: str) -> None:
    verdict, reason = judged(gpus=(status, ""))
    assert (verdict, reason) == (Verdict.UNKNOWN, f"nothing is known of the GPUs; {said}")


def test_a_report_that_found_another_one_running_is_unknown() -> None:
    answer = "=== standfast-node-report 1\n=== lock\n\n=== lock exit 1\n=== end\n"
    judgement = judged_node(parse_report(NODE, answer, NOW), 4)
    assert judgement.verdict is Verdict.UNKNOWN
    assert "another report was still running" in judgement.reason


def test_a_table_without_a_gpu_is_unknown() -> None:
    assert judged(gpus=(0, HEADER)) == (Verdict.UNKNOWN, "nothing is known of the GPUs; nvidia-smi lists no GPU")


@pytest.mark.parametrize(("code", "action"), [(79, "reboot"), (95, "reset GPU"), (48, "reset GPU"), (119, "reset GPU")])
def test_an_xid_condemns_by_nvidias_action(code: int, action: str) -> None:
    verdict, reason = judged(log=line(code, "pid=1, as it says"))
    assert verdict is Verdict.UNHEALTHY
    assert reason.startswith(f"{action}: Xid {code} on 0000:31:00 (pid=1, as it says): ")


def test_an_xid_condemns_though_nvidia_smi_hangs() -> None:
    assert judged(log=line(79), gpus=HUNG)[0] is Verdict.UNHEALTHY


@pytest.mark.parametrize("code", [43, 45])
def test_an_xid_that_nvidia_ignores_says_nothing_of_the_node(code: int) -> None:
    assert judged(log=line(code))[0] is Verdict.HEALTHY


@pytest.mark.parametrize("code", [13, 31, 94, 999])
def test_an_xid_whose_process_is_gone_or_that_nobody_knows_is_watched_for_an_hour(code: int) -> None:
    assert judged(log=line(code))[0] is Verdict.DEGRADED
    an_hour_ago = line(code).replace(f"{NOW:.6f}", f"{NOW - 3601:.6f}")
    assert judged(log=an_hour_ago)[0] is Verdict.HEALTHY


def test_the_drivers_verdict_acquits_and_condemns() -> None:
    none, reset = "changed from 0x1 (x) to 0x0 (None)", "changed from 0x0 (None) to 0x1 (GPU Reset Required)"
    assert judged(log=f"{line(79)}\n{line(154, none)}")[0] is Verdict.HEALTHY
    assert judged(log=f"{line(154, none)}\n{line(79)}")[0] is Verdict.UNHEALTHY
    assert judged(log=f"{line(63)}\n{line(154, reset)}")[0] is Verdict.UNHEALTHY


@pytest.mark.parametrize(("action", "verdict"), [("None", Verdict.HEALTHY), ("[N/A]", Verdict.HEALTHY),
                                                 ("Drain P2P", Verdict.DEGRADED), ("Reset", Verdict.UNHEALTHY),
                                                 ("Reboot", Verdict.UNHEALTHY)])  # fmt: skip
def test_the_recovery_action_in_the_table_counts_without_a_kernel_line(action: str, verdict: Verdict) -> None:
    assert judged(row(action=action))[0] is verdict


def test_a_row_that_cannot_be_remapped_any_more_wants_another_gpu() -> None:
    assert judged(row(failure="Yes")) == (
        Verdict.UNHEALTHY,
        "replace: GPU 0 (0000:31:00) could not remap a row of its memory",
    )


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (row(ecc="2"), "counts 2 uncorrected ECC errors"),
        (row(remapping="Yes"), "remaps a row at its next reset"),
        (row(retiring="Yes"), "retires a page at the next reboot"),
        (row(slow="Active"), "is slowed down (hw_slowdown)"),
        (row(ecc="[Unknown Error]"), "does not say ecc.errors.uncorrected.volatile.total: Unknown Error"),
    ],
)
def test_what_nvidia_wants_watched_is_degraded(rows: str, said: str) -> None:
    verdict, reason = judged(rows)
    assert verdict is Verdict.DEGRADED
    assert said in reason


def test_watched_errors_of_one_kind_are_one_reason() -> None:
    log = "\n".join(line(63, f"row {number}") for number in range(9))
    assert judged(log=log) == (Verdict.DEGRADED, "Xid 63 on 0000:31:00 (row 8), 9 of them")


def test_a_kernel_log_that_cannot_be_read_is_said_and_condemns_nobody() -> None:
    assert judged(kernel=(1, "")) == (Verdict.DEGRADED, "the kernel log could not be read (exit 1)")


def test_an_inforom_that_is_corrupted_is_said_beside_the_table() -> None:
    assert judged(gpus=(14, f"{HEADER}\n{row()}")) == (Verdict.DEGRADED, "the InfoROM of a GPU is corrupted")


def test_the_worst_of_several_is_the_verdict_and_many_reasons_are_cut_short() -> None:
    rows = "\n".join(row(index, failure="Yes", ecc="1") for index in range(8))
    verdict, reason = judged(rows, expected=8)
    assert verdict is Verdict.UNHEALTHY
    assert reason.count("could not remap") == 5
    assert reason.endswith("; and 11 more")
