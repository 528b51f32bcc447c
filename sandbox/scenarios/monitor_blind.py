"""`monitor-blind`: Systems Manager and CloudWatch are away, the service is well. Nothing moves and one person is paged;
when they are back, all is found well again.

Nobody starts an assessment: the schedule's own rounds must find out, and hold.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from sandbox.region import SandboxRegion
    from sandbox.scenario import Stage
    from standfast.stores import View

NAME: Final = "monitor-blind"
PAGE_SECONDS: Final = 150.0
"""Two scheduled rounds in a row must see nothing, half a minute to a minute apart."""
HOLD_SECONDS: Final = 65.0
"""After the page: longer than from one round to the next, whichever that is."""
BACK_SECONDS: Final = 240.0
"""CloudWatch counts whole minutes, and a round of the schedule must come by."""
SUBJECT: Final = "monitoring is blind"


def run(stage: Stage) -> Report:
    """Once; the Region is well afterwards."""
    from sandbox.bystanders import Bystanders
    from sandbox.witness import Witness

    region, say = stage.region, stage.say
    witness, others = Witness(region), Bystanders(stage.sandbox)
    metrics, run_command = region.cloud.monitoring.metrics, region.cloud.run_command
    metrics.silence(region.name)
    metrics.lose_reads(region.name)
    run_command.take_away(region.name)
    say("Systems Manager and CloudWatch are away in this Region")
    try:
        region.wait_for("a page", lambda: len(witness.messages("page")) > 0, PAGE_SECONDS)
        paged = witness.messages("page")[0]
        say(f"paged after {paged.at - witness.began_at:.1f} s: {paged.subject}")
        others.wait(HOLD_SECONDS)
        blind = unknown_checks(region.view())
        say("unknown meanwhile: " + ", ".join(sorted(blind)))
    finally:
        metrics.restore()
        run_command.restore()
    back_at = time.time()
    say("both are back")
    region.wait_for("the checks to be known again", lambda: _sees_again(region, back_at), BACK_SECONDS)
    seen_again_at = time.time()
    others.look()
    say(f"all is found well again after {seen_again_at - back_at:.1f} s")
    moved, seen, false = witness.figures(), witness.outage(), others.false_verdicts()
    found = moved | {
        "seconds_to_page": round(paged.at - witness.began_at, 3),
        "blind_seconds": round(back_at - witness.began_at, 3),
        "seconds_to_see_again": round(seen_again_at - back_at, 3),
        "unknown_checks": len(blind),
        "false_verdicts": len(false),
        "requests": seen.requests,
        "failed_requests": seen.failed_requests,
    }
    faults = witness.faults() + [f"false verdict: {said}" for said in false]
    faults += [f"{key} is {moved[key]}" for key in ("weight_changes", "failovers_started") if moved[key]]
    subjects = [page.subject for page in witness.messages("page")]
    if len(subjects) != 1 or SUBJECT not in subjects[0]:
        faults.append(f"one page that {SUBJECT} is wanted, there are {subjects}")
    wanted = {f"{name} of {cluster_id}" for cluster_id in region.replicas for name in ("gpu", "errors")}
    if not wanted <= blind:
        faults.append(f"known all the same: {', '.join(sorted(wanted - blind))}")
    if seen.failed_requests:
        faults.append(f"{seen.failed_requests} of {seen.requests} requests failed")
    moments = [Moment(0.0, "monitoring is away"), Moment(found["blind_seconds"], "monitoring is back")]
    timeline = sorted([*moments, *witness.timeline()], key=lambda moment: moment.at)
    return Report(NAME, stage.region_name, found, timeline, faults)


def unknown_checks(view: View) -> set[str]:
    """The checks that nobody can answer, as `gpu of use1-a`."""
    return {
        f"{check.name} of {cluster_id}"
        for cluster_id, checked in view.checks.items()
        for check in checked.checks
        if check.verdict == "unknown"
    }


def _sees_again(region: SandboxRegion, since: float) -> bool:
    """Whether each cluster was found well since, its nodes have reported, and the active one's requests are counted."""
    view = region.view()
    unknown = unknown_checks(view)
    return (
        all(checked.verdict == "healthy" and checked.checked_at > since for checked in view.checks.values())
        and not any(name.startswith("gpu ") for name in unknown)
        and f"errors of {region.primary}" not in unknown
    )


SCENARIO = Scenario(
    NAME, "Systems Manager and CloudWatch are away: nothing moves, one page; then all is well again", run
)
