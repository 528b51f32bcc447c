"""The table of nvidia-smi: None is what it does not say, and an error is never zero."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.nvidia_smi import Gpu, read_table

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
    "mig.mode.current": "Disabled",
    "gpu_recovery_action": "None",
}


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
            slowdowns=("sw_power_cap",), recovery_action="None", mig=False,
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
    gpu = read(utilization_gpu=said, ecc_errors_uncorrected_volatile_total=said, gpu_recovery_action=said)
    assert (gpu.utilisation, gpu.ecc_volatile, gpu.recovery_action) == (None, None, None)
    assert (gpu.errors, gpu.lost) == ((), False)


@pytest.mark.parametrize("said", ["[Unknown Error]", "ERR!", "[Timeout]", "nan", "inf", "many"])
def test_an_error_is_none_and_is_said_and_is_never_zero(said: str) -> None:
    gpu = read(ecc_errors_uncorrected_volatile_total=said)
    assert gpu.ecc_volatile is None
    assert gpu.errors == (f"ecc.errors.uncorrected.volatile.total: {said.strip('[]')}",)
    assert not gpu.lost


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
        ("Unable to determine the device handle for GPU1: 0000:34:00.0: Unknown Error", "0000:34:00"),
        ("Unable to determine the device handle for GPU 0000:01:00.0: GPU is lost.  Reboot the system", "0000:01:00"),
    ],
)
def test_a_gpu_without_a_handle_is_lost_by_name(line: str, name: str) -> None:
    found = read_table([line])
    assert (found.gpus, found.lost) == ((), (name,))


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
    assert str(found.driver) in path.name
    assert (found.messages, found.lost) == ((), ())


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the captures are not here")
def test_every_field_that_the_document_asks_a_new_driver_for_is_one_that_drivers_know() -> None:
    document = (Path(__file__).parents[2] / "documents" / "node_report.yaml").read_text()
    names = {name.partition(" [")[0] for name in GOOD}
    for path in SAMPLES.glob("nvidia-h*help-query-gpu.txt"):
        known = path.read_text()
        for name in names:
            assert f'"{name}"' in known, (path.name, name)
            assert name.rpartition(".")[2] in document
