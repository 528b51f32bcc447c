"""Whether a Region must not serve any more: what the vantage points say, weighed. Pure.

| who speaks | says | counts as |
|---|---|---|
| a vantage point whose controls pass | users' path failed, and still fails | a voice |
| the same | it answers | a voice against |
| one that is blind, silent or too old | nothing | it abstains (law 4) |

A Region that lives may give itself up: its own view and another one, and room at a peer. Condemning a peer takes two
views other than its own and an expired heartbeat. Everything else that looks bad is a page. Nothing moves where nothing
is proven to go to. All times are seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from standfast.health import Verdict
from standfast.region_ports import RegionPurpose
from standfast.region_rules import VOICES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from standfast.fleet import FleetConfig
    from standfast.region_ports import Heartbeat, RegionRecord
    from standfast.region_rules import RegionRules
    from standfast.stores import Sight


class Opinion(StrEnum):
    """What a vantage point says of a Region."""

    WELL = "well"
    FAILED = "failed"
    ABSTAINS = "abstains"


class RegionAction(StrEnum):
    """What the evidence of one Region comes to."""

    NONE = "none"
    WAIT = "wait"
    PAGE = "page"
    EVACUATE = "evacuate"


@dataclass(frozen=True, slots=True)
class Opinions:
    """What each vantage point says of one Region, with the sentences."""

    region: str
    failed: Mapping[str, Sight]
    well: Mapping[str, Sight]
    abstain: Mapping[str, str]

    @property
    def others_failed(self) -> tuple[str, ...]:
        """The vantage points other than the Region itself that see it fail."""
        return tuple(sorted(name for name in self.failed if name != self.region))

    @property
    def own_failed(self) -> bool:
        """Whether it says so itself."""
        return self.region in self.failed

    def since(self, vantages: Sequence[str]) -> float:
        """Since when all of these see it fail."""
        return max(_since(self.failed[name]) for name in vantages)

    def __str__(self) -> str:
        """In words, for a page."""
        said = [f"{name} sees it fail ({sight.reason})" for name, sight in sorted(self.failed.items())]
        said += [f"{name} sees it well" for name in sorted(self.well)]
        said += [f"{name} abstains ({why})" for name, why in sorted(self.abstain.items())]
        return "; ".join(said)


@dataclass(frozen=True, slots=True)
class RegionEvidence:
    """All that is known of the Regions at one moment, where it is judged.

    `vantage` is the Region that judges. `heartbeats` is Region -> its last.
    """

    vantage: str
    record: RegionRecord
    sights: Sequence[Sight]
    heartbeats: Mapping[str, Heartbeat] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Peers:
    """Where a Region's traffic could go. `proven` can take it; `overload` says what speaks against their room.

    `reason` names each peer that is not proven, and why.
    """

    proven: tuple[str, ...]
    reason: str
    overload: str = ""


@dataclass(frozen=True, slots=True)
class RegionDecision:
    """What to do about one Region, and why, in a sentence.

    `voices` are the vantage points that speak for an evacuation; `since` when the first of them saw it fail first.
    """

    action: RegionAction
    region: str
    reason: str
    voices: tuple[str, ...] = ()
    since: float | None = None
    incident_id: str = ""


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
        return _page(found, f"{found.reason}. Nothing is proven to go to, so nothing moves: {peers.reason}")
    if peers.overload and opinions.own_failed and _lives(evidence.heartbeats.get(region), rules, now):
        return _page(found, f"{found.reason}. It gives itself up only to a peer with room: {peers.overload}")
    return _start(found, evidence, now)


def why_no_more(region: str, evidence: RegionEvidence, config: FleetConfig, now: float) -> str:
    """Why an evacuation that was decided a moment ago is not due any more; empty where it is."""
    opinions = opinions_of(region, evidence, config, now)
    if len(opinions.failed) >= VOICES:
        return ""
    return f"{region} is not seen to fail by {VOICES} vantage points any more: {opinions}"


def opinions_of(region: str, evidence: RegionEvidence, config: FleetConfig, now: float) -> Opinions:
    """What each vantage point of the fleet says of a Region. One that is not in the FleetConfig has no say."""
    rules = config.region_moves
    seen = {sight.vantage: sight for sight in evidence.sights if sight.region == region}
    failed, well, abstain = {}, {}, {}
    for vantage in sorted({*config.regions, *config.watchers}):
        opinion, why = _opinion(seen.get(vantage), rules, now)
        if opinion is Opinion.FAILED:
            failed[vantage] = seen[vantage]
        elif opinion is Opinion.WELL:
            well[vantage] = seen[vantage]
        else:
            abstain[vantage] = why
    return Opinions(region, failed, well, abstain)


def peers_of(region: str, evidence: RegionEvidence, config: FleetConfig, now: float) -> Peers:
    """The Regions that the traffic of this one can go to, by what is known now.

    Proven is one that is not condemned, that beats and says that it serves, that a vantage point outside the Region
    which fails sees well, and that none of those sees fail.
    """
    rules, condemned = config.region_moves, evidence.record.condemned_now(now)
    proven, not_proven = [], []
    for peer in sorted(set(config.regions) - {region}):
        beat = evidence.heartbeats.get(peer)
        opinions = opinions_of(peer, evidence, config, now)
        against = sorted(set(opinions.failed) - {region})
        if peer in condemned:
            not_proven.append(f"{peer} is condemned")
        elif beat is None or not _lives(beat, rules, now):
            not_proven.append(f"{peer} has not said of late that it lives")
        elif not beat.serving:
            not_proven.append(f"{peer} says that it does not serve ({beat.says})")
        elif against:
            not_proven.append(f"{peer} is seen to fail by {' and '.join(against)}")
        elif not set(opinions.well) - {region}:
            not_proven.append(f"nobody outside {region} sees {peer} well")
        else:
            proven.append(peer)
    said = "; ".join(not_proven) or ("" if proven else f"{region} is the fleet's only Region")
    return Peers(tuple(proven), said, overload(region, proven, evidence.heartbeats))


def overload(region: str, peers: Sequence[str], heartbeats: Mapping[str, Heartbeat]) -> str:
    """What of a Region's requests its peers have no room for, in words; empty where it fits or is not measured."""
    leaving = heartbeats[region].requests if region in heartbeats else None
    rooms = [heartbeats[peer].room for peer in peers]
    known = [room for room in rooms if room is not None]
    if leaving is None or len(known) < len(rooms) or not rooms or sum(known) >= leaving:
        return ""
    return f"{' and '.join(peers)} had room for {sum(known)} more requests at once, {region} had {leaving}"


