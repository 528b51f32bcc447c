"""What a team does to release a model version: register it, have it verified, roll it out, and look at what serves."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from sandbox import model_desk
from sandbox.fleet.models import tiny_model
from sandbox.fleet.replica import Replica
from sandbox.plan import ROOT, SandboxError
from standfast import golden
from standfast.fleet import Canary
from standfast.probes.http import HttpProber

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.fleet.load import Record
    from sandbox.fleet.models import Model
    from sandbox.region import SandboxRegion
    from sandbox.scenario import Stage
    from standfast.golden import Golden
    from standfast.health import EndpointProbe

RATE: Final = 24.0
CLIENTS: Final = 12
UPDATE_SECONDS: Final = 600.0
TRIES: Final = 10
LOOK_SECONDS: Final = 0.5
ROLLOUTS: Final = {"replica_bake_seconds": 10, "load_seconds": 60, "drain_seconds": 30}


def model_of(seed: int) -> Model:
    """The model of a seed, which is a version."""
    return tiny_model(seed, ROOT / "build" / "models")


def prefix(name: str, version: str) -> str:
    """A version's folder in the bucket."""
    return f"models/{name}/{version}/"


def golden_answers(model: Model) -> list[Golden]:
    """What a model answers, asked before it is released: on a machine of the team's own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    replica = Replica("127.0.0.1", port, model).start()
    try:
        return asyncio.run(_asked(replica.url, model.version))
    finally:
        replica.close()


async def _asked(url: str, name: str) -> list[Golden]:
    """A machine that is busy answers late: whatever failed is asked again, a few times."""
    canary, prober = Canary(first_token_seconds=2.0, deadline_seconds=2.0), HttpProber("llama.cpp")

    async def probe(nonce: str) -> EndpointProbe:
        for _ in range(TRIES):
            found = await prober.ask(url, name, canary, nonce=nonce)
            if found.passed:
                break
        return found

    asked = {"here": {nonce: [await probe(nonce) for _ in range(golden.ASKED_EACH)] for nonce in golden.NONCES}}
    return list(golden.agreed(asked, canary.prompt, canary.logprob_tolerance))


def unloadable(model: Model) -> bytes:
    """The model as a file that is whole and that no engine knows: of an architecture that there is not."""
    return model.path.read_bytes().replace(b"llama", b"lluma")


def register(
    region: SandboxRegion, name: str, model: Model, *, body: bytes | None = None, answers: Model | None = None
) -> None:
    """Upload a version with its golden answers, register it and have it verified in its Region.

    `body`: other bytes than the model's, of which nobody knows what they answer. `answers`: whose golden answers are
    recorded, where they are not its own.
    """
    where = prefix(name, model.version)
    recorded = [] if body is not None else [asdict(each) for each in golden_answers(answers or model)]
    files = {
        "tiny.gguf": model.path.read_bytes() if body is None else body,
        "standfast.json": json.dumps({"engine": "llama.cpp", "golden": recorded}).encode(),
    }
    model_desk.upload(region, where, files)
    asked = {"model": name, "version": model.version}
    for machine, payload in (
        ("register-model", {**asked, "prefix": where}),
        ("replicate-model", {**asked, "regions": [region.name]}),
    ):
        execution = model_desk.run(region, machine, payload)
        if execution["status"] != "SUCCEEDED":
            raise SandboxError(f"{machine} of {model.version}: {execution['status']}: {execution.get('cause')}")


def apply_version(stage: Stage, **rollouts: object) -> None:
    """Have the FleetConfig name the version that serves, record what it answers, and wait until all is well."""
    region, name = stage.region, stage.region.model.version
    served = {"name": name, "engine": "llama.cpp", "version": region.model.version}
    stage.sandbox.apply_config(model=served, rollouts={**ROLLOUTS, **rollouts})
    region.invoke("record-golden", {"cluster_id": region.primary, "reason": "the version that serves is well"})
    region.wait_until_ready()


def faults_in(region: SandboxRegion, figures: Mapping[str, Any], *zero: str) -> list[str]:
    """Figures that must be zero and are not, and what a role was denied."""
    found = [f"{key}: {figures[key]}, 0 is wanted" for key in zero if figures[key]]
    return [*found, *(f"denied: {each.role} lacks {each.action} on {each.resource}" for each in region.cloud.denials())]


def start(
    region: SandboxRegion, cluster_id: str, version: str, *, machine: str = "RollingUpdateArn", **wishes: object
) -> str:
    """Start a rollout as from the console. Returns the execution's ARN. `machine`: the stack's output that names it."""
    payload = {
        "scope_id": region.name,
        "cluster_id": cluster_id,
        "version": version,
        "reason": "the scenario releases a version",
        **wishes,
    }
    answer = region.client("stepfunctions").start_execution(
        stateMachineArn=region.outputs[machine], input=json.dumps(payload)
    )
    return str(answer["executionArn"])


def executions(region: SandboxRegion) -> list[dict[str, Any]]:
    """All executions of `rolling_update`, as listed."""
    found: list[dict[str, Any]] = region.client("stepfunctions").list_executions(
        stateMachineArn=region.outputs["RollingUpdateArn"]
    )["executions"]
    return found


def versions(region: SandboxRegion, cluster_id: str) -> Mapping[str, str]:
    """Instance id -> the version that its engine says that it serves; empty where it does not answer."""
    nodes = region.nodes.nodes(cluster_id)

    async def said() -> list[str]:
        prober = HttpProber("llama.cpp")
        found = await asyncio.gather(*(prober.describe(node.replica.url) for node in nodes))
        return [(each.version or "").rpartition("/")[0].rpartition("/")[2] for each in found]

    return {node.instance_id: version for node, version in zip(nodes, asyncio.run(said()), strict=True)}


def mixed(region: SandboxRegion, cluster_id: str, live: str) -> int:
    """Replicas that serve another version than the live one."""
    return sum(version != live for version in versions(region, cluster_id).values())


def over(records: Sequence[Record], moments: Sequence[float]) -> int:
    """Requests that were under way at one of the moments."""
    return sum(any(record.sent_at <= at <= record.ended_at for at in moments) for record in records)


class Fewest:
    """The fewest targets of a cluster that the load balancer gave traffic at once, looked at all the time."""

    def __init__(self, region: SandboxRegion, cluster_id: str) -> None:
        self._arn = region.groups[cluster_id]
        self._elb = region.client("elbv2")
        self.count = self._healthy()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="the fewest targets", daemon=True)
        self._thread.start()

    def _healthy(self) -> int:
        found = self._elb.describe_target_health(TargetGroupArn=self._arn)["TargetHealthDescriptions"]
        return sum(each["TargetHealth"]["State"] == "healthy" for each in found)

    def _look(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            self.count = min(self.count, self._healthy())

    def close(self) -> int:
        """The fewest until now. Nobody looks any more."""
        self._ended.set()
        self._thread.join()
        return self.count


def taken_out(region: SandboxRegion, arn: str) -> Sequence[float]:
    """When each replica was taken out, by an execution's events."""
    pages = region.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn)
    moments: list[float] = []
    began = False
    for page in pages:
        for event in page["events"]:
            if name := event.get("stateEnteredEventDetails", {}).get("name"):
                if name == "DrainReplica" and not began:
                    moments.append(event["timestamp"].timestamp())
                began = name == "DrainReplica" or (began and name == "IsReplicaDrained")
    return moments
