"""`cluster-failover`: every replica of the active cluster is killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox import figures
from sandbox.runs import baseline_runs
from sandbox.scenario import Report, Scenario
from sandbox.trials import NEVER, Limit, Trial, run_trials

if TYPE_CHECKING:
    from sandbox.region import SandboxRegion
    from sandbox.scenario import Stage

NAME = "cluster-failover"


def _kill(region: SandboxRegion) -> None:
    region.nodes.kill(region.primary)


TRIAL = Trial(
    NAME,
    _kill,
    limits={
        "recovery_seconds": Limit(median=6.0, worst=8.0),
        "own_seconds": Limit(median=3.5),
        "decision_to_traffic_seconds": Limit(median=1.5),
        **NEVER,
    },
    cold_limits={"decision_to_traffic_seconds": Limit(worst=4.0), **NEVER},
)


def run(stage: Stage) -> Report:
    """As often as asked, held against the limits."""
    return run_trials(TRIAL, stage)


def baseline(stage: Stage) -> Report:
    """What the same fault costs without Standfast. It passes when it could be measured."""
    done = baseline_runs(stage)
    return Report(
        f"{NAME} (baseline: Standfast off)",
        stage.region_name,
        {name: figures.summaries([run.figures]) for name, run in done.items()},
        [moment for run in done.values() for moment in run.timeline],
    )


SCENARIO = Scenario(NAME, "SIGKILL of every replica of the active cluster", run, baseline)
