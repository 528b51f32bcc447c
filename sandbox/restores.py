"""What befalls a Region's control state, what a person does about it, and how it is looked at afterwards."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sandbox import model_desk
from sandbox.plan import FLEET, SandboxError
from standfast.aws.region_table import RegionTable
from standfast.aws.state_tables import RegionalTables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.region import SandboxRegion
    from standfast.backup_ports import ControlState

LIMIT_SECONDS: Final = 300.0
ASKED: Final = {"by": "sandbox", "reason": "a script wrote over the state table"}
STATES: Final = (
    "FreezeAutomation", "RestoreModels", "RestoreConfig", "ProveClusters", "RestoreTraffic", "ResumeRequests",
    "SmokeTest", "CommitRestore",
)  # fmt: skip
"""Of `restore`, those from which on something is changed."""
WORKERS: Final = (
    "plan-restore", "verify-artefacts", "freeze-automation", "restore-models", "restore-config", "prove-clusters",
    "restore-traffic", "smoke-test", "commit-restore",
)  # fmt: skip


def succeeded(region: SandboxRegion, machine: str, payload: Mapping[str, object]) -> dict[str, Any]:
    """Run a machine to its end and give what it answered. Raises SandboxError when it did not succeed."""
    execution = model_desk.run(region, machine, payload, LIMIT_SECONDS)
    if execution["status"] != "SUCCEEDED":
        raise SandboxError(f"{region.name}: {machine} {execution['status']}: {execution.get('cause')}")
    return model_desk.output(execution)


def tables(region: SandboxRegion) -> RegionalTables:
    """The state tables, item by item."""
    return RegionalTables(
        region.outputs["ClusterTableName"], f"{FLEET}-regions", region.name, region.client("dynamodb")
    )


def known(region: SandboxRegion) -> ControlState:
    """What the tables say of the Region."""
    found = tables(region)
    return found.understood(found.read_decisive())


def matters(region: SandboxRegion) -> dict[str, Any]:
    """What a restore puts back, without the numbers that only grow."""
    found = known(region)
    if found.scope is None or found.standing is None:
        raise SandboxError(f"{region.name}: there is no state that can be understood: {dict(found.unreadable)}")
    brake = RegionTable(f"{FLEET}-regions", region.client("dynamodb")).read_brake()
    return {
        "weights": {name: weight for name, weight in found.scope.desired.weights.items() if weight},
        "roles": {name: str(role) for name, role in found.scope.desired.roles.items()},
        "configuration": found.standing.text,
        "models": sorted(f"{each.model} {each.version} {each.state}" for each in found.models),
        "switch": str(brake.of(region.name).automation),
        "holder": found.scope.lease.holder,
    }


def ruin(region: SandboxRegion) -> float:
    """A script writes over roles, weights and configuration: nobody can read them. Answers when."""
    for name, item in (
        ("SCOPE", {"token": {"N": "1"}, "weights": {"S": "oops"}}),
        ("CONFIG", {"document": {"S": "oops"}}),
    ):
        region.client("dynamodb").put_item(
            TableName=region.outputs["ClusterTableName"], Item={"pk": {"S": region.name}, "sk": {"S": name}, **item}
        )
    return time.time()


def moment(at: float) -> str:
    """As an execution's input has it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def start(region: SandboxRegion, payload: Mapping[str, object]) -> str:
    """Start `restore` and answer the execution's ARN."""
    answer = region.client("stepfunctions").start_execution(
        stateMachineArn=region.outputs["RestoreArn"], input=json.dumps(payload)
    )
    return str(answer["executionArn"])


def kill(region: SandboxRegion, arn: str) -> bool:
    """Stop an execution of `restore`, and its workers with it. False when it had ended by itself."""
    workers = [region.function_arn(function) for function in WORKERS]
    region.client("stepfunctions").stop_execution(executionArn=arn, error="Stopped", cause="its controller dies")
    for worker in workers:
        region.cloud.environments.stop(worker, active=True)
    return str(region.wait_for_end(arn)["status"]) == "ABORTED"


def undone(region: SandboxRegion) -> bool:
    """Whether no restore is under way, and none is left to be put back."""
    key = {"pk": {"S": f"{region.name}#BACKUPS"}, "sk": {"S": "UNDO"}}
    answer = region.client("dynamodb").get_item(
        TableName=region.outputs["ClusterTableName"], Key=key, ConsistentRead=True
    )
    return "Item" not in answer
