"""UpdateReplica: have the replica's node load the version, by our document; then see how far it is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from standfast import bootstrap
from standfast.bootstrap_rollouts import model_loads
from standfast.errors import NotServingError
from standfast.fleet import parse_input
from standfast.manifest import manifest_key
from standfast.replicating import read_manifest
from standfast.rollout_keeping import ours, update_of
from standfast.rollout_ports import ModelLoad
from standfast.rollout_steps import LoadingAnswer, ReplicaStep

if TYPE_CHECKING:
    from standfast.model_versions import ServedModel
    from standfast.recovery_ports import Progress

LOOK_SECONDS = 8.0
EVERY_SECONDS = 1.0


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer how far it is. Raises FencedError, and NotServingError when the node could not load it."""
    step = parse_input(ReplicaStep, event, "the UpdateReplica task")
    view, now = bootstrap.cluster_table().view(), bootstrap.clock().now()
    load = _load(step, ours(view.scope, step))
    known = step.loading if step.loading is not None and step.loading.load == load.name else None
    if known is None:
        command_id = model_loads().send(load)
        if not command_id:
            raise NotServingError(f"Systems Manager does not reach {load.instance_id}")
        answer = LoadingAnswer(
            load=load.name, command_id=command_id, ended=False, said="it was sent", began_at=now, at=now
        )
        return answer.model_dump(mode="json")
    progress = asyncio.run(_looked(known.command_id))
    now = bootstrap.clock().now()
    if progress.failed:
        raise NotServingError(f"{load.instance_id} did not load the version: {progress.said}")
    if not progress.ended and now - known.began_at > view.applied.config.rollouts.load_seconds:
        raise NotServingError(f"{load.instance_id} has not loaded the version for {now - known.began_at:.0f} s")
    return known.model_copy(update={"ended": progress.ended, "said": progress.said, "at": now}).model_dump(mode="json")


async def _looked(command_id: str) -> Progress:
    """How far it is at its end, or after LOOK_SECONDS: an execution has room for so many states only."""
    clock = bootstrap.clock()
    until = clock.now() + LOOK_SECONDS
    while not (found := model_loads().progress(command_id)).ended and clock.now() < until:
        await clock.sleep(EVERY_SECONDS)
    return found


def _load(step: ReplicaStep, served: ServedModel) -> ModelLoad:
    """The name is that of this replica, this way, in this execution: sent twice under it, it is done once."""
    region, version = bootstrap.settings().region, served.wanted
    manifest = read_manifest(bootstrap.model_store(region), version.name, version.version, region)
    instance_id, _, port = step.next.replica_id.rpartition(":")
    way = "back" if update_of(served).reverting else "to"
    return ModelLoad(
        name=f"{step.cluster_id}-t{step.token}-{instance_id.replace('.', '-')}-{port}-{way}",
        instance_id=instance_id,
        bucket=bootstrap.settings().model_bucket(region),
        prefix=manifest.prefix,
        manifest_key=manifest_key(version.name, version.version),
        manifest_sha256=manifest.digest(),
    )
