"""DynamoDB's global tables with multi-Region strong consistency (MRSC): one table in three Regions.

moto keeps no replicas. Here the replicas of a table hold the same items: what is written in one Region is read in
another at once. What AWS documents ("How DynamoDB global tables work" and "Best practices for global tables" in the
developer guide):

- three Regions of one set; the table is empty when it becomes global;
- a write, and a strongly consistent read, needs one other Region. A Region without one only reads eventually, what it
  knew last; the rest is a server error, which may be retried;
- there are no transactions and no TTL.

Two writes at once are never refused with ReplicatedWriteConflictException here: they come one after the other.
"""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.exceptions import ERROR_TYPE_PREFIX, DynamodbException, MockValidationException
from moto.dynamodb.models import dynamodb_backends

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

lock: Final = threading.RLock()  # re-entrant: a call may reach DynamoDB again through CloudFormation or a stream

REGION_SETS: Final = (
    frozenset({"us-east-1", "us-east-2", "us-west-2"}),
    frozenset({"eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1"}),
    frozenset({"ap-northeast-1", "ap-northeast-2", "ap-northeast-3"}),
)
_REPLICAS: Final = 3
_WRITES: Final = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"})
_READS: Final = frozenset({"GetItem", "Query", "Scan", "BatchGetItem"})
_REFUSED: Final = frozenset({"TransactWriteItems", "TransactGetItems", "UpdateTimeToLive"})


class CutOffError(DynamodbException):
    """This Region reaches no other of the table's Regions."""

    code = 500

    def __init__(self, region: str) -> None:
        message = f"{region} reaches no other Region of this global table: it serves eventually consistent reads only"
        super().__init__(ERROR_TYPE_PREFIX + "InternalServerError", message)


@dataclass(frozen=True, slots=True)
class _Global:
    """A table in all of its Regions. `items` is what moto keeps, the same object for every replica."""

    regions: tuple[str, ...]
    items: Any


_tables: Final[dict[str, _Global]] = {}
_isolated: Final[set[str]] = set()


def isolate(region: str) -> None:
    """Cut a Region off from the others: it keeps what it knows now."""
    with lock:
        _isolated.add(region)
        for name, table in _tables.items():
            if region in table.regions:
                _replica(name, region).items = copy.deepcopy(table.items)


def rejoin(region: str) -> None:
    """Join it again. It has caught up at once."""
    with lock:
        _isolated.discard(region)
        for name, table in _tables.items():
            if region in table.regions:
                _replica(name, region).items = table.items


def reset() -> None:
    """Forget all global tables. For the end of a sandbox."""
    with lock:
        _tables.clear()
        _isolated.clear()


def needs_another_region(operation: str, parameters: Mapping[str, Any]) -> bool:
    """Whether an operation is answered only after another Region was asked."""
    return any(_is_strong(operation, parameters, name) for name in _names(parameters) if name in _tables)


def check(operation: str, request: Any) -> None:
    """Before the operation acts. Raises what AWS answers where a global table does not take it."""
    parameters, region = request.body, request.region
    names = [name for name in _names(parameters) if name in _tables and region in _tables[name].regions]
    if names and operation in _REFUSED:
        raise MockValidationException(f"{operation} is not supported on a table with multi-Region strong consistency")
    if any(_is_strong(operation, parameters, name) and not _reaches_another(name, region) for name in names):
        raise CutOffError(region)
    if operation == "UpdateTable" and parameters.get("ReplicaUpdates"):
        _make_global(parameters, region)


def with_replicas(request: Any, answer: Any) -> Any:
    """The answer of DescribeTable or UpdateTable, with what it says of a global table."""
    table = _tables.get(request.body["TableName"])
    described = answer.result.get("Table") or answer.result.get("TableDescription")
    if table is not None and request.region in table.regions and described is not None:
        others = [region for region in table.regions if region != request.region]
        described["Replicas"] = [{"RegionName": region, "ReplicaStatus": "ACTIVE"} for region in others]
        described["MultiRegionConsistency"] = "STRONG"
        described["GlobalTableVersion"] = "2019.11.21"
    return answer


def _make_global(parameters: Mapping[str, Any], region: str) -> None:
    name, updates = str(parameters["TableName"]), parameters["ReplicaUpdates"]
    if parameters.get("MultiRegionConsistency") != "STRONG" or any("Create" not in update for update in updates):
        raise MockValidationException("the sandbox makes global tables with multi-Region strong consistency, no others")
    regions = (region, *(str(update["Create"]["RegionName"]) for update in updates))
    table = _replica(name, region)
    if len(set(regions)) != _REPLICAS or not any(set(regions) <= one for one in REGION_SETS):
        raise MockValidationException(f"a strongly consistent table has three Regions of one set, not {regions}")
    if len(table) or name in _tables or table.ttl["TimeToLiveStatus"] != "DISABLED":
        raise MockValidationException(f"{name} must be empty, without TTL and no global table yet")
    for other in regions[1:]:
        _copy(table, other)
    _tables[name] = _Global(regions, table.items)


def _copy(table: Any, region: str) -> None:
    """A replica: its own table to all but the items."""
    replica = dynamodb_backends[DEFAULT_ACCOUNT_ID][region].create_table(
        table.name,
        schema=table.schema,
        throughput=None,
        attr=table.attr,
        global_indexes=None,
        indexes=None,
        streams=None,
        billing_mode=table.billing_mode,
        sse_specification={"Enabled": True} if (table.sse_specification or {}).get("Enabled") else None,
        tags=[],
        deletion_protection_enabled=False,
        warm_throughput=None,
    )
    replica.items = table.items
    # The stream of one replica has the writes of all: DynamoDB guide, "Global tables and DynamoDB Streams".
    replica.stream_specification, replica.stream_shard = table.stream_specification, table.stream_shard


def _replica(name: str, region: str) -> Any:
    return dynamodb_backends[DEFAULT_ACCOUNT_ID][region].get_table(name)


def _reaches_another(name: str, region: str) -> bool:
    others = set(_tables[name].regions) - {region}
    return region not in _isolated and bool(others - _isolated)


def _names(parameters: Mapping[str, Any]) -> Iterable[str]:
    """The tables of a request, by name: a request may hold ARNs too."""
    names = [parameters["TableName"]] if "TableName" in parameters else list(parameters.get("RequestItems", ()))
    for item in parameters.get("TransactItems", ()):
        names += [inner["TableName"] for inner in item.values()]
    return [str(name).rpartition("/")[2] for name in names]


def _is_strong(operation: str, parameters: Mapping[str, Any], name: str) -> bool:
    if operation == "BatchGetItem":
        asked = next(each for key, each in parameters["RequestItems"].items() if key.rpartition("/")[2] == name)
        return bool(asked.get("ConsistentRead"))
    return operation in _WRITES or (operation in _READS and bool(parameters.get("ConsistentRead")))
