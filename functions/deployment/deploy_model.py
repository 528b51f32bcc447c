"""DeployModel: have every node of green load the version, all at once, for none of them has traffic."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap
from standfast.bootstrap_rollouts import model_loads
from standfast.deployment_keeping import ours
from standfast.deployment_steps import LoadedAnswer, LoadStep
from standfast.errors import NotServingError
from standfast.fleet import parse_input
from standfast.manifest import Manifest, manifest_key
from standfast.replicating import read_manifest
from standfast.rollout_ports import ModelLoad


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer how far they are. Raises FencedError, and NotServingError when a node could not load it."""
    step = parse_input(LoadStep, event, "the DeployModel task")
    view, now = bootstrap.cluster_table().view(), bootstrap.clock().now()
    ours(view.scope, step)
    region = bootstrap.settings().region
    manifest = read_manifest(bootstrap.model_store(region), step.to.name, step.to.version, region)
    commands = dict(step.loads.commands) if step.loads else {}
    began = step.loads.began_at if step.loads else now
    ended = 0
    for instance_id in step.nodes.instance_ids:
        if not commands.get(instance_id):  # its agent may not have told of itself yet
            commands[instance_id] = model_loads().send(_load(step, instance_id, manifest))
            continue
        progress = model_loads().progress(commands[instance_id])
        if progress.failed:
            raise NotServingError(f"{instance_id} did not load {step.to}: {progress.said}")
        ended += progress.ended
    count = len(step.nodes.instance_ids)
    if ended < count and now - began > view.applied.config.rollouts.load_seconds:
        raise NotServingError(f"{ended} of {count} nodes have loaded {step.to} after {now - began:.0f} s")
    said = f"{ended} of {count} nodes have loaded {step.to}"
    return LoadedAnswer(loaded=ended == count, said=said, began_at=began, commands=commands).model_dump(mode="json")


def _load(step: LoadStep, instance_id: str, manifest: Manifest) -> ModelLoad:
    """The name is that of this node in this deployment: sent twice under it, it is done once."""
    return ModelLoad(
        name=f"{step.green}-{instance_id.replace('.', '-')}-to",
        instance_id=instance_id,
        bucket=bootstrap.settings().model_bucket(bootstrap.settings().region),
        prefix=manifest.prefix,
        manifest_key=manifest_key(step.to.name, step.to.version),
        manifest_sha256=manifest.digest(),
    )
