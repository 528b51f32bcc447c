"""DynamoDB Streams and their event source mappings: what is written reaches functions in batches, in order.

moto invokes a mapped function inside the write, once for all records so far, and forgets them or not. Here a table's
stream is one shard that many read, and a mapping does what AWS documents (Lambda guide, "Using AWS Lambda with Amazon
DynamoDB"; "Retain discarded records for a DynamoDB event source"):

- a batch goes when it is full or its first record has waited for the window; one at a time, in order;
- a write that changes nothing, and one that is taken back with its transaction, make no record;
- a batch that fails is tried again, in halves where the mapping says so, until its attempts or its time are over, and
  then told to the queue, by its numbers;
- the function's role reads the stream, and writes to the queue.

Of a stream the last `KEPT` records are there, where AWS keeps a day.
"""

from __future__ import annotations

import base64
import copy
import json
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from moto.awslambda import models as lambda_models
from moto.core.exceptions import JsonRESTError
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.dynamodb.models import table as table_models

from sandbox.aws import global_tables
from sandbox.aws.destinations import send_as
from sandbox.aws.execution import ThrottledError
from sandbox.aws.policies import is_allowed, role_documents
from sandbox.aws.runtime_api import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandbox.aws.execution import ExecutionEnvironments
    from sandbox.aws.roles import RoleClients

KEPT: Final = 20_000
_READS: Final = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
_RETRY_SECONDS: Final = (0.5, 1.0, 2.0, 4.0)  # AWS: "exponential backoff"; the last one goes on
_written: Final = threading.Condition(global_tables.lock)  # so that no reader sees half a transaction


class Shard(table_models.StreamShard):
    """A table's stream, its only shard. Records keep their numbers when older ones are forgotten."""

    def __init__(self, account_id: str, table: Any) -> None:
        super().__init__(account_id, table)
        self.forgotten = 0

    def __deepcopy__(self, _: dict[int, Any]) -> Shard:
        return self  # moto copies a table before each transaction: see `_transaction`

    @property
    def end(self) -> int:
        """The position after the last record."""
        return self.forgotten + len(self.items)

    def add(self, old: Any, new: Any) -> None:
        """Keep a record of a write, unless it changed nothing."""
        kind = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
        view = self.table.stream_specification["StreamViewType"]
        if old is not None and new is not None and old.to_json() == new.to_json():
            return
        with _written:
            number = self.starting_sequence_number + self.end
            record = table_models.StreamRecord(self.table, view, kind, old, new, number)
            record.record = copy.deepcopy(record.record)  # moto's images are those that the next update changes
            record.record["awsRegion"] = self.table.region_name
            self.items.append(record)
            if len(self.items) > 2 * KEPT:
                self.forgotten += KEPT
                del self.items[:KEPT]
            _written.notify_all()

    def take_back(self, end: int) -> None:
        """Forget what came after a position."""
        del self.items[end - self.forgotten :]

    def read(self, position: int, most: int) -> list[dict[str, Any]]:
        """Up to `most` records from a position on, as events have them."""
        start = max(0, position - self.forgotten)
        return [_as_event(record.to_json()) for record in self.items[start : start + most]]

    def get(self, start: int, quantity: int) -> list[dict[str, Any]]:
        """For moto's GetRecords, by sequence number."""
        first = start - self.starting_sequence_number - self.forgotten
        return [record.to_json() for record in self.items[max(0, first) : first + quantity]]


