"""The smaller steps of the node report: what each says of a good node, of a bad one, and of nothing at all."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.node_facts import (
    NOT_INSTALLED,
    CudaStart,
    PciDevices,
    StuckProcess,
    read_cuda,
    read_dcgm,
    read_driver,
    read_fabric_manager,
    read_pci,
    read_stuck,
)

LSPCI = """\
0000:10:00.0 0302: 10de:2330 (rev a1)
0000:20:00.0 0302: 10de:2330 (rev ff)
0000:21:00.0 0300: 10de:2702
0000:21:00.1 0403: 10de:22bb (rev a1)
0000:05:00.0 0680: 10de:22a3 (rev a1)
0000:06:00.0 0680: 10de:22a3 (rev a1)
10000:3B:00.0 0302: 10de:2330 (rev a1)
"""


def dcgm(value: str = "Healthy", **systems: str) -> list[str]:
    """What `dcgmi health -c -j` prints, with an unhealthy GPU 1 where systems are given."""
    body: dict[str, object] = {"Overall Health": {"value": value}}
    if systems:
        errors = {name.replace("_", " "): {"value": found} for name, found in systems.items()}
        body["GPU"] = {"children": {"1": {"children": {"Errors": {"children": errors}}, "value": value}}}
    return json.dumps({"body": body, "header": ["Health Monitor Report"]}, indent=4).splitlines()


# The PCI bus


def test_gpus_and_switches_are_told_from_what_else_is_on_the_bus() -> None:
    assert read_pci(LSPCI.splitlines()) == PciDevices(
        gpus=("0000:10:00", "0000:20:00", "0000:21:00", "10000:3b:00"), switches=2, silent=("0000:20:00",)
    )


def test_a_bus_without_a_gpu_is_an_answer_and_no_answer_is_none() -> None:
    assert read_pci([]) == PciDevices((), 0, ())
    assert PciDevices().gpus is None


# The fabric manager


@pytest.mark.parametrize(
    ("lines", "state"),
    [
        (["LoadState=loaded", "ActiveState=active"], "active"),
        (["ActiveState=failed", "LoadState=loaded"], "failed"),
        (["LoadState=not-found", "ActiveState=inactive"], NOT_INSTALLED),
        (["Failed to connect to bus"], None),
        ([], None),
    ],
)
def test_the_fabric_manager_is_what_systemd_says(lines: list[str], state: str | None) -> None:
    assert read_fabric_manager(lines) == state


# Processes in state D


def test_a_stuck_process_has_a_name_with_spaces_and_a_place() -> None:
    found = read_stuck(["D  4711 os_acquire_rwlock_write          VLLM worker 0", "D 12 -     nv_queue"])
    assert found == (
        StuckProcess(4711, "VLLM worker 0", "os_acquire_rwlock_write"),
        StuckProcess(12, "nv_queue", "-"),
    )


@pytest.mark.parametrize("line", ["S 1 - init", "D x - y", "D 1 -", "error: /proc must be mounted", ""])
def test_what_is_no_process_in_state_d_is_passed_over(line: str) -> None:
    assert read_stuck([line]) == ()


# The driver


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.256.02  Thu May  2 14:37:44 UTC 2024", "470.256.02"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (x@y)", "580.95.05"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  595.80", "595.80"),
        ("head: cannot open '/proc/driver/nvidia/version' for reading: 570.158.01 ", None),
        ("", None),
    ],
)
def test_the_loaded_driver_has_a_version(line: str, version: str | None) -> None:
    assert read_driver(line) == version


# CUDA


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("0 8", CudaStart(0, 8)),
        ("0 0", CudaStart(0, 0)),
        ("802 ", CudaStart(802)),
        ("999", CudaStart(999)),
        ("0", None),
        ("999 8", None),
        ("-1", None),
        ("Segmentation fault", None),
        ("", None),
    ],
)
def test_cuda_says_a_status_and_with_success_a_number(line: str, found: CudaStart | None) -> None:
    assert read_cuda(line) == found


# DCGM


def test_what_dcgm_finds_unhealthy_is_named() -> None:
    assert read_dcgm(dcgm()) == ()
    assert read_dcgm(dcgm("Failure", Memory_system="Failure", Thermal_system="Warning", Driver="Healthy")) == (
        "GPU 1, Memory system: Failure",
        "GPU 1, Thermal system: Warning",
    )
    assert read_dcgm(dcgm("Warning")) == ("overall health: Warning",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Error: Health watches not enabled. Please enable watches.",
        "null",
        "[]",
        '{"body": {}}',
        '{"body": {"Overall Health": {"value": 7}}}',
        '{"body": [1, {"Overall Health": {"value": "Healthy"}}]}',
        "[" * 50_000,
        '{"body": ' * 20_000,
        "9" * 5_000,
    ],
)
def test_what_is_no_answer_of_dcgm_is_none(text: str) -> None:
    assert read_dcgm([text]) is None


@pytest.mark.parametrize("broken", [7, None, [], "x", {"1": 7}, {"1": {"children": {"Errors": [7]}}}])
def test_a_part_of_dcgms_answer_that_is_not_what_it_should_be_is_passed_over(broken: object) -> None:
    answer = {"body": {"Overall Health": {"value": "Failure"}, "GPU": {"children": broken}}}
    assert read_dcgm([json.dumps(answer)]) == ("overall health: Failure",)


# Anything at all

LINE = st.text(max_size=60) | st.sampled_from(
    [*LSPCI.splitlines(), *dcgm("Failure", Memory_system="Failure"), "LoadState=loaded", "D 1 - x", "0 8"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["body", "Overall Health", "value", "children", "GPU", "1", "Errors"]), inner, max_size=4
        )
    ),
    max_leaves=30,
)


@given(st.lists(LINE, max_size=20))
def test_no_text_is_too_strange(lines: list[str]) -> None:
    read_pci(lines)
    read_fabric_manager(lines)
    read_stuck(lines)
    read_dcgm(lines)
    for line in lines:
        read_driver(line)
        read_cuda(line)


@given(JSON)
def test_no_json_is_too_strange_for_dcgms_answer(answer: object) -> None:
    found = read_dcgm([json.dumps(answer)])
    assert found is None or all(isinstance(said, str) for said in found)
