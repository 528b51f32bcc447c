"""FaultTable on DynamoDB: what is remembered is read back, and an older report never replaces a newer one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from standfast.aws.fault_table import KEPT_SECONDS, FaultTable
from standfast.errors import CorruptStateError
from standfast.fault_memory import FaultMemory, NodeMemory, Occurrence
from tests.builders import NOW, SCOPE

FELL = Occurrence(NOW - 60, "boot-1", "GPU-1", "xid")
NODE = NodeMemory(
    instance_id="i-1",
    taken_at=NOW,
    boot_id="boot-1",
    uuids={"0000:31:00": "GPU-1"},
    standing={"xid GPU-1": 2},
    slowdowns={"GPU-1": {"hw_thermal_slowdown": 12}},
    occurrences=(replace(FELL, gpu="0000:31:00"),),
)


@pytest.fixture
def table(dynamodb: Any, state_table: str) -> FaultTable:
    return FaultTable(state_table, SCOPE, dynamodb)


def test_nothing_is_remembered_of_a_new_region(table: FaultTable) -> None:
    assert table.read_faults() == FaultMemory()


def test_what_was_written_is_read(table: FaultTable) -> None:
    table.write_faults([NODE], {"GPU-1": (FELL,)}, now=NOW)
    assert table.read_faults() == FaultMemory({"i-1": NODE}, {"GPU-1": (FELL,)})


def test_an_older_report_does_not_replace_a_newer_one(table: FaultTable) -> None:
    table.write_faults([NODE], {}, now=NOW)
    table.write_faults([replace(NODE, taken_at=NOW - 30, boot_id="boot-0")], {}, now=NOW)
    assert table.read_faults().node("i-1") == NODE


def test_what_is_remembered_expires(table: FaultTable, dynamodb: Any, state_table: str) -> None:
    table.write_faults([NODE], {"GPU-1": (FELL,)}, now=NOW)
    items = dynamodb.scan(TableName=state_table)["Items"]
    assert {item["expires_at"]["N"] for item in items} == {f"{NOW + KEPT_SECONDS:.0f}"}


def test_an_item_that_was_changed_by_hand_is_refused_by_name(
    table: FaultTable, dynamodb: Any, state_table: str
) -> None:
    table.write_faults([NODE], {}, now=NOW)
    (item,) = dynamodb.scan(TableName=state_table)["Items"]
    dynamodb.put_item(TableName=state_table, Item={**item, "standing": {"S": "often"}})
    with pytest.raises(CorruptStateError, match="NODE#i-1"):
        table.read_faults()
