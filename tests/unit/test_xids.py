"""Kernel lines to errors of the driver, and what NVIDIA wants done about each."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.xids import Action, Xid, entry, pci_address, read_kernel_log, recovery_wanted, standing, wanted

SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "kernel-log"
"""Real captures, where somebody has them."""

CHANGED = "GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)"
CLEARED = "GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)"


def xid(code: int, text: str = "", *, pci: str = "0000:3b:00", switch: bool = False) -> Xid:
    return Xid(None, pci, code, text, switch)


@pytest.mark.parametrize("text", ["00000000:3B:00.0", "0000:3b:00", "3b:00.0", "PCI:0000:3b:00.0", "(3B:00)"])
def test_one_gpu_has_one_address_however_it_is_written(text: str) -> None:
    assert pci_address(text) == "0000:3b:00"


@pytest.mark.parametrize("text", ["", "no address", "12", "$pci", "invalid-bdf.0"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert pci_address(text) is None


def test_a_domain_is_kept() -> None:
    assert pci_address("00000001:00:00.0") == "0001:00:00"
    assert pci_address("00010000:03:00.0") == "10000:03:00"


@pytest.mark.parametrize(
    ("line", "at"),
    [
        ("1795461998.123456 node kernel: NVRM: Xid (PCI:0000:3b:00): 79, pid=1, GPU has fallen", 1795461998.123456),
        ("[ 1843.308145] NVRM: Xid (PCI:0000:3b:00.0): 79, pid=1, GPU has fallen", None),
        ("NVRM: Xid (PCI:0000:3b:00): 79, pid=1, GPU has fallen", None),
        ("NVRM: Xid (0000:3b:00): 79, pid=1, GPU has fallen", None),
        ("[Sat Oct 12 18:35:32 2024] NVRM: Xid (PCI:0000:3B:00): 79, pid=1, GPU has fallen", None),
    ],
)  # fmt: skip
def test_an_xid_is_read_in_every_form_that_drivers_and_logs_have(line: str, at: float | None) -> None:
    assert read_kernel_log([line]).xids == (Xid(at, "0000:3b:00", 79, "pid=1, GPU has fallen"),)


@pytest.mark.parametrize("rest", ["79", "79,", "79 "])
def test_an_xid_may_have_no_text(rest: str) -> None:
    assert read_kernel_log([f"NVRM: Xid (PCI:0000:3b:00): {rest}"]).xids == (xid(79),)


@pytest.mark.parametrize(
    "line", ["NVRM: Xid (PCI:0000:3b:00): abc, pid=1", "NVRM: Xid (PCI:$pci): 119", "an Xid of old"]
)
def test_what_only_looks_like_an_xid_is_none(line: str) -> None:
    assert read_kernel_log([line]).xids == ()


def test_an_xid_that_is_told_twice_is_one_and_stands_where_it_was_told_last() -> None:
    said = [f"1795461998.{number} n kernel: NVRM: Xid (PCI:0000:3b:00): {code}, x" for number, code in
            ((1, 31), (2, 95), (3, 31))]  # fmt: skip
    assert [(each.code, each.at) for each in read_kernel_log(said).xids] == [(95, 1795461998.2), (31, 1795461998.3)]


def test_a_gpu_may_fall_off_the_bus_without_an_xid_over_several_lines() -> None:
    found = read_kernel_log(
        [
            "[ 1843.308145] NVRM: The NVIDIA GPU 0000:b3:00.0",
            "               NVRM: (PCI ID: 10de:26b5) installed in this system has",
            "               NVRM: fallen off the bus and is not responding to commands.",
        ]
    )
    assert (found.xids, found.lost) == ((), ("0000:b3:00",))


@pytest.mark.parametrize("line", ["NVRM: GPU 0000:18:00.0: GPU has fallen off the bus.",
                                  "NVRM: GPU 18:00.0: GPU has fallen off the bus.",
                                  "NVRM: The NVIDIA GPU 0000:18:00.0 fallen off the bus and does"])  # fmt: skip
def test_a_gpu_may_fall_off_the_bus_in_one_line(line: str) -> None:
    assert read_kernel_log([line]).lost == ("0000:18:00",)


def test_an_xid_that_tells_of_the_bus_is_not_told_twice() -> None:
    assert read_kernel_log(["NVRM: Xid (PCI:0000:18:00): 79, GPU has fallen off the bus."]).lost == ()


def test_a_switchs_error_is_not_a_gpus() -> None:
    line = "nvidia-nvswitch0: SXid (PCI:0000:c3:00.0): 20034, Fatal, Link 30 LTSSM Fault Up"
    (found,) = read_kernel_log([line]).xids
    assert found == Xid(None, "0000:c3:00", 20034, "Fatal, Link 30 LTSSM Fault Up", switch=True)
    assert str(found).startswith("SXid 20034 on 0000:c3:00")


# What NVIDIA wants done


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (13, Action.RESTART_ENGINE),
        (31, Action.RESTART_ENGINE),
        (43, Action.IGNORE),
        (45, Action.IGNORE),
        (63, Action.WATCH),
        (74, Action.WATCH),
        (94, Action.RESTART_ENGINE),
        (46, Action.RESET_GPU),
        (48, Action.RESET_GPU),
        (64, Action.RESET_GPU),
        (95, Action.RESET_GPU),
        (109, Action.RESET_GPU),
        (119, Action.RESET_GPU),
        (140, Action.RESET_GPU),
        (79, Action.REBOOT),
        (151, Action.REBOOT),
        (999, Action.WATCH),
    ],
)
def test_an_xid_has_the_action_of_nvidias_catalogue(code: int, expected: Action) -> None:
    assert wanted(xid(code)) is expected


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("None", Action.IGNORE),
        ("GPU Reset Required", Action.RESET_GPU),
        ("Reset", Action.RESET_GPU),
        ("Drain and Reset", Action.RESET_GPU),
        ("Node Reboot Required", Action.REBOOT),
        ("Reboot", Action.REBOOT),
        ("Drain P2P", Action.WATCH),
        ("Recover IMEX Domain", Action.WATCH),
    ],
)
def test_the_drivers_recovery_action_is_understood_as_it_is_spelled(action: str, expected: Action) -> None:
    assert recovery_wanted(action) is expected
    assert wanted(xid(154, f"GPU recovery action changed from 0x0 (None) to 0x1 ({action})")) is expected


def test_a_154_that_was_cut_is_watched() -> None:
    assert wanted(xid(154, "(")) is Action.WATCH


@pytest.mark.parametrize(("text", "expected"), [("Fatal, Link 30", Action.RESET_GPU),
                                                ("Non-fatal, Link 30", Action.WATCH),
                                                ("Severity 1", Action.WATCH)])  # fmt: skip
def test_a_fatal_error_of_a_switch_wants_a_reset(text: str, expected: Action) -> None:
    assert wanted(xid(20034, text, switch=True)) is expected


def test_the_drivers_verdict_outranks_what_came_before_it() -> None:
    before, verdict = xid(79), xid(154, CHANGED)
    assert standing([before, verdict]) == (verdict,)
    assert standing([before, xid(154, CHANGED), xid(154, CLEARED)]) == (xid(154, CLEARED),)


def test_what_comes_after_the_drivers_verdict_stands_beside_it() -> None:
    assert standing([xid(154, CLEARED), xid(79)]) == (xid(154, CLEARED), xid(79))


def test_a_verdict_is_of_one_gpu_only() -> None:
    other = xid(95, pci="0000:af:00")
    assert set(standing([other, xid(79), xid(154, CLEARED)])) == {other, xid(154, CLEARED)}


# Anything at all


@given(st.lists(st.text() | st.from_regex(r"NVRM: S?Xid \((PCI:)?[0-9a-f:.]{0,14}\): [0-9]{0,9}.{0,30}"), max_size=30))
def test_no_line_of_a_kernel_is_too_strange(lines: list[str]) -> None:
    found = read_kernel_log(lines)
    assert len(standing(found.xids)) <= len(found.xids) <= len(lines)
    assert all(wanted(each) in Action for each in found.xids)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the captures are not here")
def test_real_kernel_logs_are_read() -> None:
    logs = {path.name: read_kernel_log(path.read_text().splitlines()) for path in sorted(SAMPLES.iterdir())}
    assert {name: (len(log.xids), len(log.lost)) for name, log in logs.items() if len(log.xids) < 10} == {
        "fallen-off-bus-no-xid__nvsentinel-155.txt": (0, 1),
        "xid45-then-D-state__gpud-117.txt": (2, 0),
        "xid63-line.txt": (1, 0),
    }
    for name, log in logs.items():
        told = [line for line in (SAMPLES / name).read_text().splitlines() if "Xid (" in line]
        assert len(log.xids) >= 0.6 * len(set(told)), name  # some were made up by test writers to be no Xid


def test_every_xid_in_use_says_what_it_means_for_inference() -> None:
    found = {code: entry(code) for code in range(1, 173)}
    assert sum(each is not None for each in found.values()) == 109
    assert all(each.description and each.meaning and each.inference for each in found.values() if each)


def test_an_xid_names_its_process() -> None:
    assert xid(94, "pid=2024380, name=vllm, Contained error").pid == 2024380
    assert xid(79, "pid='<unknown>', name=<unknown>, GPU has fallen off the bus.").pid is None


def test_what_stands_before_a_reset_of_ours_is_over_for_that_gpu() -> None:
    found = read_kernel_log(
        [
            "[ 10.0] NVRM: Xid (PCI:0000:31:00): 95, Uncontained",
            "[ 10.1] NVRM: Xid (PCI:0000:32:00): 95, Uncontained",
            "[ 20.0] standfast: GPU PCI:00000000:31:00.0 was reset: no Xid before this counts",
            "[ 30.0] NVRM: Xid (PCI:0000:31:00): 31, MMU Fault",
        ]
    )
    assert [(xid.pci, xid.code) for xid in found.xids] == [("0000:32:00", 95), ("0000:31:00", 31)]
