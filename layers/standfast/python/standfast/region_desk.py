"""What the watch of the Regions does beside looking: says that this Region lives, judges those that fail, acts.

It changes nothing itself: an evacuation is an execution of `region_failover`, in a Region that stays. Every method
blocks, may be repeated, and never raises: the watch goes on looking whatever the tables do.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from standfast import region_announcements, region_facts, region_moving, region_views, telling
from standfast.errors import StandfastError
from standfast.fleet import Automation
from standfast.region import RegionAction, decide
from standfast.region_rules import BEAT_SECONDS
from standfast.starting import START_AGAIN_SECONDS

if TYPE_CHECKING:
    from standfast.announcements import Announcement
    from standfast.fleet import FleetConfig
    from standfast.ports import Messenger
    from standfast.region import RegionDecision
    from standfast.region_ports import Heartbeat, HeartbeatStore, RegionMoves, RegionStore
    from standfast.stores import IncidentStore, SightStore, SwitchStore, ViewStore

FRESH_SECONDS = 10.0
"""How often it looks at what is condemned, and at who is silent."""
SILENT_BEATS = 5.0
"""A Region that has said nothing for so many times the expiry of a heartbeat is told of."""
BLIND_SECONDS = 30.0
TRIGGER = "watch of the Regions"

logger = logging.getLogger("standfast.region_desk")


@dataclass(frozen=True, slots=True)
class DeskPorts:
    """What the desk works with. `views` is None in a Region without clusters."""

    regions: RegionStore
    beats: HeartbeatStore
    sights: SightStore
    switches: SwitchStore
    incidents: IncidentStore
    messenger: Messenger
    moves: RegionMoves
    views: ViewStore | None
    verdict_url: str


class RegionDesk:
    """One run's desk. `vantage` is the Region in which it runs."""

    def __init__(self, vantage: str, config: FleetConfig, ports: DeskPorts) -> None:
        self._vantage = vantage
        self._config = config
        self._ports = ports
        self._beat_at = 0.0
        self._looked_at = 0.0
        self._said = ""
        self._started: dict[str, float] = {}
        self._heard: dict[str, Heartbeat] = {}

    def controls(self) -> tuple[str, ...]:
        """Where other Regions' endpoints answer: what control probes ask."""
        return tuple(
            beat.verdict_url for name, beat in sorted(self._heard.items()) if name != self._vantage and beat.verdict_url
        )

    def keep(self, now: float, *, often: bool = False) -> None:
        """Say that this Region lives, keep fresh what is condemned, and tell of who is silent. `often`: each second."""
        if now - self._beat_at >= (1.0 if often else BEAT_SECONDS):
            self._beat_at = now
            self._beat(now)
        if now - self._looked_at < FRESH_SECONDS:
            return
        self._looked_at = now
        region_moving.keep_fresh(self._ports.regions, now)
        try:
            self._heard = {beat.region: beat for beat in self._ports.beats.heartbeats()}
            self._tell_silent(now)
        except StandfastError as error:
            logger.warning("who is silent cannot be looked at: %s", error)

    def judge(self, region: str, now: float) -> RegionDecision | None:
        """Judge a Region that is seen to fail from here, and do what comes of it. None where it cannot be judged."""
        try:
            ports = self._ports
            known = region_views.gather(self._vantage, ports.regions, ports.beats, ports.sights, strongly=False)
            decision = decide(region, known, self._config, now)
            self._log(decision)
            if decision.action is RegionAction.EVACUATE:
                self._start(decision, now)
            elif decision.action is RegionAction.PAGE:
                self._tell(region_announcements.not_evacuated(decision, self._vantage), decision.region, now)
        except StandfastError as error:
            logger.warning("%s cannot be judged, a later pass tries again: %s", region, error)
            return None
        return decision

    def tell_blind(self, reason: str, now: float) -> None:
        """This vantage point sees nobody: it abstains, and a person is told (law 4)."""
        try:
            self._tell(region_announcements.blind(self._vantage, reason), self._vantage, now)
        except StandfastError:
            logger.exception("nobody could be told that %s is blind", self._vantage)

    def _beat(self, now: float) -> None:
        try:
            view = self._ports.views.view() if self._ports.views is not None else None
            found = region_facts.heartbeat(self._vantage, view, self._config, self._ports.verdict_url, now)
            self._ports.beats.write_heartbeat(found)
        except StandfastError as error:
            logger.warning("the heartbeat was not written, the next one is due in a second: %s", error)
            self._beat_at = now - BEAT_SECONDS + 1.0

    def _start(self, decision: RegionDecision, now: float) -> None:
        held = self._ports.switches.glance_at_brake().of(decision.region)
        if held.automation is Automation.OFF:
            self._tell(region_announcements.switched_off(decision, str(held)), decision.region, now)
            return
        name = f"{decision.incident_id}-{held.automation}"
        last = self._started.get(name)
        if last is not None and now - last < START_AGAIN_SECONDS:
            return
        self._started[name] = now
        minute = "" if last is None else f"-{now // 60:.0f}"
        payload = {
            "mode": "evacuate",
            "region": decision.region,
            "reason": decision.reason,
            "incident_id": decision.incident_id,
            "failed_since": decision.since,
            "detected_at": now,
            "voices": list(decision.voices),
            "trigger": TRIGGER,
        }
        try:
            started = self._ports.moves.start_region_failover(name + minute, payload)
        except StandfastError:
            del self._started[name]
            raise
        logger.warning("evacuation %s %s: %s", name, "started" if started else "was started already", decision.reason)

    def _tell_silent(self, now: float) -> None:
        """Without a vantage point fewer are left to agree; a Region whose stack is gone may still serve."""
        limit = SILENT_BEATS * self._config.region_moves.heartbeat_seconds
        for region in sorted({*self._config.regions, *self._config.watchers} - {self._vantage}):
            beat = self._heard.get(region)
            if beat is not None and now - beat.beat_at > limit:
                self._tell(region_announcements.silent(region, self._vantage, beat.beat_at), region, now, "silent")

    def _tell(self, announcement: Announcement, region: str, now: float, subject: str = "region") -> None:
        telling.tell(
            announcement,
            incident_id=f"{region}-{subject}",
            scope_id=region,
            failed_cluster_id="",
            incidents=self._ports.incidents,
            messenger=self._ports.messenger,
            switches=self._ports.switches,
            now=now,
        )

    def _log(self, decision: RegionDecision) -> None:
        gist = f"{decision.region} {decision.action} {decision.outcome}"
        if gist != self._said:
            self._said = gist
            logger.warning("%s: %s: %s", decision.region, decision.action, decision.reason)
