"""What people are told at the end of a release. Pure text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from standfast.announcements import links, overridden

if TYPE_CHECKING:
    from standfast.release_steps import ReleasePlan


def concluded(plan: ReleasePlan, ended: str, reason: str) -> tuple[str, str, str]:
    """Subject, text and event of a release that finished, was aborted or was stopped."""
    version = plan.input.version
    glass = overridden(str(plan.input.break_glass.override()) if plan.input.break_glass else "")
    waves = [", ".join(each.cluster_id for each in wave) for wave in plan.plans.waves]
    if ended == "finished":
        lines = [
            f"{version} is live in {'; '.join(waves)}. {plan.input.reason}",
            "Left to do: name it in FleetConfig, and a green cluster in blue's place.",
        ]
        subject, event = f"{version} is released", "ReleaseCompleted"
    else:
        done = waves[: plan.course.wave]
        lines = [
            f"The release of {version} was {ended}: {reason}",
            "Nothing further starts. What was under way in this wave is stopped, and put back by its own Region.",
            f"Released, and kept: {'; '.join(done) or 'nothing'}.",
            *_way_back(plan),
        ]
        subject = f"The release of {version} was {ended}"
        event = "ReleaseStopped" if ended == "stopped" else "ReleaseFailed"
    return subject, "\n".join([*lines, *glass, *links(plan.execution_arn)]), event


def _way_back(plan: ReleasePlan) -> list[str]:
    """How what earlier waves have released is taken back: a release of the version before, in the opposite order."""
    done = [each for wave in plan.plans.waves[: plan.course.wave] for each in wave]
    befores = dict.fromkeys(each.before for each in reversed(done) if each.before)
    found = []
    for before in befores:
        waves = [
            [{"scope_id": each.scope_id, "cluster_id": each.cluster_id}]
            for each in reversed(done)
            if each.before == before
        ]
        given = {
            "version": before,
            "waves": waves,
            "by": "<your name>",
            "reason": f"{plan.input.version} is taken back",
        }
        found.append(f"To take it back start fleet-release with {json.dumps(given)}")
    return found
