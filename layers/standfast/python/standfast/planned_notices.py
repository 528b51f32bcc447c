"""What AWS announces of our instances, as EventBridge delivers it.

| announcement | its shape is in |
|---|---|
| AWS Health, service EC2, category scheduledChange: retirement, stop, reboot, maintenance | "AWS Health events Amazon EventBridge schema" (AWS Health user guide) |
| Capacity Block Reservation Expiration Warning, 40 minutes before its end | "Monitor Capacity Blocks using EventBridge" (EC2 user guide) |

Times are seconds since the epoch.
"""  # noqa: E501 - a row of a table is one line

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from standfast.errors import InvalidInputError
from standfast.fleet import parse_input

if TYPE_CHECKING:
    from collections.abc import Mapping

BLOCK_CLEARING_SECONDS = 1800.0
"""EC2 begins to terminate the instances of a Capacity Block so long before its end (same page)."""
OVER = "closed"
"""The status of a Health event that took place, or was called off."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One announcement. `event_id` is the same for each delivery of it.

    `instance_ids` are those that it names; where it names a Capacity Block instead, `reservation_id` says which.
    `deadline`: from then on they may be gone. `over`: AWS says that nothing will happen any more.
    """

    event_id: str
    what: str
    deadline: float
    region: str = ""
    instance_ids: tuple[str, ...] = ()
    reservation_id: str = ""
    over: bool = False


def _moment(value: object) -> object:
    """AWS Health writes `Sat, 05 Jun 2027 15:10:09 GMT`, EC2 ISO 8601."""
    return parsedate_to_datetime(value) if isinstance(value, str) and "," in value else value


Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]


class _Detail(BaseModel):
    """AWS may add fields."""

    model_config = ConfigDict(populate_by_name=True)


class AffectedEntity(_Detail):
    """One instance of a Health event."""

    entity: str = Field(alias="entityValue")


class HealthDetail(_Detail):
    """The `detail` of an "AWS Health Event", as far as it is used."""

    event_arn: str = Field(alias="eventArn", min_length=1)
    code: str = Field(alias="eventTypeCode", min_length=1)
    start: Moment = Field(alias="startTime")
    status: str = Field(default="", alias="statusCode")
    region: str = Field(default="", alias="eventRegion")
    entities: list[AffectedEntity] = Field(default=[], alias="affectedEntities")


class BlockDetail(_Detail):
    """The `detail` of a "Capacity Block Reservation Expiration Warning"."""

    reservation_id: str = Field(alias="capacity-reservation-id", min_length=1)
    end: Moment = Field(alias="end-date")


def notice_in(event: Mapping[str, Any]) -> Notice:
    """The announcement in an event. Raises InvalidInputError for an event of another kind, or without its fields."""
    detail = event.get("detail") if isinstance(event.get("detail"), dict) else {}
    match event.get("source"), event.get("detail-type"):
        case "aws.health", "AWS Health Event":
            return _health(event, parse_input(HealthDetail, detail or {}, "the event's detail"))
        case "aws.ec2", "Capacity Block Reservation Expiration Warning":
            block = parse_input(BlockDetail, detail or {}, "the event's detail")
            return Notice(
                event_id=f"{block.reservation_id} {block.end.isoformat()}",
                what=f"Capacity Block {block.reservation_id} ends",
                deadline=block.end.timestamp() - BLOCK_CLEARING_SECONDS,
                region=str(event.get("region", "")),
                reservation_id=block.reservation_id,
            )
    raise InvalidInputError(
        f"source: {event.get('source')!r} with detail-type {event.get('detail-type')!r} is no announcement that is "
        "known here; docs/events has one of each kind"
    )


def _health(event: Mapping[str, Any], detail: HealthDetail) -> Notice:
    named = [each.entity for each in detail.entities] or [str(each) for each in event.get("resources", [])]
    return Notice(
        event_id=detail.event_arn,
        what=detail.code,
        deadline=detail.start.timestamp(),
        region=detail.region,
        # An entity is an instance's id or, at times, its ARN.
        instance_ids=tuple(sorted({name.rpartition("/")[2] for name in named})),
        over=detail.status == OVER,
    )
