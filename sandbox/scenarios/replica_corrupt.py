"""`replica-corrupt`: a replica is damaged in every way that we know, at rest and at its source. All of it is found."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.control import ControlStack
    from sandbox.scenario import Stage

NAME: Final = "replica-corrupt"
MODEL: Final = {"model": "tiny-damaged", "version": "v1"}
PREFIX: Final = "models/tiny-damaged/v1/"
SHARDS: Final = 6
MENDED_SECONDS: Final = 60.0


def run(stage: Stage) -> Report:
    """Damage at rest is found and mended by the day's look; damage at the source is refused by name."""
    from sandbox import model_desk
    from sandbox.fleet.sharded import INDEX, shard_name, sharded_model

    home, say = stage.region, stage.say
    target, other = (stack for stack in stage.sandbox.stacks if stack is not home)
    files = sharded_model(stage.seed + 1, SHARDS)
    began = time.time()
    timeline: list[Moment] = []
    found: dict[str, bool] = {}

    def noted(event: str, detail: str) -> None:
        say(f"{event}: {detail}")
        timeline.append(Moment(round(time.time() - began, 3), event, detail))

    model_desk.upload(home, PREFIX, files)
    for machine, payload in (
        ("register-model", {**MODEL, "prefix": PREFIX}),
        ("replicate-model", {**MODEL, "regions": [home.name, target.name]}),
    ):
        execution = model_desk.run(home, machine, payload)
        if execution["status"] != "SUCCEEDED":
            return Report(NAME, home.name, {}, timeline, [f"{machine}: {execution.get('cause')}"])

    # At rest, in the target Region.
    _damage(target, files)
    noted("damaged at rest", "other bytes, a shard missing, one cut off, an index that lies, an upload left behind")
    told = len(target.messages())
    started = target.invoke("repair-models", {})
    mended = _ended(target, started)
    here = model_desk.output(mended)["replication"]["regions"][0] if mended["status"] == "SUCCEEDED" else {}
    damaged = here.get("damaged", {})
    noted("the day's look", f"{mended['status']}: {damaged}, {here.get('aborted_uploads')} uploads given up")
    found |= {
        "other bytes at rest": damaged.get("bytes", 0) == 2,
        "an index that lies at rest": damaged.get("bytes", 0) == 2,
        "a shard missing": damaged.get("missing") == 1,
        "a shard cut off": damaged.get("size") == 1,
        "an upload left behind": here.get("aborted_uploads") == 1,
    }
    whole_again = model_desk.folder(target, PREFIX) == dict(files)
    notices = [message for message in target.messages()[told:] if message.topic == "notice"]

    # At the source.
    home.client("s3").put_object(
        Bucket=home.outputs["ModelBucketName"],
        Key=PREFIX + shard_name(3, SHARDS),
        Body=_other(files[shard_name(3, SHARDS)]),
    )
    failed = model_desk.run(home, "replicate-model", {**MODEL, "regions": [target.name, other.name]})
    cause = str(failed.get("cause"))
    noted("replicated from a damaged source", f"{failed['status']}: {cause}")
    found["other bytes at the source"] = (
        failed["status"] == "FAILED" and f"- {other.name}: failed" in cause and f"- {target.name}: verified" in cause
    )
    record = model_desk.record(other, MODEL["model"], MODEL["version"])
    believed = record is not None and record.state in ("verified", "live")

    # At registration.
    lies: Mapping[str, Callable[[dict[str, bytes]], Any]] = {
        "a shard cut off before registration": lambda each: each.update(
            {shard_name(1, SHARDS): each[shard_name(1, SHARDS)][:-9]}
        ),
        "a shard missing before registration": lambda each: each.pop(shard_name(2, SHARDS)),
        "an index that lies before registration": lambda each: each.update(
            {INDEX: each[INDEX].replace(b".w1", b".w7")}
        ),
        "a header that is none": lambda each: each.update({shard_name(1, SHARDS): b"\xff" * 64}),
    }
    for number, (kind, damage) in enumerate(lies.items()):
        broken = dict(files)
        damage(broken)
        prefix, version = f"models/tiny-damaged/bad{number}/", f"bad{number}"
        model_desk.upload(home, prefix, broken)
        refused = model_desk.run(
            home, "register-model", {"model": MODEL["model"], "version": version, "prefix": prefix}
        )
        noted(kind, f"{refused['status']}: {refused.get('error')}")
        found[kind] = refused.get("error") == "ModelRefused"

    figures = {
        "objects": len(files),
        "corruptions_injected": len(found),
        "corruptions_found": sum(found.values()),
        "by_kind": found,
        "copied": here.get("copied"),
        "notices": len(notices),
        "api_calls_per_object": round(here.get("api_calls", 0) / len(files), 2),
    }
    faults = [f"not found: {kind}" for kind, seen in found.items() if not seen]
    if not whole_again:
        faults.append("the replica has other bytes than were uploaded once it was mended")
    if figures["copied"] != 4:
        faults.append(f"{figures['copied']} objects were copied, 4 were damaged")
    if not notices:
        faults.append("nobody was told that a replica was damaged and mended")
    if believed:
        faults.append(f"{other.name} calls a copy of a damaged source verified")
    faults += [f"denied: {each.role} lacks {each.action} on {each.resource}" for each in stage.sandbox.cloud.denials()]
    return Report(NAME, home.name, figures, timeline, faults)


def _damage(stack: ControlStack, files: Mapping[str, bytes]) -> None:
    from sandbox.fleet.sharded import INDEX, shard_name

    s3, bucket = stack.client("s3"), stack.outputs["ModelBucketName"]
    changed = shard_name(1, SHARDS)
    s3.put_object(Bucket=bucket, Key=PREFIX + changed, Body=_other(files[changed]))
    s3.delete_object(Bucket=bucket, Key=PREFIX + shard_name(2, SHARDS))
    s3.put_object(Bucket=bucket, Key=PREFIX + shard_name(4, SHARDS), Body=files[shard_name(4, SHARDS)][:-100])
    s3.put_object(Bucket=bucket, Key=PREFIX + INDEX, Body=files[INDEX].replace(b"layers.1.", b"layers.2."))
    upload = {"Bucket": bucket, "Key": PREFIX + shard_name(5, SHARDS)}
    begun = s3.create_multipart_upload(**upload)["UploadId"]
    s3.upload_part(**upload, UploadId=begun, PartNumber=1, Body=b"left behind")


def _other(body: bytes) -> bytes:
    """As many bytes, the last one another."""
    return body[:-1] + bytes([body[-1] ^ 0xFF])


def _ended(stack: ControlStack, started: Mapping[str, str]) -> Any:
    """What the day's look began for this model, once it has ended. It looks at every model that the Region has."""
    stepfunctions = stack.client("stepfunctions")

    def ended() -> Any:
        for arn in started.values():
            found = stepfunctions.describe_execution(executionArn=arn)
            if json.loads(found["input"])["model"] == MODEL["model"]:
                return found if found["status"] != "RUNNING" else None
        return None

    return stack.wait_for("the day's look", ended, MENDED_SECONDS)


SCENARIO = Scenario(
    NAME, "a replica damaged in ten ways, at rest, at its source, before registration: all are found", run
)
