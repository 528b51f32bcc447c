"""The scenarios: what is broken, what must come out, and the report."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from sandbox import figures
from sandbox.runs import Run, baseline_runs, failover_run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sandbox.fleet.load import Load
    from sandbox.region import SandboxRegion


@dataclass(frozen=True, slots=True)
class Limit:
    """What the figure of all runs may be at most, in its unit."""

    median: float | None = None
    worst: float | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One story. `limits` by figure; `cold_limits` instead of them when the functions begin cold."""

    name: str
    title: str
    limits: Mapping[str, Limit]
    cold_limits: Mapping[str, Limit]
    break_it: Callable[[SandboxRegion, str], None]


def _kill(region: SandboxRegion, cluster_id: str) -> None:
    region.nodes.kill(cluster_id)


def _pause(region: SandboxRegion, cluster_id: str) -> None:
    region.nodes.pause(cluster_id)


ENOUGH = 5
"""Fewer runs have no median to speak of: they are held to what is the worst only."""
NEVER = {"failed_after_recovery": Limit(worst=0), "zero_weight_moments": Limit(worst=0)}

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "cluster-failover",
            "SIGKILL of every replica of the active cluster",
            {
                "recovery_seconds": Limit(median=6.0, worst=8.0),
                "own_seconds": Limit(median=3.5),
                "decision_to_traffic_seconds": Limit(median=1.5),
                **NEVER,
            },
            {"decision_to_traffic_seconds": Limit(worst=4.0), **NEVER},
            _kill,
        ),
        Scenario(
            "engine-wedged",
            "SIGSTOP of every replica of the active cluster: it accepts connections and answers nothing",
            {"recovery_seconds": Limit(median=8.0), **NEVER},
            {"decision_to_traffic_seconds": Limit(worst=4.0), **NEVER},
            _pause,
        ),
    )
}
TOUR = "tour"
TITLES = {name: scenario.title for name, scenario in SCENARIOS.items()} | {
    TOUR: "both, one after the other, with a table of figures beside the original design's"
}


@dataclass(frozen=True, slots=True)
class Report:
    """What the command prints and writes: the JSON is `document()`."""

    scenario: str
    passed: bool
    runs: int
    figures: Mapping[str, Any]
    timeline: Sequence[Any]
    faults: Sequence[str]

    def document(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "scenario": self.scenario,
            "passed": self.passed,
            "runs": self.runs,
            "figures": dict(self.figures),
            "timeline": [asdict(moment) for moment in self.timeline],
            "faults": list(self.faults),
        }


def run_scenario(
    scenario: Scenario,
    region: SandboxRegion,
    load: Load,
    *,
    runs: int,
    seed: int,
    cold: bool,
    say: Callable[[str], None],
) -> Report:
    """Run it as often as asked, mending between the runs. The timeline is that of the slowest run."""
    chance = random.Random(seed)
    done: list[Run] = []
    for number in range(1, runs + 1):
        if number > 1:
            say("mending what was broken, and moving the traffic back")
            region.restore()
        if runs > 1:
            say(f"{scenario.name}: run {number} of {runs}")
        run = failover_run(
            region, load, lambda cluster_id: scenario.break_it(region, cluster_id), chance, cold=cold, say=say
        )
        done.append(run)
        say(in_words(run))
    return _report(scenario, done, cold=cold)


def _report(scenario: Scenario, done: Sequence[Run], *, cold: bool) -> Report:
    faults = [f"run {number}: {fault}" for number, run in enumerate(done, 1) for fault in run.faults]
    limits = scenario.cold_limits if cold else scenario.limits
    for key, limit in limits.items():
        faults += _exceeded(key, [run.figures[key] for run in done], limit)
    slowest = max(done, key=lambda run: run.figures["recovery_seconds"] or float("inf"))
    return Report(
        scenario=f"{scenario.name}{' (cold)' if cold else ''}",
        passed=not faults,
        runs=len(done),
        figures=figures.summaries([run.figures for run in done]),
        timeline=slowest.timeline,
        faults=faults,
    )


def _exceeded(key: str, values: Sequence[float | None], limit: Limit) -> list[str]:
    known = [float("inf") if value is None else value for value in values]
    found = []
    if limit.median is not None and len(known) >= ENOUGH and median(known) > limit.median:
        found.append(f"{key}: median {median(known):.3f}, at most {limit.median:g} is wanted")
    if limit.worst is not None and max(known) > limit.worst:
        found.append(f"{key}: worst {max(known):.3f}, at most {limit.worst:g} is wanted")
    return found


def run_baseline(region: SandboxRegion, load: Load, *, say: Callable[[str], None]) -> Report:
    """What the same fault costs without Standfast. It passes when it could be measured."""
    done = baseline_runs(region, load, say)
    return Report(
        scenario="cluster-failover (baseline: Standfast off)",
        passed=True,
        runs=1,
        figures={name: figures.summaries([run.figures]) for name, run in done.items()},
        timeline=[moment for run in done.values() for moment in run.timeline],
        faults=(),
    )


def in_words(run: Run) -> str:
    """One run in a sentence."""
    values = run.figures
    recovery, own, path = (
        "never" if values[key] is None else f"{values[key]:.2f} s"
        for key in ("recovery_seconds", "own_seconds", "decision_to_traffic_seconds")
    )
    return (
        f"recovered in {recovery} (our own part {own}), detected after {values['detection_seconds']:.2f} s, "
        f"decision to traffic {path}; {values['failed_requests']:.0f} of {values['requests']:.0f} requests failed"
        + ("" if not run.faults else "; NOT AS IT SHOULD BE: " + "; ".join(run.faults))
    )
