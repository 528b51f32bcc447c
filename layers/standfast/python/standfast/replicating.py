"""The steps of `replicate_model`: to which Regions, how far each is, and what became of them all."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from standfast import replication
from standfast.errors import InvalidInputError, StandfastError
from standfast.manifest import manifest_key, parse_manifest
from standfast.replication_estimate import estimate, prices_as_of
from standfast.replication_steps import BatchError, Look, PulledStep, RegionStatus, ReplicationPlan, message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from standfast.manifest import Manifest
    from standfast.model_ports import ModelStore, Pull
    from standfast.model_states import ModelRecord
    from standfast.replication_steps import ReplicateInput

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1, 60
REASON_CHARACTERS = 700
"""A dozen Regions' reasons fit into a page and into the cause of a failed execution, 32,768 characters."""
DAY_SECONDS = 86_400
VERIFIED, FAILED = "verified", "failed"
SCHEDULE = "schedule"
"""The trigger of the day's look, which nobody waits for."""


class RegionResult(BaseModel):
    """What the way of one Region ended with: the last look, or the error that was caught."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    region: str
    look: Look | None = None
    error: BatchError | None = None


class ConcludeStep(BaseModel):
    """What ConcludeReplication reads."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    plan: ReplicationPlan
    results: list[RegionResult] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What became of a replication. `text` is for people; `is_news`: whether anybody wants to read it."""

    name: str
    regions: tuple[RegionStatus, ...]
    subject: str
    text: str
    is_news: bool

    @property
    def succeeded(self) -> bool:
        """Whether the model is verified in every Region."""
        return all(each.state == VERIFIED for each in self.regions)

    def answer(self) -> dict[str, Any]:
        """For the machine's state; `text` becomes the cause when the execution fails."""
        return {
            "succeeded": self.succeeded,
            "text": self.text,
            "copied": sum(each.copied for each in self.regions),
            "api_calls": sum(each.api_calls for each in self.regions),
            "failed_regions": [each.region for each in self.regions if each.state != VERIFIED],
            "regions": [each.model_dump(mode="json") for each in self.regions],
        }

    def detail(self) -> dict[str, object]:
        """Of the event ReplicationFailed."""
        return {"model": self.name, "text": self.text, "failed_regions": self.answer()["failed_regions"]}


def read_manifest(store: ModelStore, model: str, version: str | None, region: str) -> Manifest:
    """The manifest in a Region's bucket. Raises InvalidInputError when the model is not registered there."""
    key = manifest_key(model, version)
    text = store.read(key)
    if text is None:
        name = f"{model} {version}" if version else model
        raise InvalidInputError(f"{name} is not registered in {region} ({key} is missing); run register_model there")
    return parse_manifest(text.decode(errors="replace"), key)


def plan_replication(
    asked: ReplicateInput,
    manifest: Manifest,
    source: str,
    stores: Mapping[str, ModelStore],
    execution_name: str,
    now: float,
) -> ReplicationPlan:
    """To which Regions, with an estimate of each by what lies there; a Region that does not answer counts as empty."""
    with ThreadPoolExecutor(max(1, len(stores)), thread_name_prefix="region") as pool:
        missing = list(pool.map(partial(_missing, manifest), stores.values()))
    return ReplicationPlan(
        model=manifest.model,
        version=manifest.version,
        source_region=source,
        regions=list(dict.fromkeys(stores)),
        dry_run=asked.dry_run,
        objects=len(manifest.objects),
        bytes=manifest.bytes,
        estimates=[asdict(estimate(source, region, sizes)) for region, sizes in zip(stores, missing, strict=True)],
        prices=prices_as_of(),
        trigger=asked.trigger,
        execution_name=execution_name,
        began_at=now,
        canary=asked.canary,
    )


def _missing(manifest: Manifest, store: ModelStore) -> list[int]:
    """Sizes of what is to be copied, by a listing alone: other bytes of the same size are found by the pull itself."""
    try:
        there = store.list_folder(manifest.prefix)
    except StandfastError:
        there = {}
    return [each.size for key, each in manifest.by_key().items() if there.get(key) != each.size]


def present_bytes(manifest: Manifest, present: Mapping[str, int]) -> int:
    """Bytes of the model that lie in a folder already."""
    return replication.progress(manifest, present, bytes_before=0, seconds=0).bytes


