"""What the vantage points say of a Region, and where its users could go. Pure, but for `gather`.

| who speaks | says | counts as |
|---|---|---|
| a vantage point whose controls pass | users' path failed, and still fails | a voice |
| the same | it answers | a voice against |
| one that is blind, silent or too old | nothing | it abstains (law 4) |

All times are seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from standfast.health import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from standfast.fleet import FleetConfig
    from standfast.region_ports import Heartbeat, HeartbeatStore, RegionRecord, RegionStore
    from standfast.region_rules import RegionRules
    from standfast.stores import Sight, SightStore


class Opinion(StrEnum):
    """What a vantage point says of a Region."""

    WELL = "well"
    FAILED = "failed"
    ABSTAINS = "abstains"


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
        return max(since_of(self.failed[name]) for name in vantages)

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


def gather(
    vantage: str, regions: RegionStore, beats: HeartbeatStore, sights: SightStore, *, strongly: bool = True
) -> RegionEvidence:
    """All that is known now. `strongly`: the record as it is, not as this Region may have known it a moment ago."""
    record = regions.read_regions() if strongly else regions.glance_at_regions()
    return RegionEvidence(vantage, record, sights.sights(), {beat.region: beat for beat in beats.heartbeats()})


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
    condemned = evidence.record.condemned_now(now)
    proven, not_proven = [], []
    for peer in sorted(set(config.regions) - {region}):
        why_not = f"{peer} is condemned" if peer in condemned else why_not_well(peer, region, evidence, config, now)
        if why_not:
            not_proven.append(why_not)
        else:
            proven.append(peer)
    said = "; ".join(not_proven) or ("" if proven else f"{region} is the fleet's only Region")
    return Peers(tuple(proven), said, overload(region, proven, evidence.heartbeats))


def why_not_well(region: str, besides: str, evidence: RegionEvidence, config: FleetConfig, now: float) -> str:
    """Why a Region is not proven to serve; empty where it is. What `besides` sees does not count."""
    beat, opinions = evidence.heartbeats.get(region), opinions_of(region, evidence, config, now)
    against = sorted(set(opinions.failed) - {besides})
    if beat is None or not lives(beat, config.region_moves, now):
        return f"{region} has not said of late that it lives"
    if not beat.serving:
        return f"{region} says that it does not serve ({beat.says})"
    if against:
        return f"{region} is seen to fail by {' and '.join(against)}"
    if not set(opinions.well) - {besides}:
        return f"nobody outside {besides} sees {region} well"
    return ""


def overload(region: str, peers: Sequence[str], heartbeats: Mapping[str, Heartbeat]) -> str:
    """What of a Region's requests its peers have no room for, in words; empty where it fits or is not measured."""
    leaving = heartbeats[region].requests if region in heartbeats else None
    rooms = [heartbeats[peer].room for peer in peers]
    known = [room for room in rooms if room is not None]
    if leaving is None or len(known) < len(rooms) or not rooms or sum(known) >= leaving:
        return ""
    return f"{' and '.join(peers)} had room for {sum(known)} more requests at once, {region} had {leaving}"


def lives(beat: Heartbeat | None, rules: RegionRules, now: float) -> bool:
    """Whether a Region's heartbeat has not expired."""
    return beat is not None and now - beat.beat_at <= rules.heartbeat_seconds


def since_of(sight: Sight) -> float:
    """Since when it looks so."""
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
