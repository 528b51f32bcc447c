"""ConfigTable: what is in force and the version that was last synced, under one compare-and-set."""

from __future__ import annotations

from typing import Any

import pytest

from standfast.aws.cluster_table import ClusterTable
from standfast.aws.config_table import ConfigTable
from standfast.aws.region_table import RegionTable
from standfast.config_adoption import Standing, Synced
from standfast.config_sync import Turn
from standfast.config_versions import ConfigVersion
from standfast.errors import ConflictError, CorruptStateError
from tests.builders import NOW, SCOPE, fleet

LATER = fleet(failover={"drain_seconds": 5})
SYNCED = Synced(ConfigVersion(3, "a" * 64), 4, fleet().digest(), "somebody", NOW)


@pytest.fixture
def table(dynamodb: Any, state_table: str) -> ConfigTable:
    return ConfigTable(state_table, SCOPE, dynamodb)


def test_a_region_without_a_configuration_stands_at_nothing(table: ConfigTable) -> None:
    assert table.standing() == Standing()


def test_what_is_in_force_gets_its_revision_from_the_table(table: ConfigTable, dynamodb: Any, state_table: str) -> None:
    assert table.write_standing(fleet(), seen_revision=0, synced=None).revision == 1
    written = table.write_standing(LATER, seen_revision=1, synced=SYNCED)
    assert table.standing() == written == Standing(2, LATER.canonical(), LATER.digest(), SYNCED)
    seen_by_others = ClusterTable(state_table, SCOPE, dynamodb).read_config()
    assert (seen_by_others.version, seen_by_others.config) == (2, LATER)


@pytest.mark.parametrize("seen", [0, 2, 7])
def test_a_configuration_that_somebody_else_wrote_is_not_replaced(table: ConfigTable, seen: int) -> None:
    table.write_standing(fleet(), seen_revision=0, synced=SYNCED)
    with pytest.raises(ConflictError, match=f"no longer at revision {seen}"):
        table.write_standing(LATER, seen_revision=seen, synced=None)
    assert table.standing() == Standing(1, fleet().canonical(), fleet().digest(), SYNCED)


def put(dynamodb: Any, state_table: str, attribute: str, value: dict[str, Any] | None) -> None:
    """As a person does it at the console."""
    how = {"Value": value, "Action": "PUT"} if value else {"Action": "DELETE"}
    key = {"pk": {"S": SCOPE}, "sk": {"S": "CONFIG"}}
    dynamodb.update_item(TableName=state_table, Key=key, AttributeUpdates={attribute: how})


def test_an_item_of_an_earlier_release_has_no_version(table: ConfigTable, dynamodb: Any, state_table: str) -> None:
    table.write_standing(fleet(), seen_revision=0, synced=SYNCED)
    put(dynamodb, state_table, "synced", None)
    assert table.standing().synced is None


def test_an_edited_text_is_read_as_it_is_so_that_it_can_be_told_and_replaced(
    table: ConfigTable, dynamodb: Any, state_table: str
) -> None:
    table.write_standing(fleet(), seen_revision=0, synced=SYNCED)
    put(dynamodb, state_table, "document", {"S": "no JSON"})
    found = table.standing()
    assert (found.text, found.sha256, found.document()) == ("no JSON", fleet().digest(), None)
    with pytest.raises(CorruptStateError):
        ClusterTable(state_table, SCOPE, dynamodb).read_config()


def test_an_item_that_lacks_a_field_is_corrupt(table: ConfigTable, dynamodb: Any, state_table: str) -> None:
    table.write_standing(fleet(), seen_revision=0, synced=SYNCED)
    put(dynamodb, state_table, "document", None)
    with pytest.raises(CorruptStateError, match="CONFIG"):
        table.standing()


def test_a_turn_is_taken_once(dynamodb: Any, state_table: str) -> None:
    table = RegionTable(state_table, dynamodb)
    assert table.read_turn() == Turn()
    first = Turn(1, 1, "a" * 64, "execution-1")
    table.take_turn(first, seen=Turn())
    with pytest.raises(ConflictError, match="another sync"):
        table.take_turn(Turn(1, 1, "b" * 64, "execution-2"), seen=Turn())
    second = Turn(7, 1, "a" * 64, "execution-2")
    table.take_turn(second, seen=first)
    with pytest.raises(ConflictError):
        table.take_turn(Turn(8, 1, "a" * 64, "execution-3"), seen=first)
    assert table.read_turn() == second
