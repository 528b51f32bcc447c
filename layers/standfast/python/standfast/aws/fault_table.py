"""FaultStore: what is remembered of nodes and GPUs, in the state table's partition `<scope>#FAULTS`.

| sk | item |
|---|---|
| NODE#<instance id> | NodeMemory |
| GPU#<uuid> | its heavy faults, wherever it was |

Both are forgotten thirty days after they were written, by the table's time to live.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import boto3

from standfast.aws.calls import config
from standfast.aws.records import reading
from standfast.aws.table import Table
from standfast.fault_memory import DAY_SECONDS, FaultMemory, NodeMemory, Occurrence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

WRITES_AT_ONCE = 8
"""There may be a thousand nodes."""
KEPT_SECONDS = 30 * DAY_SECONDS


class FaultTable(Table):
    """FaultStore on DynamoDB."""

    def __init__(self, table: str, region: str, client: DynamoDBClient | None = None) -> None:
        super().__init__(table, client or boto3.client("dynamodb", config=config(attempts=3)))
        self._partition = f"{region}#FAULTS"

    def read_faults(self) -> FaultMemory:
        nodes: dict[str, NodeMemory] = {}
        gpus: dict[str, tuple[Occurrence, ...]] = {}
        for item in self._query(self._partition, consistent=False):
            kind, _, name = str(item["sk"]).partition("#")
            if kind == "NODE":
                nodes[name] = _node(item)
            else:
                gpus[name] = _occurrences(item, name)
        return FaultMemory(nodes, gpus)

    def write_faults(
        self, nodes: Sequence[NodeMemory], gpus: Mapping[str, tuple[Occurrence, ...]], *, now: float
    ) -> None:
        expires_at = int(now + KEPT_SECONDS)
        newer = "attribute_not_exists(pk) OR taken_at <= :at"

        def write_node(node: NodeMemory) -> None:
            item = {**asdict(node), "expires_at": expires_at}
            self._put_if(self._partition, f"NODE#{node.instance_id}", item, newer, {":at": node.taken_at})

        def write_gpu(uuid: str) -> None:
            item = {"occurrences": [asdict(each) for each in gpus[uuid]], "expires_at": expires_at}
            self._put(self._partition, f"GPU#{uuid}", item)

        # Not in batches, which know no conditions.
        with ThreadPoolExecutor(WRITES_AT_ONCE) as pool:
            for written in (pool.map(write_node, nodes), pool.map(write_gpu, gpus)):
                list(written)


def _node(item: Mapping[str, Any]) -> NodeMemory:
    with reading(f"NODE#{item.get('instance_id')}"):
        return NodeMemory(
            instance_id=item["instance_id"],
            taken_at=float(item["taken_at"]),
            boot_id=item["boot_id"],
            uuids=dict(item["uuids"]),
            standing={key: int(times) for key, times in item["standing"].items()},
            slowdowns={uuid: dict(counters) for uuid, counters in item["slowdowns"].items()},
            occurrences=_occurrences(item, "its node"),
        )


def _occurrences(item: Mapping[str, Any], name: str) -> tuple[Occurrence, ...]:
    with reading(f"the faults of {name}"):
        return tuple(
            Occurrence(float(each["at"]), each["boot_id"], each["gpu"], each["what"]) for each in item["occurrences"]
        )
