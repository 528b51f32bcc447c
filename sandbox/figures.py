"""From what happened to figures. Pure: records and moments in, numbers out.

All moments are `time.time()`, all durations seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sandbox.aws.latency import Injection
    from sandbox.fleet.load import Record

AFTER_SECONDS = 10.0
"""How long after the recovery every request must be good."""


@dataclass(frozen=True, slots=True)
class Outage:
    """What the clients saw of one fault. None where it did not happen within what was recorded.

    `shed_requests` were told to come back later, by 503 with Retry-After: neither served nor failed.
    """

    first_failed_at: float | None
    recovered_at: float | None
    requests: int
    failed_requests: int
    failed_after_recovery: int
    shed_requests: int = 0

    @property
    def seconds(self) -> float | None:
        """First failed to first good request of the last client to recover."""
        if self.first_failed_at is None or self.recovered_at is None:
            return None
        return self.recovered_at - self.first_failed_at


def outage(records: Sequence[Record], fault_at: float) -> Outage:
    """What the clients saw from the fault on.

    A request failed first at its sending, or at the fault when it was under way then: not when its client gave up,
    which would flatter a service that hangs. A client has recovered with the first token of a good request that it
    sent after its last failed one.
    """
    seen = [record for record in records if record.ended_at >= fault_at]
    failed = [record for record in seen if record.failed]
    shed = sum(record.shed for record in seen)
    if not failed:
        return Outage(None, None, len(seen), 0, 0, shed)
    first_failed_at = min(max(record.sent_at, fault_at) for record in failed)
    recovered = [_recovered_at(client, seen) for client in {record.client for record in failed}]
    recovered_at = None if None in recovered else max(moment for moment in recovered if moment is not None)
    after = [record for record in failed if recovered_at is not None and record.sent_at > recovered_at]
    return Outage(first_failed_at, recovered_at, len(seen), len(failed), len(after), shed)


def shed_in_all(records: Sequence[Record]) -> int:
    """How many requests were shed at least once."""
    return len({record.request for record in records if record.shed})


def never_served(records: Sequence[Record]) -> int:
    """How many of the requests that were shed at least once were not served in the end.

    A request has the same name in each of its tries. Those of two loads must not be mixed.
    """
    last: dict[str, Record] = {}
    for record in sorted(records, key=lambda record: record.sent_at):
        last[record.request] = record
    return sum(not last[name].ok for name in {record.request for record in records if record.shed})


def _recovered_at(client: int, records: Sequence[Record]) -> float | None:
    own = [record for record in records if record.client == client]
    last_failed = max(record.sent_at for record in own if record.failed)
    good = [record for record in own if record.ok and record.sent_at > last_failed]
    return min((record.first_token_at or record.ended_at for record in good), default=None)


def injected_seconds(injections: Iterable[Injection], begin: float, end: float) -> float:
    """How much of the span was spent in waits that stand for AWS: the length of their union within it."""
    spans = sorted(
        (max(injection.started_at, begin), min(injection.ended_at, end))
        for injection in injections
        if injection.ended_at > begin and injection.started_at < end
    )
    total, covered = 0.0, begin
    for start, stop in spans:
        total += max(0.0, stop - max(start, covered))
        covered = max(covered, stop)
    return total


def summary(values: Sequence[float | None]) -> float | dict[str, object] | None:
    """One run's figure as a number; of several runs median, worst and all. A missing value is the worst."""
    if len(values) == 1:
        return _rounded(values[0])
    there = [value for value in values if value is not None]
    if not there:
        return {"median": None, "worst": None, "all": list(values)}
    worst = None if len(there) < len(values) else max(there)
    return {"median": _rounded(median(there)), "worst": _rounded(worst), "all": [_rounded(value) for value in values]}


def summaries(runs: Sequence[Mapping[str, float | None]]) -> dict[str, object]:
    """The figures of all runs, key by key."""
    return {key: summary([run[key] for run in runs]) for key in runs[0]} if runs else {}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