def _verdict(opinions: Opinions, beat: Heartbeat | None, config: FleetConfig, now: float) -> RegionDecision:
    """Whether the voices are enough, whatever there is to go to."""
    region, rules, others = opinions.region, config.region_moves, opinions.others_failed
    since = min(_since(sight) for sight in opinions.failed.values())
    if beat is None:
        why = f"{region} was never heard of, so it cannot have fallen silent: {opinions}"
        return RegionDecision(RegionAction.PAGE, region, f"{why}. Nothing is done by itself", since=since)
    if _lives(beat, rules, now):
        return _alive(opinions, beat, rules, since, now)
    silent = f"its heartbeat is {now - beat.beat_at:.0f} s old"
    if len(others) >= VOICES:
        failing = now - opinions.since(others)
        if failing < rules.failing_seconds:  # a cluster failover may be at work there that nobody hears of
            reason = f"{silent}, and it fails for {failing:.0f} s of {rules.failing_seconds:.0f} s: {opinions}"
            return RegionDecision(RegionAction.WAIT, region, reason, others, since)
        reason = f"{region} fails its users and {silent}: {opinions}"
        return RegionDecision(RegionAction.EVACUATE, region, reason, others, since)
    dissent = sorted(set(opinions.well) - {region})
    if dissent or not others:
        return RegionDecision(RegionAction.WAIT, region, f"{silent}, but not two others see it fail: {opinions}")
    why = (
        f"only {others[0]} sees {region} fail and {silent}; without a third view nobody knows which of them is cut off"
    )
    return RegionDecision(RegionAction.PAGE, region, f"{why}: {opinions}. Nothing is done by itself", others, since)


def _alive(opinions: Opinions, beat: Heartbeat, rules: RegionRules, since: float, now: float) -> RegionDecision:
    """It lives, so nobody condemns it over its head; it may give itself up."""
    region, others = opinions.region, opinions.others_failed
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
        return RegionDecision(RegionAction.PAGE, region, why, others, since)
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


def _page(found: RegionDecision, reason: str) -> RegionDecision:
    return RegionDecision(RegionAction.PAGE, found.region, reason, found.voices, found.since)


def _lives(beat: Heartbeat | None, rules: RegionRules, now: float) -> bool:
    return beat is not None and now - beat.beat_at <= rules.heartbeat_seconds


def _since(sight: Sight) -> float:
    return sight.seen_at if sight.since is None else sight.since


def _opinion(sight: Sight | None, rules: RegionRules, now: float) -> tuple[Opinion, str]:
    if sight is None:
        return Opinion.ABSTAINS, "it never looked"
    age = now - sight.seen_at
    if age > rules.sight_seconds:
        return Opinion.ABSTAINS, f"it has said nothing for {age:.0f} s"
    if sight.verdict is Verdict.UNHEALTHY:
        return Opinion.FAILED, ""
    return (Opinion.ABSTAINS, sight.reason) if sight.verdict is Verdict.UNKNOWN else (Opinion.WELL, "")
