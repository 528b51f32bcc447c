"""The tables of nvidia-smi: None is what it does not say, and an error is never zero."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.nvidia_smi import Gpu, GpuProcess, read_apps, read_listing, read_table

SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "nvidia-smi"
"""Real captures, where somebody has them."""
UUID = "GPU-6ce25ffe-2d0c-4f0f-a4a2-3a5f9cbdc4c1"

GOOD = {
    "index": "0",
    "uuid": UUID,
    "name": "NVIDIA H200",
    "pci.bus_id": "00000000:83:00.0",
    "driver_version": "590.48.01",
    "temperature.gpu": "52",
    "utilization.gpu [%]": "100 %",
    "memory.used [MiB]": "32362 MiB",
    "memory.total [MiB]": "143771 MiB",
    "power.draw [W]": "627.40 W",
    "ecc.errors.uncorrected.volatile.total": "0",
    "ecc.errors.uncorrected.aggregate.total": "2",
    "retired_pages.single_bit_ecc.count": "[N/A]",
    "retired_pages.double_bit.count": "[N/A]",
    "retired_pages.pending": "[N/A]",
    "remapped_rows.correctable": "1",
    "remapped_rows.uncorrectable": "3",
    "remapped_rows.pending": "Yes",
    "remapped_rows.failure": "No",
    "clocks_event_reasons.hw_slowdown": "Not Active",
    "clocks_event_reasons.sw_power_cap": "Active",
    "clocks_event_reasons_counters.sw_power_cap [us]": "120416 us",
    "clocks_event_reasons_counters.hw_thermal_slowdown [us]": "0 us",
    "mig.mode.current": "Disabled",
    "gpu_recovery_action": "None",
    "pstate": "P0",
    "pcie.link.gen.current": "5",
    "pcie.link.gen.max": "5",
    "pcie.link.width.current": "8",
    "pcie.link.width.max": "16",
    "fabric.state": "Completed",
    "fabric.status": "Success",
    "ecc.mode.current": "Enabled",
}
APPS = "gpu_uuid, pid, process_name, used_gpu_memory [MiB]"
COUNTED = {"hw_thermal_slowdown", "hw_power_brake_slowdown", "sw_thermal_slowdown", "sw_power_cap", "sync_boost"}
"""The reasons that the driver counts: there is no counter of hw_slowdown."""


def table(*rows: dict[str, str]) -> list[str]:
    return [", ".join(rows[0]), *(", ".join(row.values()) for row in rows)]


def read(**changes: str) -> Gpu:
    """The one GPU of a table in which some cells are otherwise; `_` for a dot in their names."""
    row = dict(GOOD)
    for name, value in changes.items():
        row[next(known for known in row if known.partition(" [")[0].replace(".", "_") == name)] = value
    (gpu,) = read_table(table(row)).gpus
    return gpu


def test_a_row_is_read_by_the_names_of_its_columns() -> None:
    found = read_table(table(GOOD))
    assert found.gpus == (
        Gpu(
            index=0, uuid=UUID, name="NVIDIA H200", pci="0000:83:00", temperature=52.0, power=627.4, utilisation=100.0,
            memory_used=32362.0, memory_total=143771.0, ecc_volatile=0, ecc_aggregate=2, retired_pages=None,
            retirement_pending=None, remapped_rows=4, remapping_pending=True, remapping_failed=False,
            slowdowns=("sw_power_cap",), recovery_action="None", mig=False, pstate="P0", pcie_gen=5, pcie_gen_max=5,
            pcie_width=8, pcie_width_max=16, fabric_state="Completed", fabric_status="Success", ecc_mode=True,
            slowdown_microseconds=(("hw_thermal_slowdown", 0), ("sw_power_cap", 120416)),
        ),
    )  # fmt: skip
    assert (found.driver, found.messages, found.lost) == ("590.48.01", (), ())


def test_the_order_of_the_columns_and_their_units_do_not_matter() -> None:
    turned = {name.partition(" [")[0]: value.split()[0] for name, value in reversed(GOOD.items()) if name != "name"}
    (gpu,) = read_table(table({**turned, "name": "NVIDIA H200", "clocks_event_reasons.hw_slowdown": "Not Active"})).gpus
    assert gpu == read()


@pytest.mark.parametrize("said", ["[N/A]", "N/A", "[Not Supported]", "[Insufficient Permissions]", "",
                                  "[Requested functionality has been deprecated]"])  # fmt: skip
def test_what_a_gpu_does_not_have_is_none_and_no_error(said: str) -> None:
    gpu = read(
        utilization_gpu=said, ecc_errors_uncorrected_volatile_total=said, gpu_recovery_action=said,
        pcie_link_width_current=said, fabric_state=said, ecc_mode_current=said,
        clocks_event_reasons_counters_sw_power_cap=said,
    )  # fmt: skip
    assert (gpu.utilisation, gpu.ecc_volatile, gpu.recovery_action) == (None, None, None)
    assert (gpu.pcie_width, gpu.fabric_state, gpu.ecc_mode) == (None, None, None)
    assert gpu.slowdown_microseconds == (("hw_thermal_slowdown", 0),)
    assert (gpu.errors, gpu.lost) == ((), False)


@pytest.mark.parametrize("said", ["[Unknown Error]", "ERR!", "[Timeout]", "nan", "inf", "many"])
def test_an_error_is_none_and_is_said_and_is_never_zero(said: str) -> None:
    gpu = read(ecc_errors_uncorrected_volatile_total=said)
    assert gpu.ecc_volatile is None
    assert gpu.errors == (f"ecc.errors.uncorrected.volatile.total: {said.strip('[]')}",)
    assert not gpu.lost


def test_an_error_in_a_counter_of_slowdowns_is_not_zero_microseconds() -> None:
    gpu = read(
        clocks_event_reasons_counters_sw_power_cap="[Unknown Error]",
        clocks_event_reasons_counters_hw_thermal_slowdown="ERR!",
    )
    assert gpu.slowdown_microseconds is None
    assert len(gpu.errors) == 2


@pytest.mark.parametrize("said", ["[GPU is lost]", "[GPU requires reset]"])
def test_a_gpu_that_says_so_is_lost(said: str) -> None:
    gpu = read(temperature_gpu=said)
    assert gpu.lost
    assert gpu.temperature is None


@pytest.mark.parametrize("field", ["memory_total", "memory_used", "uuid", "name"])
def test_a_gpu_that_cannot_say_the_least_is_lost(field: str) -> None:
    assert read(**{field: "[Unknown Error]"}).lost


def test_an_older_driver_names_the_slowdowns_otherwise() -> None:
    row = {name.replace("clocks_event", "clocks_throttle"): value for name, value in GOOD.items()}
    (gpu,) = read_table(table(row)).gpus
    assert gpu.slowdowns == ("sw_power_cap",)


def test_slowdowns_that_are_not_said_are_not_none_active() -> None:
    row = {name: value for name, value in GOOD.items() if not name.startswith("clocks")}
    (gpu,) = read_table(table(row)).gpus
    assert gpu.slowdowns is None


def test_what_stands_beside_the_table_is_kept() -> None:
    found = read_table(["WARNING: infoROM is corrupted at gpu 0000:83:00.0", *table(GOOD), "", "half, a, row"])
    assert len(found.gpus) == 1
    assert found.messages == ("WARNING: infoROM is corrupted at gpu 0000:83:00.0", "half, a, row")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("Unable to determine the device handle for GPU0000:CB:00.0: Unknown Error", "0000:cb:00"),
        ("Unable to determine the device handle for GPU 0: Unknown Error", "GPU 0"),
        ("error getting device handle for index '6': Unknown Error", "GPU 6"),
        ("Unable to determine the device handle for GPU1: 0000:34:00.0: Unknown Error", "0000:34:00"),
        ("Unable to determine the device handle for GPU 0000:01:00.0: GPU is lost.  Reboot the system", "0000:01:00"),
    ],
)
def test_a_gpu_without_a_handle_is_lost_by_name(line: str, name: str) -> None:
    found = read_table([line])
    assert (found.gpus, found.lost) == ((), (name,))


def test_the_listing_has_the_gpus_and_not_their_divisions() -> None:
    lines = [
        f"GPU 0: NVIDIA H100 80GB HBM3 (UUID: {UUID})",
        "  MIG 1g.10gb     Device  0: (UUID: MIG-1f2c1a80-5d0e-5a3c-9d3e-4d7e4f0b6a11)",
        "GPU 12: An odd (name) (UUID: GPU-1)",
        "Unable to determine the device handle for gpu 0000:34:00.0: GPU is lost.",
        "No devices found.",
    ]
    assert read_listing(lines) == (UUID, "GPU-1")


def test_who_holds_memory_is_read_whatever_the_name_is() -> None:
    lines = [
        APPS,
        f"{UUID}, 4711, VLLM::EngineCore, 20730 MiB",
        f"{UUID}, 12, a, b, and c, 6 MiB",
        f"{UUID}, 13, {'x' * 90}, [N/A]",
        f"{UUID}, [Insufficient Permissions], [Insufficient Permissions], [Insufficient Permissions]",
        "half, a, row",
        "",
    ]
    assert read_apps(lines) == (
        GpuProcess(UUID, 4711, "VLLM::EngineCore", 20730.0),
        GpuProcess(UUID, 12, "a, b, and c", 6.0),
        GpuProcess(UUID, 13, "x" * 40, None),
        GpuProcess(UUID, None, "[Insufficient Permissions]", None),
    )


def test_a_listing_of_no_process_is_told_from_none() -> None:
    assert read_apps([APPS]) == ()
    assert read_apps([]) is None
    assert read_apps(['Field "gpu_uuid" is not a valid field to query.']) is None


@given(st.lists(st.text(max_size=60) | st.from_regex(r"GPU-1, [0-9a-e.]{1,9}, .{0,20}, [0-9]{1,9} MiB"), max_size=12))
def test_no_listing_is_too_strange(lines: list[str]) -> None:
    assert all(uuid.startswith("GPU-") for uuid in read_listing(lines))
    assert len(read_apps([APPS, *lines]) or ()) <= len(lines)


@given(
    st.lists(st.text(max_size=60), max_size=12), st.lists(st.text(alphabet="0123456789[],ERR!/NA %.eE-", max_size=20))
)
def test_no_table_is_too_strange(lines: list[str], cells: list[str]) -> None:
    row = dict(zip(GOOD, [*cells, *GOOD.values()], strict=False))
    found = read_table([*lines, *table(row), *lines])
    for gpu in found.gpus:
        assert gpu.ecc_volatile is None or isinstance(gpu.ecc_volatile, int)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the captures are not here")
@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*-query-gpu.csv")), ids=lambda path: path.stem)
def test_a_real_table_of_every_field_is_read_without_an_error(path: Path) -> None:
    found = read_table(path.read_text().splitlines())
    (gpu,) = found.gpus
    assert gpu.memory_total is not None
    assert gpu.memory_total > 16_000
    assert (gpu.index, gpu.errors, gpu.lost, gpu.recovery_action) == (0, (), False, "None")
    assert gpu.mig is {"nvidia-h100-mig": True, "nvidia-geforce-rtx-4080-super": None}.get(
        path.name.split("__")[0], False
    )
    assert (gpu.utilisation is None) == bool(gpu.mig)
    assert gpu.pstate in ("P0", "P2", "P8")
    assert (gpu.pcie_width, gpu.pcie_width_max) == (16, 16)
    assert dict(gpu.slowdown_microseconds or ()).keys() == COUNTED
    fabric = (None, None) if "geforce" in path.name else ("Completed", "Success")
    assert (gpu.fabric_state, gpu.fabric_status) == fabric
    assert gpu.ecc_mode is (None if "geforce" in path.name else True)
    assert str(found.driver) in path.name
    assert (found.messages, found.lost) == ((), ())


def fields(tier: str) -> set[str]:
    """What the document asks nvidia-smi for in one of its tiers: bash itself puts the list together."""
    text = (Path(__file__).parents[2] / "documents" / "node_report.yaml").read_text()
    names = "basic|usual|slow|counted|older|recent|newest"
    lines = [line.strip() for line in text.splitlines() if re.match(rf"\s*({names})=", line)]
    script = "\n".join([*lines, f'echo "${tier}"'])
    ran = subprocess.run(["/bin/bash", "-euc", script], capture_output=True, text=True, check=True)
    return set(ran.stdout.strip().split(","))


def test_no_tier_asks_for_what_identifies_a_board_and_every_column_is_asked_for() -> None:
    newest = fields("newest")
    assert {name.partition(" [")[0] for name in GOOD} <= newest
    assert fields("basic") < fields("usual") < fields("older")
    assert fields("usual") < fields("recent") < newest
    assert not any("serial" in name for name in newest)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the captures are not here")
@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*help-query-gpu.txt")), ids=lambda path: path.stem)
def test_every_field_that_the_document_asks_for_is_one_that_drivers_know(path: Path) -> None:
    known = set(re.findall(r'"([\w.]+)"', path.read_text()))
    for tier in ("newest", "recent", "older", "basic"):
        assert fields(tier) <= known, tier