class Streams:
    """Reads for every mapping, each on a thread of its own."""

    def __init__(self, environments: ExecutionEnvironments, roles: RoleClients) -> None:
        self._environments = environments
        self._roles = roles
        self._closed = threading.Event()
        self._readers: list[_Reader] = []

    def install(self) -> Callable[[], None]:
        """Have moto's tables and mappings work so. The result takes it back and ends the readers."""
        backend = lambda_models.LambdaBackend
        create, shard, transact = (
            backend.create_event_source_mapping,
            table_models.StreamShard,
            DynamoDBBackend.transact_write_items,
        )

        def create_event_source_mapping(here: Any, spec: dict[str, Any]) -> Any:
            mapping = create(here, spec)
            if ":dynamodb:" in mapping.event_source_arn:
                function = here.get_function(mapping.function_arn)
                _check_role(function, mapping.event_source_arn)
                self._start(mapping, function, spec.get("MaximumRecordAgeInSeconds"))  # moto forgets it
            return mapping

        backend.create_event_source_mapping = create_event_source_mapping
        table_models.StreamShard = Shard
        DynamoDBBackend.transact_write_items = _transaction(transact)

        def take_back() -> None:
            backend.create_event_source_mapping, table_models.StreamShard = create, shard
            DynamoDBBackend.transact_write_items = transact
            self.close()

        return take_back

    def close(self) -> None:
        """End the readers, once what they are delivering is delivered. May be called again."""
        self._closed.set()
        with _written:
            _written.notify_all()
        for reader in self._readers:
            reader.join()

    def _start(self, mapping: Any, function: Any, most_age: int | None) -> None:
        table = dynamodb_backends[function.account_id][function.region].get_table(
            mapping.event_source_arn.split("/")[1]
        )
        reader = _Reader(mapping, table.stream_shard, self._environments, self._roles, self._closed, most_age)
        self._readers.append(reader)
        reader.start()


class _Reader(threading.Thread):
    def __init__(
        self,
        mapping: Any,
        shard: Shard,
        environments: ExecutionEnvironments,
        roles: RoleClients,
        closed: threading.Event,
        most_age: int | None,
    ) -> None:
        super().__init__(name=f"stream of {shard.table.name}", daemon=True)
        self._mapping = mapping
        self._shard = shard
        self._environments = environments
        self._roles = roles
        self._closed = closed
        self._most_age = most_age if most_age and most_age > 0 else None
        self._position = shard.end if mapping.starting_position == "LATEST" else 0

    def run(self) -> None:
        while batch := self._next():
            self._deliver(batch)
            self._position += len(batch)

    def _next(self) -> list[dict[str, Any]]:
        """The next batch, once it is due; none when all is over, or the mapping is gone."""
        size, window = int(self._mapping.batch_size), float(self._mapping.max_batch_window or 0)
        with _written:
            while not self._closed.is_set() and self._shard.end <= self._position:
                _written.wait()
            due = time.monotonic() + window
            while (
                not self._closed.is_set()
                and self._shard.end - self._position < size
                and (left := due - time.monotonic()) > 0
            ):
                _written.wait(left)
            self._position = max(self._position, self._shard.forgotten)
            backend = lambda_models.lambda_backends[self._mapping.account_id][self._mapping.region]
            if self._closed.is_set() or backend.get_event_source_mapping(self._mapping.uuid) is None:
                return []
            return self._shard.read(self._position, size)

    def _deliver(self, batch: Sequence[dict[str, Any]]) -> None:
        most, attempt = self._mapping.max_retry_attempts, 0
        while not self._closed.is_set():
            answer = self._invoke(batch)
            if not answer.is_error:
                return
            if self._mapping.bisect_on_error and len(batch) > 1:
                middle = len(batch) // 2
                self._deliver(batch[:middle])
                self._deliver(batch[middle:])
                return
            if most is not None and 0 <= int(most) <= attempt:
                self._tell(batch, attempt + 1, "RetryAttemptsExhausted")
                return
            age = time.time() - batch[0]["dynamodb"]["ApproximateCreationDateTime"]
            if self._most_age is not None and age > self._most_age:
                self._tell(batch, attempt + 1, "RecordAgeExceeded")
                return
            self._closed.wait(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)])
            attempt += 1

    def _invoke(self, batch: Sequence[dict[str, Any]]) -> Answer:
        function = self._function()
        records = [{**each, "eventSourceARN": self._mapping.event_source_arn} for each in batch]
        try:
            return self._environments.invoke(function, json.dumps({"Records": records}).encode())
        except ThrottledError:
            return Answer.error("TooManyRequestsException", "Rate Exceeded.")

    def _tell(self, batch: Sequence[dict[str, Any]], attempts: int, why: str) -> None:
        queue = ((self._mapping.destination_config or {}).get("OnFailure") or {}).get("Destination")
        if queue:
            function = self._function()
            send_as(function.role, queue, json.dumps(self._discarded(function, batch, attempts, why)), self._roles)

    def _function(self) -> Any:
        backend = lambda_models.lambda_backends[self._mapping.account_id][self._mapping.region]
        return backend.get_function(self._mapping.function_arn)

    def _discarded(self, function: Any, batch: Sequence[dict[str, Any]], attempts: int, why: str) -> dict[str, Any]:
        first, last = batch[0]["dynamodb"], batch[-1]["dynamodb"]
        return {
            "requestContext": {
                "requestId": str(uuid.uuid4()),
                "functionArn": function.function_arn,
                "condition": why,
                "approximateInvokeCount": attempts,
            },
            "responseContext": {
                "statusCode": 200,
                "executedVersion": "$LATEST",
                "functionError": "Unhandled",
            },
            "version": "1.0",
            "timestamp": _iso(time.time()),
            "DDBStreamBatchInfo": {
                "shardId": self._shard.id,
                "startSequenceNumber": first["SequenceNumber"],
                "endSequenceNumber": last["SequenceNumber"],
                "approximateArrivalOfFirstRecord": _iso(first["ApproximateCreationDateTime"]),
                "approximateArrivalOfLastRecord": _iso(last["ApproximateCreationDateTime"]),
                "batchSize": len(batch),
                "streamArn": self._mapping.event_source_arn,
            },
        }


