"""What one assessment costs, a task: `python assessment_cost.py FLEET`, in the functions' interpreter.

FLEET is JSON: {"config": <FleetConfig>, "replicas": {cluster id: [[instance id, url], ...]}, "report": <the text that
each node answers>}. The handlers are the real ones and ask real sockets; the state table, Systems Manager and whoever
is told are in memory. Prints {"tasks": {name: {"seconds", "cpu_seconds", "answer_bytes"}}, "state_bytes", "megabytes",
"largest_item_bytes", "verdicts"}: `state_bytes` is the largest state that Step Functions would carry.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from health import collect_node_reports, judge_clusters, plan_assessment, probe_endpoints, request_node_reports
from standfast import bootstrap
from standfast.aws.items import encode_item
from standfast.brake import Brake, Switch
from standfast.checks import Traffic
from standfast.configuration import first_record
from standfast.fault_memory import FaultMemory, NodeMemory
from standfast.fleet import Automation, FleetConfig, ReplicaAddress
from standfast.node_reports import Collected, NodeAnswer
from standfast.stores import AppliedConfig, CheckStore, FaultStore, HistoryStore, View, ViewStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from standfast.capacity import Load
    from standfast.checks import Checked, NodeHealth
    from standfast.fault_memory import Occurrence
    from standfast.golden import Golden
    from standfast.stores import HealthChange, Told

SCOPE: Final = "us-east-1"


class KnownFleet(ViewStore, CheckStore, HistoryStore, FaultStore):
    """ClusterTable, FaultTable, RegionTable, Messenger and Metrics of a fleet that stands still."""

    def __init__(self, fleet: Mapping[str, Any]) -> None:
        config = FleetConfig.parse(fleet["config"])
        replicas = {
            cluster_id: [ReplicaAddress(f"{instance}:8000", cluster_id, url) for instance, url in found]
            for cluster_id, found in fleet["replicas"].items()
        }
        scope = first_record(SCOPE, config, time.time())
        self.known = View(scope=scope, applied=AppliedConfig(1, config), replicas=replicas, assessments={}, relay=1)
        self.verdicts: dict[str, int] = {}
        self.largest = 0

    def view(self) -> View:
        return self.known

    def read_config(self) -> AppliedConfig:
        return self.known.applied

    def read_golden(self, _model: str, _version: str | None) -> Sequence[Golden]:
        return ()

    def write_checks(self, checked: Checked, nodes: NodeHealth | None) -> None:
        self.verdicts[checked.verdict] = self.verdicts.get(checked.verdict, 0) + 1
        for item in (asdict(checked), asdict(nodes) if nodes else {}):
            self.largest = max(self.largest, len(json.dumps(encode_item(_plain(item)))))

    def write_load(self, load: Load) -> None:
        """Nobody reads it."""

    def read_faults(self) -> FaultMemory:
        return FaultMemory({}, {})

    def write_faults(
        self, nodes: Sequence[NodeMemory], gpus: Mapping[str, tuple[Occurrence, ...]], *, now: float
    ) -> None:
        """Nobody reads them."""

    def outcome(self, _incident_id: str, **_since: float) -> str | None:
        return None

    def record(self, told: Told) -> None:
        """Nobody reads it."""

    def write_change(self, change: HealthChange) -> None:
        """Nobody reads it."""

    def changes(self, cluster_id: str, most: int) -> Sequence[HealthChange]:  # noqa: ARG002 - the port has them
        return ()

    def page(self, subject: str, _text: str) -> None:
        raise RuntimeError(f"a page from a fleet that can be seen: {subject}")

    def notice(self, subject: str, text: str) -> None:
        """Nobody reads it."""

    def event(self, detail_type: str, detail: Mapping[str, object]) -> None:
        """Nobody listens."""

    def put(self, metrics: Mapping[str, float], now: float, **_more: object) -> None:
        """Nobody counts."""

    def glance_at_brake(self) -> Brake:
        return Brake(Switch(Automation.RUN, "a measurement", "bench", 0.0))


class KnownReports:
    """NodeReports: every node answers with the same text at once."""

    def __init__(self, replicas: Mapping[str, Sequence[ReplicaAddress]], text: str) -> None:
        self._replicas = replicas
        self._text = text

    def request(self, cluster_ids: Sequence[str]) -> Mapping[str, str]:
        return dict.fromkeys(cluster_ids, "11111111-1111-1111-1111-111111111111")

    def collect(self, commands: Mapping[str, str]) -> Collected:
        nodes = {
            name: {each.replica_id.rpartition(":")[0]: NodeAnswer(self._text) for each in self._replicas[name]}
            for name in commands
        }
        return Collected(nodes, done=True)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(entry) for name, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def measure(fleet: Mapping[str, Any]) -> dict[str, Any]:
    """The tasks of one assessment in the order of the state machine, each given what the one before answered."""
    known = KnownFleet(fleet)
    for factory in ("cluster_table", "fault_table", "region_table", "messenger", "metrics"):
        setattr(bootstrap, factory, lambda: known)
    reports = KnownReports(known.known.replicas, fleet["report"])
    bootstrap.node_reports = lambda: reports  # type: ignore[assignment]  # a factory without its cache
    tasks: dict[str, Any] = {}
    largest = 0

    def run(name: str, handler: Callable[[dict[str, Any], object], dict[str, Any]], state: dict[str, Any]) -> Any:
        given = json.loads(json.dumps(state))
        wall, spent = time.perf_counter(), time.process_time()
        answer = json.dumps(handler(given, None))
        tasks[name] = {
            "seconds": round(time.perf_counter() - wall, 3),
            "cpu_seconds": round(time.process_time() - spent, 3),
            "answer_bytes": len(answer),
        }
        return json.loads(answer)

    plan = run("PlanAssessment", plan_assessment.handler, {"input": {"cluster_ids": list(known.known.replicas)}})
    endpoints = run("ProbeEndpoints", probe_endpoints.handler, plan)
    branch = {**plan, "commands": run("RequestNodeReports", request_node_reports.handler, plan)}
    nodes = run("CollectNodeReports", collect_node_reports.handler, branch)
    largest = max(largest, len(json.dumps({**branch, "collected": nodes})))
    traffic = {"traffic": {name: asdict(Traffic(1000.0, 0.0)) for name in known.known.replicas}}
    state = {**plan, "evidence": [endpoints, nodes, traffic]}
    state["judged"] = run("JudgeClusters", judge_clusters.handler, state)
    largest = max(largest, len(json.dumps(state)))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "tasks": tasks,
        "state_bytes": largest,
        "largest_item_bytes": known.largest,
        "megabytes": round(memory / (1024 if sys.platform != "darwin" else 1024 * 1024), 1),
        "verdicts": known.verdicts,
    }


def main() -> None:
    """One measurement."""
    print(json.dumps(measure(json.load(sys.stdin))))


if __name__ == "__main__":
    main()
