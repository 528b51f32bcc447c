"""What DynamoDB Streams hands to a function, as changes of the state journal. Pure.

Shape of the event: AWS Lambda's guide, "Using AWS Lambda with Amazon DynamoDB". Both images come with every record
(StreamViewType NEW_AND_OLD_IMAGES); a change of nothing makes none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from standfast.errors import CorruptStateError
from standfast.state_journal import Change, ItemKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CLUSTER, REGIONS = "cluster", "regions"
"""How the state tables are called in journals and snapshots: their names in AWS differ from stack to stack."""


def changes_of(event: Mapping[str, Any], tables: Mapping[str, str]) -> Sequence[Change]:
    """The changes of one event, in its order. `tables`: the tables' names in AWS -> how we call them.

    Raises CorruptStateError for a record that is none, or is of another table.
    """
    try:
        return [_change(record, tables) for record in event["Records"]]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CorruptStateError(f"this is no record of a DynamoDB stream with both images: {error!r}") from error


def _change(record: Mapping[str, Any], tables: Mapping[str, str]) -> Change:
    name = record["eventSourceARN"].split("/")[1]
    if name not in tables:
        raise CorruptStateError(f"a record of {name}, which is no state table of this stack: its mapping is wrong")
    written = record["dynamodb"]
    keys, old, new = written["Keys"], written.get("OldImage"), written.get("NewImage")
    if (record["eventName"] != "INSERT" and old is None) or (record["eventName"] != "REMOVE" and new is None):
        raise CorruptStateError(
            f"a {record['eventName']} of {name} lacks an image: the stream is not NEW_AND_OLD_IMAGES"
        )
    return Change(
        key=ItemKey(tables[name], keys["pk"]["S"], keys["sk"]["S"]),
        sequence=int(written["SequenceNumber"]),
        at=float(written["ApproximateCreationDateTime"]),
        old=old,
        new=new,
    )
