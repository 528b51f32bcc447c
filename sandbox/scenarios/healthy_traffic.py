"""`healthy-traffic`: nothing is wrong, for five minutes a run (`--runs 6`: half an hour). All that is said is false.

The load changes each minute: quiet, usual, long prompts, heavy, bursts. Every verdict is heard, of the watch and of
every assessment, on all clusters of all Regions; those of the other Regions are asked as usual.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.fleet.load import Plan, Record
    from sandbox.scenario import Stage
    from sandbox.verdicts import Written

NAME: Final = "healthy-traffic"
MINUTES: Final = 5
"""Of one run: each phase once."""
PHASE_SECONDS: Final = 60.0
BURST_SECONDS: Final = 4.0
BURST_EVERY_SECONDS: Final = 12.0
FAILED_LIMIT: Final = 0.001
"""A larger share of failed requests would be no healthy traffic."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A minute of the load: requests a second, those of a burst beside them, and the words of a prompt."""

    name: str
    rate_per_second: float
    burst_per_second: float = 0.0
    prompt_words: tuple[int, int] = (3, 20)


PHASES: Final = (
    Phase("quiet", 4.0),
    Phase("usual", 24.0),
    Phase("long prompts", 12.0, prompt_words=(40, 300)),
    Phase("heavy", 60.0),
    Phase("bursts", 6.0, burst_per_second=80.0),
)


def run(stage: Stage) -> Report:
    """So many times five minutes as runs are asked for; the Region is well afterwards."""
    from sandbox.verdicts import Verdicts
    from sandbox.witness import Witness

    region, say = stage.region, stage.say
    region.invoke("record-golden", {"cluster_id": region.primary, "reason": "the sandbox was just built"})
    witness = Witness(region)
    records: list[Record] = []
    phases: list[Moment] = []
    with Verdicts(tuple(stage.sandbox.regions.values())) as verdicts:
        for number in range(stage.runs * len(PHASES)):
            phase = PHASES[number % len(PHASES)]
            phases.append(Moment(round(time.time() - witness.began_at, 1), phase.name))
            records += _phase(stage, phase, seed=stage.seed + number)
            heard = verdicts.heard()
            say(f"minute {number + 1}, {phase.name}: {_so_far(records, heard)}")
        heard = verdicts.heard()
    figures = _figures(records, heard) | witness.figures()
    figures["minutes"] = round((time.time() - witness.began_at) / 60, 1)
    false = [Moment(round(each.at - witness.began_at, 1), "false verdict", str(each)) for each in _false(heard)]
    faults = [*witness.faults(), *complaints(figures), *(moment.detail for moment in false)]
    timeline = sorted([*phases, *false, *witness.timeline()], key=lambda moment: moment.at)
    return Report(NAME, stage.region_name, figures, timeline, faults, runs=stage.runs)


def _phase(stage: Stage, phase: Phase, *, seed: int) -> list[Record]:
    """A minute. What is under way at its end is waited for."""
    region = stage.region
    records: list[Record] = []
    if region.load is not None:
        region.load.stop()
    load = region.start_load(_plan(stage, phase, phase.rate_per_second, seed))
    ends_at = time.time() + PHASE_SECONDS
    while (left := ends_at - time.time()) > 0:
        if phase.burst_per_second and left > BURST_EVERY_SECONDS:
            records += _burst(stage, phase, seed)
            left = min(left, BURST_EVERY_SECONDS) - BURST_SECONDS
        time.sleep(max(0.0, left))
    return [*records, *load.stop()]


def _burst(stage: Stage, phase: Phase, seed: int) -> Sequence[Record]:
    from sandbox.fleet.load import Load

    with Load(_plan(stage, phase, phase.burst_per_second, seed)) as burst:
        burst.start(stage.region.door.url)
        time.sleep(BURST_SECONDS)
        return burst.stop()


def _plan(stage: Stage, phase: Phase, rate_per_second: float, seed: int) -> Plan:
    from sandbox.fleet.load import Plan

    model = stage.region.model.version
    return Plan(8, rate_per_second, seed, model, prompt_words=phase.prompt_words)


def _false(heard: Sequence[Written]) -> list[Written]:
    from sandbox.verdicts import spells

    return spells(heard)


def _so_far(records: Sequence[Record], heard: Sequence[Written]) -> str:
    false = _false(heard)
    said = f"; FALSE: {false[-1]}" if false else ""
    return f"{len(records)} requests, {len(heard)} verdicts, {len(false)} of them false{said}"


def _figures(records: Sequence[Record], heard: Sequence[Written]) -> dict[str, Any]:
    from sandbox.verdicts import ASSESSMENT, WATCH

    return {
        "faults_injected": 0,
        "false_verdicts": len(_false(heard)),
        "verdicts_of_the_watch": sum(each.source == WATCH for each in heard),
        "verdicts_of_assessments": sum(each.source == ASSESSMENT for each in heard),
        "requests": len(records),
        "failed_requests": sum(record.failed for record in records),
        "shed_requests": sum(record.shed for record in records),
    }


def complaints(figures: Mapping[str, Any]) -> list[str]:
    """What is not as it should be where nothing was wrong."""
    wanted_none = ("false_verdicts", "weight_changes", "failovers_started", "pages", "shed_requests")
    found = [f"{key} is {figures[key]}" for key in wanted_none if figures[key]]
    if figures["failed_requests"] > FAILED_LIMIT * figures["requests"]:
        found.append(
            f"{figures['failed_requests']} of {figures['requests']} requests failed: that was no healthy traffic"
        )
    if not figures["verdicts_of_the_watch"] or not figures["verdicts_of_assessments"]:
        found.append("no verdict was heard")
    return found


SCENARIO = Scenario(NAME, "nothing is wrong, 5 minutes a run at mixed load: nothing is said and nothing moves", run)
