"""IncidentTable on DynamoDB: compare-and-set while it is open, one record once it is closed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from standfast.aws.incident_table import IncidentTable
from standfast.errors import ConflictError, CorruptStateError
from standfast.incidents import Act, Incident, Kind
from tests.builders import ACTIVE, NOW, SCOPE, STANDBY

NEW = Incident("i-1", SCOPE, ACTIVE, "0 of 4 replicas pass", NOW - 30, NOW - 28.5, affects_users=True)


@pytest.fixture
def table(dynamodb: Any, state_table: str) -> IncidentTable:
    return IncidentTable(state_table, SCOPE, dynamodb)


def test_an_open_incident_is_read_back_as_it_was_written(table: IncidentTable) -> None:
    assert table.open_incidents() == []
    whole = replace(NEW.with_act(NOW, "moved"), decided_at=NOW - 27, moved_at=NOW - 26.25, well_since=NOW)
    table.write_incident(whole)
    assert table.open_incidents() == [replace(whole, version=1)]


def test_an_incident_says_what_it_is_about_and_one_of_an_earlier_release_is_a_failure(
    table: IncidentTable, dynamodb: Any, state_table: str
) -> None:
    table.write_incident(replace(NEW, kind=Kind.REDUNDANCY))
    assert [each.kind for each in table.open_incidents()] == [Kind.REDUNDANCY]
    dynamodb.update_item(
        TableName=state_table,
        Key={"pk": {"S": f"{SCOPE}#OPEN"}, "sk": {"S": "i-1"}},
        UpdateExpression="REMOVE kind",
    )
    assert [each.kind for each in table.open_incidents()] == [Kind.FAILURE]


def test_who_wrote_later_must_have_read_what_was_written_before(table: IncidentTable) -> None:
    table.write_incident(NEW)
    for stale in (NEW, replace(NEW, version=2), replace(NEW, version=2, closed_at=NOW)):
        with pytest.raises(ConflictError, match="incident i-1 is no longer at version"):
            table.write_incident(stale)
    table.write_incident(replace(NEW, version=1, cause="another"))
    assert [each.cause for each in table.open_incidents()] == ["another"]


def test_a_closed_incident_is_closed_once_however_often_it_is_written(table: IncidentTable) -> None:
    table.write_incident(NEW)
    closed = replace(NEW, version=1, well_since=NOW, closed_at=NOW + 60)
    table.write_incident(closed)
    with pytest.raises(ConflictError):
        table.write_incident(closed)
    assert table.open_incidents() == []
    assert table.closed_incidents(10) == [replace(closed, version=2)]


def test_an_incident_is_amended_where_it_is_and_never_opened_by_that(table: IncidentTable) -> None:
    with pytest.raises(ConflictError, match="incident i-1 is no longer at version 0"):
        table.amend_incident(NEW)
    table.write_incident(NEW)
    table.amend_incident(replace(NEW, version=1, actions=(Act(NOW, "reboot on i-0", "under way"),)))
    closed = replace(table.open_incidents()[0], well_since=NOW, closed_at=NOW + 60)
    table.write_incident(closed)
    with pytest.raises(ConflictError):
        table.amend_incident(replace(closed, closed_at=None))  # it was open when it was read
    mended = replace(closed, version=3, mended_at=NOW + 300, actions=(Act(NOW, "reboot on i-0", "it helped"),))
    table.amend_incident(mended)
    assert (table.open_incidents(), table.closed_incidents(10)) == ([], [replace(mended, version=4)])
    with pytest.raises(ConflictError):
        table.amend_incident(mended)


def test_an_incident_of_an_earlier_release_is_read(table: IncidentTable, dynamodb: Any, state_table: str) -> None:
    table.write_incident(NEW.with_act(NOW, "moved"))
    key = {"pk": {"S": f"{SCOPE}#OPEN"}, "sk": {"S": "i-1"}}
    expression = "REMOVE mended_at, actions[0].outcome"
    dynamodb.update_item(TableName=state_table, Key=key, UpdateExpression=expression)
    assert table.open_incidents() == [replace(NEW.with_act(NOW, "moved"), version=1)]


def test_the_latest_closed_incidents_come_first(table: IncidentTable) -> None:
    for number in range(4):
        incident = replace(NEW, incident_id=f"i-{number}", cluster_id=STANDBY, opened_at=NOW + 3600 * number)
        table.write_incident(incident)
        table.write_incident(replace(incident, version=1, closed_at=NOW + 3600 * number + 60))
    assert [incident.incident_id for incident in table.closed_incidents(2)] == ["i-3", "i-2"]


def test_an_incident_that_cannot_be_understood_is_refused_by_name(
    table: IncidentTable, dynamodb: Any, state_table: str
) -> None:
    table.write_incident(NEW)
    dynamodb.update_item(
        TableName=state_table,
        Key={"pk": {"S": f"{SCOPE}#OPEN"}, "sk": {"S": "i-1"}},
        UpdateExpression="REMOVE detected_at",
    )
    with pytest.raises(CorruptStateError, match="incident i-1"):
        table.open_incidents()


def test_incidents_are_found_by_when_they_were_closed_however_long_ago_they_were_opened(table: IncidentTable) -> None:
    for name, opened, closed in (("long", 50_000, 100), ("old", 60_000, 59_000), ("short", 90, 20)):
        begun = replace(NEW, incident_id=name, opened_at=NOW - opened)
        table.write_incident(begun)
        table.write_incident(replace(begun, version=1, closed_at=NOW - closed))
    assert [each.incident_id for each in table.closed_since(NOW - 100)] == ["long", "short"]
