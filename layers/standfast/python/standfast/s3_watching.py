"""The step of `pull_model` that watches S3's own replication rule bring a model to this Region."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from standfast import s3_rules
from standfast.pulling import THREADS, read_due, write_due
from standfast.replication import batches
from standfast.replication_steps import BatchOf
from standfast.s3_rules import Action, Evidence, Limits, S3Status
from standfast.s3_steps import LeftToS3

if TYPE_CHECKING:
    from standfast.model_ports import ModelStore
    from standfast.replication_steps import PullPlan

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1, 60


def begin(plan: PullPlan, now: float) -> PullPlan:
    """The plan with everything that is due left to S3."""
    if not plan.due:
        return plan
    left = LeftToS3(
        ended=False,
        wait_seconds=FIRST_WAIT_SECONDS,
        due=plan.due,
        left={S3Status.NONE.name.lower(): plan.due},
        progressed_at=now,
    )
    return plan.model_copy(update={"s3": left, "batches": []})


def watch(plan: PullPlan, source: ModelStore, store: ModelStore, limits: Limits, now: float) -> PullPlan:
    """Look at what has come. The plan that is answered has batches once nobody waits for S3: of what it did not bring.

    What has come is struck off the list, so that each look asks only for the rest. May be repeated.
    """
    before = store.calls + source.calls
    due = read_due(plan, store)
    with ThreadPoolExecutor(THREADS, thread_name_prefix="look") as pool:
        statuses = list(pool.map(partial(_status, source, store), due))
    rest = [each for each, status in zip(due, statuses, strict=True) if status is not None]
    missing = {
        key.removeprefix(plan.prefix): status
        for (key, _, _), status in zip(due, statuses, strict=True)
        if status is not None
    }
    has_progressed = len(rest) < plan.s3.missing
    evidence = Evidence(missing, plan.s3.due, plan.began_at, now if has_progressed else plan.s3.progressed_at)
    decision = s3_rules.decide(evidence, limits, now)
    write_due(plan, store, rest)
    ended = decision.action is Action.COPY
    wait = FIRST_WAIT_SECONDS if has_progressed else 2 * plan.s3.wait_seconds
    sizes = [size for _, size, _ in rest]
    left = LeftToS3(
        ended=ended,
        wait_seconds=min(wait, LONGEST_WAIT_SECONDS),
        due=plan.s3.due,
        left=s3_rules.counted(missing.values()),
        progressed_at=evidence.progressed_at,
        reason=decision.reason,
    )
    return plan.model_copy(
        update={
            "s3": left,
            "due": len(rest),
            "due_bytes": sum(sizes),
            "batches": [BatchOf(**asdict(batch)) for batch in batches(sizes)] if ended else [],
            "api_calls": plan.api_calls + store.calls + source.calls - before,
        }
    )


def figures(plan: PullPlan) -> dict[str, float]:
    """Metrics of one look: objects that are not right here, and what S3 says of them at their source."""
    left = plan.s3.left
    return {
        "ModelS3Missing": plan.s3.missing,
        "ModelS3Pending": left.get("pending", 0),
        "ModelS3Failed": left.get("failed", 0),
    }


def _status(source: ModelStore, store: ModelStore, due: list[Any]) -> S3Status | None:
    """None for an object that is right here; of another, what S3 says of it at its source, gone or not."""
    key, size, crc64nvme = due
    found = store.describe(key)
    if found is not None and (found.size, found.crc64nvme) == (size, crc64nvme):
        return None
    there = source.describe(key)
    return S3Status.read(there.replication if there else "")