def _transaction(original: Any) -> Any:
    """A transaction that is cancelled leaves no record. Under the lock: `sandbox.aws.tables` holds it."""

    def transact_write_items(backend: Any, transact_items: list[dict[str, Any]]) -> None:
        named = {op.get("TableName") for item in transact_items for op in item.values()}
        shards = [shard for name in named if name in backend.tables and (shard := backend.tables[name].stream_shard)]
        ends = [(shard, shard.end) for shard in shards]
        try:
            original(backend, transact_items)
        except Exception:
            for shard, end in ends:
                shard.take_back(end)
            raise

    return transact_write_items


def _check_role(function: Any, stream_arn: str) -> None:
    """What AWS answers when a mapping is made whose function may not read the stream."""
    documents = role_documents(function.account_id, function.role.rpartition("/")[2])
    for action, resource in (*((each, stream_arn) for each in _READS), ("dynamodb:ListStreams", "*")):
        if not is_allowed(documents, action, resource, {"aws:RequestedRegion": function.region}):
            raise JsonRESTError(
                "InvalidParameterValueException",
                "Cannot access stream " + stream_arn + ". Please ensure the role can perform the GetRecords, "
                "GetShardIterator, DescribeStream, and ListStreams Actions on your stream in IAM.",
            )


def _as_event(record: dict[str, Any]) -> dict[str, Any]:
    """A record as Lambda's event has it: its time in whole seconds, bytes in base64."""
    written = record["dynamodb"]
    at = int(written["ApproximateCreationDateTime"].replace(tzinfo=UTC).timestamp())
    images = {
        name: {key: _as_json(value) for key, value in written[name].items()}
        for name in ("NewImage", "OldImage")
        if name in written
    }
    return {**record, "eventVersion": "1.1", "dynamodb": {**written, **images, "ApproximateCreationDateTime": at}}


def _as_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {key: _as_json(each) for key, each in value.items()}
    return [_as_json(each) for each in value] if isinstance(value, list) else value


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
