"""Builders of domain objects: each has good defaults, and a test names only what it is about.

The fleet is one Region, `us-east-1`, with an active cluster `use1-a` (4 replicas) and a standby `use1-b` (2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from standfast.brake import Brake, Switch, cluster_scope
from standfast.checks import NodeFinding
from standfast.fault_finding import find_faults
from standfast.fault_memory import FaultMemory
from standfast.fleet import Automation, FleetConfig, ReplicaAddress, Role
from standfast.gpu import NodeReport
from standfast.health import Assessment, EndpointProbe, Outcome, Verdict
from standfast.health_rules import Detection
from standfast.lease import Lease, Purpose
from standfast.node_health import judge_node
from standfast.stores import AppliedConfig, ScopeRecord, View
from standfast.traffic import Desired, Weights

SCOPE = "us-east-1"
ACTIVE, STANDBY = "use1-a", "use1-b"
NOW = 1_800_000_000.0
"""Seconds since the epoch: some time in 2027."""
ENTRY_URL = "http://entry.test"
EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:cluster-failover:one"

_ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012"
RULE_ARN = f"{_ARN}:listener-rule/app/entry/50dc6c495c0c9188/f2f7dc8efc522ab2/9683b2d02a6cabee"
LOW_PRIORITY_RULE_ARN = f"{_ARN}:listener-rule/app/entry/50dc6c495c0c9188/f2f7dc8efc522ab2/0123456789abcdef"


def target_group_arn(cluster_id: str) -> str:
    """The ARN of a cluster's target group."""
    return f"{_ARN}:targetgroup/{cluster_id}/73e2d6bc24d8a067"


def cluster(cluster_id: str, role: str = "standby", replicas: int = 2) -> dict[str, Any]:
    """A cluster as a FleetConfig document has it."""
    return {"role": role, "replicas": replicas, "target_group_arn": target_group_arn(cluster_id)}


def document(**changes: Any) -> dict[str, Any]:
    """A good FleetConfig document, as parsed from YAML. `changes` replace top-level fields."""
    clusters = {ACTIVE: cluster(ACTIVE, "active", 4), STANDBY: cluster(STANDBY)}
    entry = {"url": ENTRY_URL, "listener_rule_arn": RULE_ARN}
    return {
        "fleet": "chat",
        "model": {"name": "tiny", "engine": "vllm"},
        "regions": {SCOPE: {"entry": entry, "clusters": clusters}},
        **changes,
    }


def fleet(**changes: Any) -> FleetConfig:
    """The FleetConfig of `document`."""
    return FleetConfig.parse(document(**changes))


def limits(**changes: Any) -> Detection:
    """Detection limits: three direct failures, two through the entry, ten seconds fresh."""
    return Detection(**changes)


def desired(
    weights: Weights | None = None,
    roles: Mapping[str, Role] | None = None,
    *,
    version: int = 7,
    token: int = 3,
    superseded: tuple[Weights, ...] = (),
) -> Desired:
    """Desired state: all traffic on the active cluster."""
    return Desired(
        version=version,
        token=token,
        weights={ACTIVE: 100, STANDBY: 0} if weights is None else weights,
        roles={ACTIVE: Role.ACTIVE, STANDBY: Role.STANDBY} if roles is None else roles,
        reason="as built by a test",
        updated_at=NOW - 3600,
        superseded=superseded,
    )


def lease(token: int = 3, holder: str | None = None, purpose: Purpose | None = None) -> Lease:
    """A lease; a holder without a purpose holds it for a failover."""
    held_for = (purpose or Purpose.FAILOVER) if holder else None
    return Lease(token, holder, held_for, NOW - 60 if holder else 0.0)


def record(
    state: Desired | None = None, held: Lease | None = None, *, attempts: int = 0, not_before: float = 0.0
) -> ScopeRecord:
    """A scope's record with a free lease."""
    return ScopeRecord(SCOPE, state or desired(), held or lease(), attempts, not_before)


def switch(automation: Automation = Automation.RUN, reason: str = "proven in the game day") -> Switch:
    """The switch, set by somebody."""
    return Switch(automation, reason, "ada", NOW - 86400)


def brake(automation: Automation = Automation.RUN, **others: Automation) -> Brake:
    """The fleet's switch, and those of clusters by their ids with `_` for `-`."""
    scopes = {cluster_scope(name.replace("_", "-")): held for name, held in others.items()}
    return Brake(switch(automation), {scope: replace(switch(held), scope=scope) for scope, held in scopes.items()})


def addresses(cluster_id: str, count: int) -> list[ReplicaAddress]:
    """Replicas `i-<cluster>-1:8000` and so on, with URLs of their own."""
    return [
        ReplicaAddress(f"i-{cluster_id}-{number}:8000", cluster_id, f"http://{cluster_id}-{number}.test:8000")
        for number in range(1, count + 1)
    ]


def view(
    scope: ScopeRecord | None = None,
    *,
    config: FleetConfig | None = None,
    replicas: Mapping[str, Sequence[ReplicaAddress]] | None = None,
    assessments: Mapping[str, Assessment] | None = None,
    relay: int = 0,
) -> View:
    """Everything known of the scope: four active and two standby replicas are registered."""
    registered = {ACTIVE: addresses(ACTIVE, 4), STANDBY: addresses(STANDBY, 2)}
    return View(
        scope=scope or record(),
        applied=AppliedConfig(1, config or fleet()),
        replicas=registered if replicas is None else replicas,
        assessments=assessments or {},
        relay=relay,
    )


def probe(
    outcome: Outcome = Outcome.ANSWERED,
    *,
    at: float = NOW,
    took: float = 0.05,
    detail: str = "",
    progress: float | None = None,
) -> EndpointProbe:
    """One probe that began at `at`."""
    first_token = took if outcome in (Outcome.ANSWERED, Outcome.SLOW) else None
    return EndpointProbe(at, at + took, outcome, detail, first_token, progress)


def probes(*outcomes: Outcome, until: float = NOW, progress: Sequence[float | None] = ()) -> list[EndpointProbe]:
    """Probes a second apart, oldest first, the last of them ended just before `until`."""
    begun = until - len(outcomes)
    readings = [*progress, *[None] * (len(outcomes) - len(progress))]
    return [
        probe(outcome, at=begun + second, progress=reading)
        for second, (outcome, reading) in enumerate(zip(outcomes, readings, strict=True))
    ]


def assessment(
    cluster_id: str = ACTIVE,
    verdict: Verdict = Verdict.HEALTHY,
    reason: str = "as built by a test",
    *,
    assessed_at: float = NOW,
    since: float | None = None,
) -> Assessment:
    """An assessment made just now."""
    passing = 0 if verdict is Verdict.UNHEALTHY else 4
    return Assessment(cluster_id, verdict, reason, passing, 4, assessed_at, since)


def judged_node(report: NodeReport, expected_gpus: int | None = None, memory: FaultMemory | None = None) -> NodeFinding:
    """The finding of a node by one report, with what was remembered of it before."""
    faults, _, _ = find_faults(report, expected_gpus, memory or FaultMemory())
    return judge_node(report, faults)
