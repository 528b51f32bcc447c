"""A fault, repeated: each run mended before the next, all figures held against what is wanted."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from sandbox import figures
from sandbox.runs import failover_run
from sandbox.scenario import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sandbox.region import SandboxRegion
    from sandbox.runs import Run
    from sandbox.scenario import Stage


@dataclass(frozen=True, slots=True)
class Limit:
    """What the figure of all runs may be at most, in its unit."""

    median: float | None = None
    worst: float | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """`break_it` breaks the Region's active cluster. `limits` by figure; `cold_limits` when functions begin cold."""

    name: str
    break_it: Callable[[SandboxRegion], None]
    limits: Mapping[str, Limit]
    cold_limits: Mapping[str, Limit]


ENOUGH = 5
"""Fewer runs have no median to speak of: they are held to what is the worst only."""
SETTLING_SECONDS = 60.0
"""Within a minute every schedule has come round once, and has started its function cold beside all others: on AWS that
slows nobody down, here it takes both processors. The first of several runs is to be as warm as those after it."""
NEVER = {"failed_after_recovery": Limit(worst=0), "zero_weight_moments": Limit(worst=0)}


def run_trials(trial: Trial, stage: Stage) -> Report:
    """Run it as often as asked, mending between the runs. The timeline is that of the slowest run."""
    chance = random.Random(stage.seed)
    done: list[Run] = []
    if stage.runs > 1 and not stage.cold:
        stage.say(f"letting every schedule come round once: {SETTLING_SECONDS:.0f} s")
        time.sleep(SETTLING_SECONDS)
    for number in range(1, stage.runs + 1):
        if number > 1:
            stage.say("mending what was broken, and moving the traffic back")
            stage.region.restore()
        if stage.runs > 1:
            stage.say(f"{trial.name}: run {number} of {stage.runs}")
        run = failover_run(stage, trial.break_it, chance)
        done.append(run)
        stage.say(in_words(run))
    return _report(trial, stage, done)


def _report(trial: Trial, stage: Stage, done: Sequence[Run]) -> Report:
    faults = [f"run {number}: {fault}" for number, run in enumerate(done, 1) for fault in run.faults]
    limits = trial.cold_limits if stage.cold else trial.limits
    for key, limit in limits.items():
        faults += _exceeded(key, [run.figures[key] for run in done], limit)
    slowest = max(done, key=lambda run: run.figures["recovery_seconds"] or float("inf"))
    return Report(
        scenario=f"{trial.name}{' (cold)' if stage.cold else ''}",
        region=stage.region_name,
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