def under_way(step: PulledStep, manifest: Manifest, present: Mapping[str, int], now: float) -> Look:
    """How far a Region is. It is looked at again after a tenth of what is left, a minute at most."""
    seconds = max(0.0, now - step.pull.started_at)
    found = replication.progress(manifest, present, bytes_before=step.pull.bytes_before, seconds=seconds)
    before = step.look.wait_seconds if step.look else FIRST_WAIT_SECONDS
    wait = 2 * before if not found.eta_seconds else int(found.eta_seconds / 10)
    status = RegionStatus(
        region=step.region,
        state="replicating",
        objects=found.objects,
        objects_in_all=found.objects_in_all,
        bytes=found.bytes,
        bytes_in_all=found.bytes_in_all,
        bytes_per_second=round(found.bytes_per_second, 1),
        eta_seconds=None if found.eta_seconds is None else round(found.eta_seconds, 1),
        seconds=round(seconds, 3),
    )
    return Look(ended=False, wait_seconds=min(max(FIRST_WAIT_SECONDS, wait), LONGEST_WAIT_SECONDS), status=status)


def ended(step: PulledStep, pull: Pull, now: float) -> Look:
    """What a pull that has ended came to: the status that it answered, or why it failed."""
    seconds = round(max(0.0, now - step.pull.started_at), 3)
    if pull.succeeded:
        try:
            status = RegionStatus.model_validate(pull.output["verified"])
            canary = pull.output["canary"]["said"] if step.plan.canary else ""
        except (KeyError, TypeError, ValidationError):
            said = f"{step.pull.execution_arn} ended well and does not say with what; is that stack of this release?"
            return Look(ended=True, wait_seconds=0, status=_failed(step.region, said, seconds))
        return Look(ended=True, wait_seconds=0, status=status.model_copy(update={"seconds": seconds, "canary": canary}))
    said = f"pull_model {pull.status} with {pull.error or 'no error'}: {message(pull.cause)}"
    return Look(ended=True, wait_seconds=0, status=_failed(step.region, said, seconds))


def conclude(step: ConcludeStep) -> Conclusion:
    """What became of all Regions.

    It is news when a Region failed, when S3's own rule failed to bring an object, and when a schedule had to mend.
    """
    plan = step.plan
    regions = tuple(_status(each) for each in step.results)
    failed = [each for each in regions if each.state != VERIFIED]
    lines = [f"{plan.name}, {plan.objects} objects, {plan.bytes} bytes, from {plan.source_region}:"]
    lines += [_line(each) for each in regions]
    if failed:
        again = json.dumps({"model": plan.model, "version": plan.version, "regions": [each.region for each in failed]})
        lines.append(f"Start replicate_model again with {again}: only what is missing is copied.")
        names = ", ".join(each.region for each in failed)
        subject = f"{plan.name} was not replicated to {names}"
    else:
        subject = f"{plan.name} is verified in {', '.join(each.region for each in regions)}"
    mended = plan.trigger == SCHEDULE and any(each.copied for each in regions)
    left = [each.region for each in regions if {"failed", "pending"} & set(each.s3_left)]
    if left and not failed:
        subject = f"{plan.name}: S3's rule did not bring all of it to {', '.join(left)}"
    return Conclusion(plan.name, regions, subject, "\n".join(lines), is_news=bool(failed or left) or mended)


def repair(record: ModelRecord, region: str, now: float) -> tuple[str, dict[str, object]]:
    """Name and input of the day's look at a model: one a day, however often the schedule comes."""
    day = int(now // DAY_SECONDS)
    told = hashlib.sha256(json.dumps([record.model, record.version]).encode()).hexdigest()[:12]
    payload: dict[str, object] = {
        "model": record.model,
        "version": record.version,
        "regions": [region],
        "source_region": record.source_region,
        "trigger": SCHEDULE,
    }
    return f"repair-{told}-{day}", payload


def not_looked_at(asked: ReplicateInput, region: str, error: str) -> tuple[str, str]:
    """Subject and text for people when the day's look at a model could not begin."""
    name = f"{asked.model} {asked.version}" if asked.version else asked.model
    text = f"Whether {name} is whole in {region} was not looked at: {error}. Tomorrow it is tried again."
    return f"{region}: {name} was not looked at", text


def _status(result: RegionResult) -> RegionStatus:
    if result.look is not None:
        return result.look.status
    said = f"{result.error.error}: {result.error.message()}" if result.error else "nothing is known of it"
    return _failed(result.region, said, 0.0)


def _failed(region: str, reason: str, seconds: float) -> RegionStatus:
    return RegionStatus(region=region, state=FAILED, reason=reason[:REASON_CHARACTERS], seconds=seconds)


def _line(each: RegionStatus) -> str:
    if each.state == VERIFIED:
        copied = f"{each.copied} of {each.objects} objects copied in {each.seconds:g} s"
        return "; ".join(filter(None, (f"- {each.region}: verified", copied, each.s3_reason, each.canary)))
    return f"- {each.region}: {each.state}: {each.reason}"
