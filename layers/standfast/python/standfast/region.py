"""Whether a Region must not serve any more: what the vantage points say, weighed. Pure.

A Region that lives may give itself up: its own view and another one, and room at a peer; one that is only saturated
does not. Condemning a peer takes two views other than its own and an expired heartbeat. Everything else that looks bad
is a page. Nothing moves where nothing is proven to go to. All times are seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from standfast.region_ports import RegionPurpose
from standfast.region_rules import VOICES
from standfast.region_views import lives, opinions_of, peers_of, since_of

if TYPE_CHECKING:
    from standfast.fleet import FleetConfig
    from standfast.region_ports import Heartbeat
    from standfast.region_rules import RegionRules
    from standfast.region_views import Opinions, RegionEvidence


class RegionAction(StrEnum):
    """What the evidence of one Region comes to."""

    NONE = "none"
    WAIT = "wait"
    PAGE = "page"
    EVACUATE = "evacuate"


@dataclass(frozen=True, slots=True)
class RegionDecision:
    """What to do about one Region, and why, in a sentence.

    `voices` are the vantage points that speak for an evacuation; `since` when the first of them saw it fail first.
    `outcome` says why a person is paged, in a word that can be compared: the reason holds figures that change.
    """

    action: RegionAction
    region: str
    reason: str
    voices: tuple[str, ...] = ()
    since: float | None = None
    incident_id: str = ""
    outcome: str = ""


def decide(region: str, evidence: RegionEvidence, config: FleetConfig, now: float) -> RegionDecision:
    """Judge one Region that has clusters."""
    rules, record = config.region_moves, evidence.record
    opinions = opinions_of(region, evidence, config, now)
    if region in record.condemned_now(now):
        return RegionDecision(RegionAction.NONE, region, f"{region} is condemned: {record.condemned[region].reason}")
    if not opinions.failed:
        return RegionDecision(RegionAction.NONE, region, f"nobody sees {region} fail")
    found = _verdict(opinions, evidence.heartbeats.get(region), config, now)
    if found.action is not RegionAction.EVACUATE:
        return found
    peers = peers_of(region, evidence, config, now)
    if not peers.proven:
        return _page(found, f"{found.reason}. Nothing is proven to go to, so nothing moves: {peers.reason}", "nowhere")
    if peers.overload and opinions.own_failed and lives(evidence.heartbeats.get(region), rules, now):
        return _page(found, f"{found.reason}. It gives itself up only to a peer with room: {peers.overload}", "no room")
    return _start(found, evidence, now)


def why_no_more(region: str, evidence: RegionEvidence, config: FleetConfig, now: float) -> str:
    """Why an evacuation that was decided a moment ago is not due any more; empty where it is."""
    opinions, beat = opinions_of(region, evidence, config, now), evidence.heartbeats.get(region)
    if beat is not None and beat.saturated and lives(beat, config.region_moves, now):
        return f"{region} is saturated, not dead: {beat.saturated}"
    if len(opinions.failed) >= VOICES:
        return ""
    return f"{region} is not seen to fail by {VOICES} vantage points any more: {opinions}"


def _verdict(opinions: Opinions, beat: Heartbeat | None, config: FleetConfig, now: float) -> RegionDecision:
    """Whether the voices are enough, whatever there is to go to."""
    region, rules, others = opinions.region, config.region_moves, opinions.others_failed
    since = min(since_of(sight) for sight in opinions.failed.values())
    if beat is None:
        why = f"{region} was never heard of, so it cannot have fallen silent: {opinions}"
        return RegionDecision(
            RegionAction.PAGE, region, f"{why}. Nothing is done by itself", since=since, outcome="never heard of"
        )
    if lives(beat, rules, now):
        return _alive(opinions, beat, rules, since, now)
    silent = f"its heartbeat is {now - beat.beat_at:.0f} s old"
    if len(others) >= VOICES:
        failing = now - opinions.since(others)
        if failing < rules.heartbeat_seconds:  # a cluster failover may be at work there that nobody hears of
            reason = f"{silent}, and it fails for {failing:.0f} s of {rules.heartbeat_seconds:.0f} s: {opinions}"
            return RegionDecision(RegionAction.WAIT, region, reason, others, since)
        reason = f"{region} fails its users and {silent}: {opinions}"
        return RegionDecision(RegionAction.EVACUATE, region, reason, others, since)
    dissent = sorted(set(opinions.well) - {region})
    if dissent or not others:
        return RegionDecision(RegionAction.WAIT, region, f"{silent}, but not two others see it fail: {opinions}")
    why = (
        f"only {others[0]} sees {region} fail and {silent}; without a third view nobody knows which of them is cut off"
    )
    reason = f"{why}: {opinions}. Nothing is done by itself"
    return RegionDecision(RegionAction.PAGE, region, reason, others, since, outcome="no third view")


def _alive(opinions: Opinions, beat: Heartbeat, rules: RegionRules, since: float, now: float) -> RegionDecision:
    """It lives, so nobody condemns it over its head; it may give itself up."""
    region, others = opinions.region, opinions.others_failed
    if beat.saturated:
        busy = f"{region} is saturated, not dead: {beat.saturated}"
        reason = f"{busy}. What is too much is shed; nobody leaves a Region for it: {opinions}"
        return RegionDecision(RegionAction.WAIT, region, reason, since=since)
    voices = (region, *others)
    if opinions.own_failed and others:
        failing = now - opinions.since(voices)
        patience = rules.mending_seconds if beat.mending else rules.failing_seconds
        if failing < patience:
            help_there = beat.mending or "its own failover may still help"
            reason = f"{region} fails for {failing:.0f} s, and has until {patience:.0f} s: {help_there}"
            return RegionDecision(RegionAction.WAIT, region, reason, voices, since)
        reason = f"{region} gives itself up: {beat.says or 'it cannot serve'}: {opinions}"
        return RegionDecision(RegionAction.EVACUATE, region, reason, voices, since)
    if len(others) >= VOICES and now - opinions.since(others) >= rules.mending_seconds:
        why = f"{region} lives and does not see itself fail, while {opinions}. Nobody condemns a Region that lives"
        return RegionDecision(RegionAction.PAGE, region, why, others, since, outcome="it lives")
    return RegionDecision(RegionAction.WAIT, region, f"one view is not enough: {opinions}", since=since)


def _start(found: RegionDecision, evidence: RegionEvidence, now: float) -> RegionDecision:
    """An evacuation is due: whether this vantage point starts it, now."""
    record, region = evidence.record, found.region
    lease = record.lease
    incident = f"{region}-evacuation-{lease.token}"
    at_work = lease.holder is not None and now < lease.expires_at
    if at_work and lease.purpose is RegionPurpose.EVACUATE:
        return RegionDecision(RegionAction.WAIT, region, f"{lease.holder} is at work: {found.reason}")
    if now < record.not_before:
        reason = f"the last evacuation did not succeed, the next may start in {record.not_before - now:.0f} s"
        return RegionDecision(RegionAction.WAIT, region, reason)
    if evidence.vantage == region or evidence.vantage in record.condemned_now(now):
        return RegionDecision(RegionAction.WAIT, region, f"a Region that stays does it: {found.reason}")
    return RegionDecision(RegionAction.EVACUATE, region, found.reason, found.voices, found.since, incident)


def _page(found: RegionDecision, reason: str, outcome: str) -> RegionDecision:
    return RegionDecision(RegionAction.PAGE, found.region, reason, found.voices, found.since, outcome=outcome)
