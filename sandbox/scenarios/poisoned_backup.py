"""`poisoned-backup`: every way to spoil a backup is found, and the newest good one is taken.

On the bytes of a real backup: one bit of every byte of its manifest, and of a sample of its parts, flipped in turn.
In the bucket, seen through `restore` itself: a part that is missing, a byte that is flipped, another schema, another
fleet, a cut from the future, an old manifest and a whole old backup in a newer one's place. Each time the plan must
name it and take the older, good one.
"""

from __future__ import annotations

import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sandbox.plan import FLEET
from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.region import SandboxRegion
    from sandbox.scenario import Stage

NAME: Final = "poisoned-backup"
SAMPLE: Final = 1500
"""Bytes of each part."""
Objects = dict[str, bytes]


def run(stage: Stage) -> Report:
    """Poison, and count what is refused."""
    from sandbox import restores

    region, say = stage.region, stage.say
    began = time.time()
    good = restores.succeeded(region, "backup", {"reason": "the scenario"})["snapshot_id"]
    objects = _objects(region, good)
    flipped, found = _flips(region, good, objects, stage.seed)
    say(f"{flipped} bytes flipped in turn: {found} refused")
    timeline, faults = [Moment(round(time.time() - began, 3), "bytes flipped", f"{found} of {flipped} refused")], []
    planted = named = 0
    for sequence, (what, word, poison) in enumerate(_poisons(region, good), 5000):
        newest = _id(sequence)
        _plant(region, poison(newest, dict(objects)))
        plan = restores.succeeded(region, "restore", {**restores.ASKED, "dryRun": True})
        reasons = {each["snapshot_id"]: each["reason"] for each in plan["refused"]}
        planted += 1
        named += word in reasons.get(newest, "")
        if plan["snapshot_id"] != good or word not in reasons.get(newest, ""):
            faults.append(f"{what}: {plan['snapshot_id']} was taken; said: {reasons.get(newest)}")
        timeline.append(Moment(round(time.time() - began, 3), what, reasons.get(newest, "not refused")))
        say(f"{what}: {reasons.get(newest, 'not refused')}")
    figures = {"poisoned": flipped + planted, "refused": found + named, "flipped": flipped, "planted": planted}
    if figures["poisoned"] != figures["refused"]:
        faults.append(f"{figures['refused']} of {figures['poisoned']} were refused")
    faults += [f"denied: {each.role} lacks {each.action} on {each.resource}" for each in region.cloud.denials()]
    return Report(NAME, region.name, figures, timeline, faults)


def _id(sequence: int) -> str:
    from standfast import backup

    return backup.snapshot_id(time.time() // 1, sequence)


def _objects(region: SandboxRegion, name: str) -> Objects:
    """The objects of a snapshot, by the last part of their keys."""
    from standfast import backup

    s3, bucket = region.client("s3"), region.outputs["BackupBucketName"]
    prefix = backup.folder(region.name, name)
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    return {
        each["Key"].removeprefix(prefix): s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read()
        for each in listed
    }


def _flips(region: SandboxRegion, name: str, objects: Mapping[str, bytes], seed: int) -> tuple[int, int]:
    """How many bytes were flipped, and how many of these were refused."""
    from standfast import backup
    from standfast.errors import BackupRefusedError

    chance, prefix, now = random.Random(seed), backup.folder(region.name, name), time.time()
    flipped = refused = 0
    for which, body in sorted(objects.items()):
        all_of_it = which == backup.MANIFEST or len(body) <= SAMPLE
        for at in range(len(body)) if all_of_it else chance.sample(range(len(body)), SAMPLE):
            spoilt = {**objects, which: body[:at] + bytes([body[at] ^ 1 << chance.randrange(8)]) + body[at + 1 :]}
            flipped += 1
            try:
                backup.open_snapshot(
                    name,
                    lambda key, of=spoilt: of.get(key.removeprefix(prefix)),
                    fleet=FLEET,
                    region=region.name,
                    now=now,
                )
            except BackupRefusedError:
                refused += 1
    return flipped, refused


def _poisons(
    region: SandboxRegion, good: str
) -> list[tuple[str, str, Callable[[str, Objects], Mapping[str, Objects]]]]:
    """(what, a word of the sentence that it must get, what to write): snapshot id -> its objects."""
    from standfast import backup

    def manifest_of(name: str, objects: Objects, **changes: Any) -> Objects:
        def read(key: str) -> bytes | None:
            return objects.get(key.removeprefix(backup.folder(region.name, good)))

        made = backup.open_snapshot(good, read, fleet=FLEET, region=region.name, now=time.time()).manifest
        began_at = float(backup.moment_of(name) or 0.0)
        placed = {"snapshot_id": name, "began_at": began_at, "ended_at": began_at + 0.5}
        return {**objects, backup.MANIFEST: replace(made, **{**placed, **changes}).seal()}

    def without(part: str) -> Callable[[str, Objects], Mapping[str, Objects]]:
        def poison(name: str, objects: Objects) -> Mapping[str, Objects]:
            return {name: {key: body for key, body in manifest_of(name, objects).items() if key != part}}

        return poison

    def spoilt(name: str, objects: Objects) -> Mapping[str, Objects]:
        state = bytearray(objects["state.json"])
        state[len(state) // 2] ^= 1
        return {name: {**manifest_of(name, objects), "state.json": bytes(state)}}

    def of_schema(name: str, objects: Objects) -> Mapping[str, Objects]:
        made = manifest_of(name, objects)
        return {name: {**made, backup.MANIFEST: made[backup.MANIFEST].replace(b'"schema":1', b'"schema":2')}}

    return [
        ("never finished", "has no manifest", without(backup.MANIFEST)),
        ("a part is missing", "is partial: its part models is missing", without("models.json")),
        ("a byte is flipped", "was tampered with: its part state", spoilt),
        ("of another schema", "is of schema 2", of_schema),
        ("of another fleet", "is foreign", lambda name, objects: {name: manifest_of(name, objects, fleet="other")}),
        (
            "of another Region",
            "is foreign",
            lambda name, objects: {name: manifest_of(name, objects, region="eu-west-1")},
        ),
        (
            "from the future",
            "is from the future",
            lambda name, objects: {name: manifest_of(name, objects, ended_at=time.time() + 4000.0)},
        ),
        ("an old backup in a newer one's place", "is a replayed one", lambda name, objects: {name: objects}),
    ]


def _plant(region: SandboxRegion, found: Mapping[str, Objects]) -> None:
    from standfast import backup

    s3, bucket = region.client("s3"), region.outputs["BackupBucketName"]
    for name, objects in found.items():
        for which, body in objects.items():
            s3.put_object(Bucket=bucket, Key=backup.folder(region.name, name) + which, Body=body)


SCENARIO = Scenario(NAME, "backups spoilt in every way: each is refused by name, and the newest good one is taken", run)
