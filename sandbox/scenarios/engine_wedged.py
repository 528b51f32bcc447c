"""`engine-wedged`: every replica of the active cluster is stopped; it accepts connections and answers nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.scenario import Scenario
from sandbox.trials import NEVER, Limit, Trial, run_trials

if TYPE_CHECKING:
    from sandbox.region import SandboxRegion
    from sandbox.scenario import Report, Stage

NAME = "engine-wedged"


def _pause(region: SandboxRegion) -> None:
    region.nodes.pause(region.primary)


TRIAL = Trial(
    NAME,
    _pause,
    limits={"recovery_seconds": Limit(median=8.0), **NEVER},
    cold_limits={"decision_to_traffic_seconds": Limit(worst=4.0), **NEVER},
)


def run(stage: Stage) -> Report:
    """As often as asked, held against the limits."""
    return run_trials(TRIAL, stage)


SCENARIO = Scenario(
    NAME, "SIGSTOP of every replica of the active cluster: it accepts connections and answers nothing", run
)
