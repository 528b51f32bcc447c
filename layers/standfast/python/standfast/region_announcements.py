"""What people are told of Regions. Pure text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast.announcements import Announcement, Urgency, at, cause_in_words, left_to_do, links, overridden

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.region import RegionDecision
    from standfast.region_steps import GiveUpRegionStep, PeersStep


def evacuated(step: PeersStep) -> Announcement:
    """The Region is condemned, the edge follows, and users are answered."""
    to = " and ".join(step.peers.proven)
    lines = [
        f"What failed: {step.reason}",
        f"Since: {at(step.failed_since)}, detected {at(step.detected_at)} by {step.trigger}.",
        f"Who spoke for it: {', '.join(step.condemned_by)}.",
        *([f"What was done: {step.region} is condemned since {at(step.condemn.at)}."] if step.condemn else []),
        *([f"The edge: {step.edge.reason}."] if step.edge else []),
        *([f"Asked as users do: {step.verified.reason}."] if step.verified else []),
        *([f"Mind: {step.peers.overload}."] if step.peers.overload else []),
        *overridden(step.break_glass),
        "Rollouts are frozen in the whole fleet until it is back.",
        *left_to_do(
            f"mend {step.region}. It stays condemned, and is kept so: it does not come back by itself.",
            "start region-failover with mode return once it serves; users come back in stages.",
        ),
        *links(step.execution_arn),
    ]
    subject = f"{step.region} is evacuated, {to} serves"
    return Announcement(Urgency.PAGE, subject, "\n".join(lines), "RegionEvacuated", f"evacuated: {step.incident_id}")


def stood_down(step: PeersStep) -> Announcement:
    """Nothing was changed: the switch says observe, or it was over before anything was."""
    why = step.held_back or (step.condemn.reason if step.condemn else "")
    urgency = Urgency.PAGE if step.held_back and not step.planned else Urgency.NOTICE
    lines = [
        f"Why it was asked for: {step.reason}",
        f"What would have been done: {step.mode} of {step.region}; its users to {', '.join(step.peers.proven)}.",
        f"Nothing was changed: {why}.",
        *links(step.execution_arn),
    ]
    subject = f"{step.region}: {step.mode}, nothing was changed"
    return Announcement(urgency, subject, "\n".join(lines), "RegionMoveHeldBack", f"held back: {step.mode}")


def moved(step: PeersStep) -> Announcement:
    """A planned move is done."""
    back = step.mode == "return"
    what = f"the users of {step.region} are back" if back else f"the users of {step.region} are at the others"
    lines = [
        f"Why: {step.reason}",
        f"What was done: {what}, in stages ({step.stages}), each judged before the next.",
        *([f"Mind: {step.peers.overload}."] if step.peers.overload else []),
        *([f"Asked as users do: {step.verified.reason}."] if step.verified else []),
        *overridden(step.break_glass),
        "Nothing is left to do." if back else "Start region-failover with mode return to bring them back.",
        *links(step.execution_arn),
    ]
    event = "RegionReturned" if back else "RegionSwitchedOver"
    return Announcement(Urgency.NOTICE, what[:90], "\n".join(lines), event, f"{step.mode}: {step.incident_id}")


def gave_up(step: GiveUpRegionStep, stands: str, retry_at: float | None) -> Announcement:
    """A move of a Region did not come to its end. `stands` says where the users are now."""
    lines = [
        f"Why it was begun: {step.reason}",
        f"It did not succeed: {cause_in_words(step.error)}",
        f"Where it stands: {stands}.",
        *overridden(step.break_glass),
        *left_to_do(
            "look at the execution: the state that failed holds the whole error.",
            *([f"the next attempt may start at {at(retry_at)}, by itself."] if retry_at else []),
        ),
        *links(step.execution_arn),
    ]
    subject = f"{step.region}: {step.mode} did not succeed"
    return Announcement(Urgency.PAGE, subject, "\n".join(lines), "RegionMoveFailed", f"failed: {step.error.error}")


def not_evacuated(decision: RegionDecision, vantage: str) -> Announcement:
    """A Region looks lost, and Standfast does nothing by itself."""
    lines = [
        f"What is seen from {vantage}: {decision.reason}.",
        "What was done: nothing. The traffic stays as it is.",
        *left_to_do(
            f"look at {decision.region} yourself, from outside.",
            "if it must be left: start region-failover in a Region that stays, with mode evacuate, your name in `by` "
            "and the reason. It needs a peer that is proven to serve.",
        ),
    ]
    subject = f"{decision.region} fails and is not evacuated: {decision.outcome}"
    return Announcement(Urgency.PAGE, subject, "\n".join(lines), "RegionNotEvacuated", decision.outcome)


def switched_off(decision: RegionDecision, switch: str) -> Announcement:
    """The switch is off, and a Region is lost."""
    lines = [
        f"What is seen: {decision.reason}.",
        f"What was done: nothing; the switch says {switch}.",
        *left_to_do("start region-failover with break_glass, or set the switch to run."),
    ]
    subject = f"{decision.region} is lost and the switch is off"
    return Announcement(Urgency.PAGE, subject, "\n".join(lines), "RegionNotEvacuated", "the switch is off")


def blind(vantage: str, reason: str) -> Announcement:
    """A vantage point sees nobody."""
    lines = [
        f"What is wrong: {reason}.",
        f"What was done: {vantage} abstains. While it does, fewer vantage points are left to agree on anything.",
        *left_to_do("look at its way out: NAT gateway, security groups, name resolution."),
    ]
    return Announcement(
        Urgency.PAGE, f"{vantage} is blind to the other Regions", "\n".join(lines), "VantageBlind", "blind"
    )


def silent(region: str, vantage: str, beat_at: float) -> Announcement:
    """A Region's own Standfast says nothing any more."""
    lines = [
        f"What is wrong: {region} last said at {at(beat_at)} that it lives, as {vantage} knows it.",
        "What was done: nothing. A silent Region may still serve, and moves only when it fails its users too.",
        *left_to_do(f"look at the function watch-regions in {region}, and at the shared table there."),
    ]
    return Announcement(Urgency.PAGE, f"{region} is silent", "\n".join(lines), "RegionSilent", "silent")


def ended_half_way(execution_arn: str, status: str, error: str) -> Announcement:
    """An execution ended without a word: stopped, timed out, refused, or by a fault in Standfast."""
    lines = [
        f"The execution ended as {status}{f' ({error})' if error else ''} and told nobody why.",
        "What stands: a Region that it condemned stays condemned. A planned move that it left is undone soon.",
        *left_to_do("look at the execution. Where a Region is still lost, the watch of the Regions tries again."),
        *links(execution_arn),
    ]
    subject = f"region-failover ended as {status}"
    return Announcement(Urgency.PAGE, subject, "\n".join(lines), "RegionMoveFailed", f"ended: {status} {error}")


def finished(regions: Sequence[str], reason: str) -> Announcement:
    """A planned move that was left half-way."""
    text = f"A planned move between Regions was left half-way by an execution that ended: {reason}."
    subject = f"{' and '.join(regions)}: a planned move was left half-way"
    return Announcement(Urgency.PAGE, subject[:100], text, "RegionMoveFailed", f"half-way: {reason}")
