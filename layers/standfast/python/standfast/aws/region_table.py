"""RegionTable: what all Regions of the fleet share, in a global table with multi-Region strong consistency (MRSC).

| pk | sk | item |
|---|---|---|
| FLEET | SWITCH, SWITCH#<scope> | the automation switch of the fleet; of a Region or a cluster |
| FLEET | REGIONS | which Regions are condemned or moved (see region_states): rollouts freeze meanwhile |
| SIGHTS | <vantage>#<region> | how a Region's entry looks from another Region |
| CONFIG | TURN | the last sync of the configuration: its token, and the newest version |
| RELEASE | LAST | the last release of the fleet: its token, and what it has under way |

Such a table has no transactions and no TTL. A Region that is cut off from both others reads eventually only and cannot
write ("How global tables work: multi-Region strong consistency", DynamoDB developer guide). A one-Region fleet has an
ordinary table, to which all of this applies as well.
"""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import boto3

from standfast.aws.calls import config
from standfast.aws.records import brake_from_items, reading, sight_from_item
from standfast.aws.region_states import REGIONS, record_from_item
from standfast.aws.table import Table
from standfast.brake import FLEET
from standfast.errors import ConflictError, FencedError, ThrottledError, TransientError
from standfast.region_record import why_frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from standfast.brake import Brake, Switch
    from standfast.config_sync import Turn
    from standfast.release_record import ReleaseRecord
    from standfast.stores import Sight

WRITE_ATTEMPTS = 3

logger = logging.getLogger("standfast.region_table")


class RegionTable(Table):
    """SwitchStore, SightStore, TurnStore and ReleaseStore on DynamoDB."""

    def __init__(self, table: str, client: DynamoDBClient | None = None) -> None:
        # One attempt: where the other Regions do not answer, what is known here must be read within seconds.
        super().__init__(table, client or boto3.client("dynamodb", config=config(attempts=1)))

    # SwitchStore

    def read_brake(self) -> Brake:
        try:
            return self._brake(consistent=True)
        except TransientError as error:
            logger.warning("the other Regions do not answer, the switches are taken as they are known here: %s", error)
            return self.glance_at_brake()

    def glance_at_brake(self) -> Brake:
        return self._brake(consistent=False)

    def write_switch(self, switch: Switch) -> None:
        name = "SWITCH" if switch.scope == FLEET else f"SWITCH#{switch.scope}"
        self._replace("FLEET", name, {**asdict(switch), "automation": str(switch.automation)})

    def _brake(self, *, consistent: bool) -> Brake:
        items = self._query("FLEET", consistent=consistent)
        brake = brake_from_items([item for item in items if item["sk"].partition("#")[0] == "SWITCH"])
        moved = next((item for item in items if item["sk"] == REGIONS), None)
        return brake if moved is None else replace(brake, frozen=why_frozen(record_from_item(moved), time.time()))

    # SightStore

    def write_sight(self, sight: Sight) -> None:
        name = f"{sight.vantage}#{sight.region}"
        self._replace("SIGHTS", name, {**asdict(sight), "verdict": str(sight.verdict)})

    def sights(self) -> Sequence[Sight]:
        return [sight_from_item(item) for item in self._query("SIGHTS", consistent=False)]

    # TurnStore

    def read_turn(self) -> Turn:
        from standfast.config_sync import Turn  # no function but those of a sync pays for it

        item = self._get("CONFIG", "TURN")
        if item is None:
            return Turn()
        with reading("TURN"):
            return Turn(int(item["turn"]), int(item["version"]), str(item["sha256"]), str(item["execution_arn"]))

    def take_turn(self, turn: Turn, *, seen: Turn) -> None:
        item = {**asdict(turn), "turn": turn.token}  # `token` is a reserved word of DynamoDB's conditions
        if seen.token == 0:
            written = self._put_new("CONFIG", "TURN", item)
        else:
            written = self._put_if("CONFIG", "TURN", item, "turn = :seen", {":seen": seen.token})
        if not written:
            raise ConflictError("another sync of the configuration began at the same moment; once more")

    # ReleaseStore

    def read_release(self) -> ReleaseRecord:
        from standfast.release_record import ReleaseRecord  # no function but those of a release pays for it

        item = self._get("RELEASE", "LAST")
        if item is None:
            return ReleaseRecord()
        with reading("LAST"):
            return ReleaseRecord(
                int(item["turn"]),
                str(item["execution_arn"]),
                str(item["version"]),
                str(item["event_id"]),
                float(item["began_at"]),
                tuple(str(each) for each in item["executions"]),
                str(item["ended"]),
                str(item["reason"]),
            )

    def write_release(self, record: ReleaseRecord, *, seen: ReleaseRecord) -> None:
        item = {**asdict(record), "executions": list(record.executions), "turn": record.token}
        if seen.token == 0:
            written = self._put_new("RELEASE", "LAST", item)
        else:
            unchanged = "turn = :turn AND ended = :ended AND executions = :executions"
            given = {":turn": seen.token, ":ended": seen.ended, ":executions": list(seen.executions)}
            written = self._put_if("RELEASE", "LAST", item, unchanged, given)
        if not written:
            raise FencedError("the record of the fleet's releases was written by somebody else at the same moment")

    def _replace(self, partition: str, name: str, item: Mapping[str, object]) -> None:
        """Another Region that wrote the item at the same moment is no refusal: once more."""
        for left in reversed(range(WRITE_ATTEMPTS)):
            try:
                return self._put(partition, name, item)
            except ThrottledError:
                if not left:
                    raise
        return None
