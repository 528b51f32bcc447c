"""Faults of a node: what each calls for, which are confirmed first, and what outlives a reboot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from standfast.fault_finding import CONFIRMED_BY, find_faults
from standfast.fault_memory import LOOK_BACK_SECONDS, FaultMemory
from standfast.faults import Fault, FaultKind
from standfast.gpu import LOST, MISMATCH, NodeReport
from standfast.health import Verdict
from standfast.node_facts import CudaStart, StuckProcess
from standfast.node_health import judge_node
from standfast.nvidia_smi import Gpu, GpuProcess
from standfast.xids import Action, Xid
from tests.builders import NOW

NODE, PCI, UUID = "i-0a1b2c3d4e5f60718", "0000:31:00", "GPU-6ce25ffe-2d0c-4f0f-a4a2-3a5f9cbdc4c1"
ENGINE = GpuProcess(UUID, 4711, "VLLM::Worker", 20_000.0)
HOUR = 3600.0


def gpu(**fields: Any) -> Gpu:
    known: dict[str, Any] = {"index": 0, "uuid": UUID, "name": "NVIDIA L4", "pci": PCI, "memory_used": 20_000.0}
    return Gpu(**known | fields)


def report(at: float = NOW, **fields: Any) -> NodeReport:
    known: dict[str, Any] = {"boot_id": "boot-1", "driver": "580.95.05", "gpus": (gpu(),), "xids": (), "steps": {}}
    return NodeReport(instance_id=NODE, taken_at=at, problems=(), **known | {"apps": (ENGINE,)} | fields)


def xid(code: int, text: str = "x", at: float = NOW) -> Xid:
    return Xid(at, PCI, code, text)


def after(*reports: NodeReport, memory: FaultMemory | None = None) -> tuple[tuple[Fault, ...], FaultMemory]:
    """The faults of the last of several reports, and what is remembered then."""
    faults: tuple[Fault, ...] = ()
    known = memory or FaultMemory()
    for each in reports:
        faults, node, gpus = find_faults(each, 1, known)
        known = replace(known.with_nodes([node]), gpus={**known.gpus, **gpus})
    return faults, known


def actions(*reports: NodeReport) -> dict[str, Action]:
    return {str(fault.kind): fault.action for fault in after(*reports)[0]}


def half_minutes(count: int, **fields: Any) -> list[NodeReport]:
    return [report(NOW + 30 * number, **fields) for number in range(count)]


def test_a_node_without_a_fault_has_none() -> None:
    assert after(report())[0] == ()


@pytest.mark.parametrize(
    ("fields", "kind", "action"),
    [
        ({"xids": (xid(79),)}, FaultKind.XID, Action.REBOOT),
        ({"xids": (xid(48),)}, FaultKind.XID, Action.RESET_GPU),
        ({"xids": (xid(63),)}, FaultKind.XID, Action.WATCH),
        ({"xids": (xid(94, "pid=4711, name=VLLM"),)}, FaultKind.XID, Action.RESTART_ENGINE),
        ({"xids": (xid(119),)}, FaultKind.XID, Action.RESET_GPU),
        ({"lost": (PCI,)}, FaultKind.OFF_THE_BUS, Action.REBOOT),
        ({"gpus": (gpu(remapping_failed=True),)}, FaultKind.REMAP_FAILED, Action.REPLACE),
        ({"gpus": (gpu(recovery_action="Reset"),)}, FaultKind.RECOVERY_ACTION, Action.RESET_GPU),
        ({"gpus": (), "steps": {"gpus": LOST}}, FaultKind.LOST, Action.REBOOT),
        ({"gpus": (gpu(lost=True),)}, FaultKind.LOST, Action.REBOOT),
        ({"pci_gpus": (PCI,), "pci_silent": (PCI,)}, FaultKind.OFF_THE_BUS, Action.REBOOT),
        ({"gpus": (gpu(pstate="P0", pcie_width=4, pcie_width_max=16),)}, FaultKind.NARROW_LINK, Action.WATCH),
        ({"gpus": (gpu(fabric_state="In Progress"),)}, FaultKind.FABRIC, Action.WATCH),
        ({"dcgm": ("GPU 0, Memory system: Failure",)}, FaultKind.DCGM, Action.WATCH),
        ({"steps": {"kernel": 1}}, FaultKind.UNREADABLE, Action.WATCH),
    ],
    ids=str,
)
def test_a_fault_that_speaks_for_itself_calls_for_its_action_at_once(
    fields: dict[str, Any], kind: FaultKind, action: Action
) -> None:
    assert actions(report(**fields))[kind] is action


@pytest.mark.parametrize(
    ("fields", "kind", "action"),
    [
        ({"apps": ()}, FaultKind.MEMORY_HELD, Action.RESET_GPU),
        ({"cuda": CudaStart(999)}, FaultKind.NO_CUDA, Action.DRAIN),
        ({"cuda": CudaStart(None, timed_out=True)}, FaultKind.NO_CUDA, Action.DRAIN),
        ({"cuda": CudaStart(0, 0)}, FaultKind.NO_CUDA, Action.DRAIN),
        ({"steps": {"gpus": 124}, "gpus": ()}, FaultKind.TOOL_HANGS, Action.DRAIN),
        ({"steps": {"gpus": MISMATCH}, "gpus": ()}, FaultKind.DRIVER_MISMATCH, Action.DRAIN),
        ({"loaded_driver": "570.1.2"}, FaultKind.DRIVER_MISMATCH, Action.DRAIN),
        ({"switches": 4, "fabric_manager": "failed"}, FaultKind.FABRIC_MANAGER, Action.DRAIN),
        ({"stuck": (StuckProcess(7, "python3", "nv_wait"),)}, FaultKind.STUCK, Action.REBOOT),
    ],
    ids=str,
)
def test_a_fault_that_may_pass_is_watched_until_it_was_seen_often_enough(
    fields: dict[str, Any], kind: FaultKind, action: Action
) -> None:
    needed = CONFIRMED_BY[kind]
    assert actions(*half_minutes(needed - 1, **fields))[kind] is Action.WATCH
    assert actions(*half_minutes(needed, **fields))[kind] is action
    interrupted = [*half_minutes(needed - 1, **fields), report(NOW + 300), report(NOW + 330, **fields)]
    assert actions(*interrupted)[kind] is Action.WATCH


def test_the_same_report_read_twice_confirms_nothing() -> None:
    again = report(cuda=CudaStart(999))
    assert actions(again, again, again)[FaultKind.NO_CUDA] is Action.WATCH


def test_a_report_that_found_another_one_running_breaks_no_row_and_counts_in_none() -> None:
    hangs: dict[str, Any] = {"steps": {"gpus": 124}, "gpus": ()}
    first, second, third = half_minutes(3, **hangs)
    locked_out = [report(NOW + 10 + 30 * number, steps={"lock": 1}, gpus=(), apps=None) for number in range(2)]
    assert actions(first, locked_out[0], second)[FaultKind.TOOL_HANGS] is Action.WATCH
    assert actions(first, locked_out[0], second, locked_out[1], third)[FaultKind.TOOL_HANGS] is Action.DRAIN


def test_a_gpu_that_returns_at_fault_is_told_of_though_another_report_was_running() -> None:
    boots = [report(NOW + boot * HOUR, boot_id=f"boot-{boot}", xids=(xid(79),)) for boot in range(3)]
    locked_out = report(NOW + 3 * HOUR, boot_id=None, steps={"lock": 1}, gpus=(), apps=None)
    assert actions(*boots, locked_out) == {FaultKind.RETURNS: Action.REPLACE}


def test_a_node_that_serves_and_cannot_start_anew_is_drained_and_its_engine_is_not_restarted() -> None:
    found = after(*half_minutes(2, cuda=CudaStart(999), xids=(xid(94, "pid=4711, name=VLLM"),)))[0]
    finding = judge_node(report(), found)
    assert (finding.verdict, finding.action) == (Verdict.DEGRADED, Action.DRAIN)
    assert finding.reason.startswith("drain: a new process cannot start CUDA (error 999)")


def test_a_node_whose_nvidia_smi_hangs_is_unknown_and_to_be_drained_which_its_reason_says_first() -> None:
    hangs = half_minutes(3, steps={"gpus": 124}, gpus=())
    finding = judge_node(hangs[-1], after(*hangs)[0])
    assert (finding.verdict, finding.action) == (Verdict.UNKNOWN, Action.DRAIN)
    assert finding.reason.startswith("drain: nothing is known of the GPUs")
    assert judge_node(hangs[0], after(hangs[0])[0]).reason.startswith("nothing is known of the GPUs")


def test_a_contained_error_whose_process_has_ended_wants_no_restart() -> None:
    assert actions(report(xids=(xid(94, "pid=12, name=VLLM"),)))[FaultKind.XID] is Action.WATCH


def test_an_idle_gpus_narrow_link_and_a_power_cap_are_no_faults() -> None:
    idle = gpu(pstate="P8", pcie_width=1, pcie_width_max=16)
    capped = gpu(slowdown_microseconds=(("sw_power_cap", 30_000_000),))
    assert after(report(gpus=(idle,)))[0] == ()
    assert after(report(), report(NOW + 30, gpus=(capped,)))[0] == ()


def test_slowdown_is_judged_by_its_share_of_the_time_between_two_reports() -> None:
    def hot(at: float, seconds: float) -> NodeReport:
        return report(at, gpus=(gpu(slowdown_microseconds=(("hw_thermal_slowdown", int(seconds * 1e6)),)),))

    assert after(hot(NOW, 5000))[0] == ()
    assert after(hot(NOW, 5000), hot(NOW + 30, 5003))[0] == ()
    (fault,) = after(hot(NOW, 5000), hot(NOW + 30, 5015))[0]
    assert (fault.kind, fault.action) == (FaultKind.SLOWED, Action.WATCH)
    assert "slowed down for 50% of the time (hw_thermal_slowdown)" in fault.reason


def test_six_losses_of_the_bus_in_seventeen_hours_that_look_clean_after_each_reboot_end_in_replace() -> None:
    seen: list[NodeReport] = []
    for boot in range(6):
        at = NOW + boot * 3.4 * HOUR
        seen += [
            report(at, boot_id=f"boot-{boot}"),
            report(at + HOUR, boot_id=f"boot-{boot}", xids=(xid(79, at=at + HOUR),), gpus=(), steps={"gpus": LOST}),
        ]
    clean = report(NOW + 17.5 * HOUR, boot_id="boot-6")
    faults, _ = after(*seen, clean)
    assert [(fault.kind, fault.action, fault.gpu) for fault in faults] == [(FaultKind.RETURNS, Action.REPLACE, UUID)]
    assert faults[0].reason == f"GPU {UUID} was at fault in 6 boots of the last week, so a reboot does not mend it"
    assert after(*seen[:4], report(NOW + 9 * HOUR, boot_id="boot-2"))[0] == ()


def test_a_gpu_that_comes_back_in_another_instance_is_known_there() -> None:
    seen = [
        report(NOW + boot * HOUR, boot_id=f"boot-{boot}", xids=(xid(79, at=NOW + boot * HOUR),)) for boot in range(3)
    ]
    _, memory = after(*seen)
    elsewhere = replace(report(NOW + 4 * HOUR, boot_id="boot-x"), instance_id="i-another")
    (fault,) = after(elsewhere, memory=memory)[0]
    assert (fault.kind, fault.action) == (FaultKind.RETURNS, Action.REPLACE)


def test_one_fault_that_every_report_of_a_boot_shows_is_one() -> None:
    _, memory = after(*half_minutes(20, xids=(xid(79),)))
    assert len(memory.gpus[UUID]) == 1


def test_what_is_older_than_a_week_is_forgotten() -> None:
    seen = [report(NOW + boot * HOUR, boot_id=f"boot-{boot}", xids=(xid(79),)) for boot in range(3)]
    assert after(*seen, report(NOW + LOOK_BACK_SECONDS + 3 * HOUR, boot_id="boot-9"))[0] == ()


def test_a_gpu_that_nobody_knows_by_uuid_is_remembered_with_its_node() -> None:
    _, memory = after(report(gpus=(), steps={"gpus": LOST}, xids=(xid(79),)))
    assert [each.gpu for each in memory.nodes[NODE].occurrences] == [PCI]
    assert memory.gpus == {}
