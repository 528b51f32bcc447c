"""What a Region says of itself in its heartbeat."""

from __future__ import annotations

from dataclasses import replace

from standfast.capacity import Load, Reading
from standfast.fleet import Role
from standfast.health import Verdict
from standfast.lease import Purpose
from standfast.region_facts import heartbeat
from standfast.region_ports import Heartbeat
from standfast.stores import View
from tests import builders
from tests.builders import ACTIVE, EXECUTION, NOW, SCOPE, STANDBY, assessment, fleet

WELL, DEAD = Verdict.HEALTHY, Verdict.UNHEALTHY


def said(view: View) -> Heartbeat:
    return heartbeat(SCOPE, view, fleet(), "https://verdict.test", NOW)


def known(active: Verdict = WELL, standby: Verdict = WELL, **changes: object) -> View:
    found = {ACTIVE: assessment(ACTIVE, active), STANDBY: assessment(STANDBY, standby)}
    return replace(builders.view(assessments=found), **changes)  # type: ignore[arg-type]


def test_it_serves_while_what_has_traffic_serves() -> None:
    beat = said(known())
    assert (beat.serving, beat.says, beat.mending) == (True, "use1-a is healthy: as built by a test", "")
    assert (beat.beat_at, beat.verdict_url) == (NOW, "https://verdict.test")
    assert not said(known(DEAD)).serving
    assert said(known(Verdict.DEGRADED, DEAD)).serving


def test_it_says_that_it_is_saturated_when_half_of_what_has_traffic_is() -> None:
    def busy(count: int, cluster_id: str = ACTIVE, age: float = 0.0) -> str:
        found = replace(assessment(cluster_id, Verdict.DEGRADED, assessed_at=NOW - age), saturated=count, expected=4)
        return said(builders.view(assessments={cluster_id: found})).saturated

    assert busy(2) == "2 of 4 replicas of use1-a work without a pause and answer too late"
    assert (busy(1), busy(0), busy(4, STANDBY), busy(4, age=11)) == ("", "", "", "")


def test_nobodys_word_is_no_proof() -> None:
    beat = said(builders.view())
    assert (beat.serving, beat.says) == (False, "nobody has judged use1-a of late")
    old = {ACTIVE: assessment(ACTIVE, assessed_at=NOW - 11)}
    assert not said(builders.view(assessments=old)).serving


def test_a_cluster_failover_is_said_while_it_is_at_work_and_while_it_is_due() -> None:
    assert said(known(DEAD)).mending == "a cluster failover to use1-b is due"
    held = builders.record(held=builders.lease(4, EXECUTION, Purpose.FAILOVER))
    assert said(known(DEAD, scope=held)).mending == f"a cluster failover is at work ({EXECUTION})"
    rollout = builders.record(held=builders.lease(4, EXECUTION, Purpose.ROLLOUT))
    assert said(known(scope=rollout)).mending == ""


def test_with_nowhere_to_go_or_after_a_failover_that_gave_up_nothing_mends_it() -> None:
    assert said(known(DEAD, DEAD)).mending == ""
    assert said(known(DEAD, scope=builders.record(attempts=1, not_before=NOW + 30))).mending == ""
    roles = {ACTIVE: Role.ACTIVE, STANDBY: Role.QUARANTINED}
    assert said(known(DEAD, scope=builders.record(builders.desired(roles=roles)))).mending == ""


def load(cluster_id: str, *running: int, most: float | None = 10, at: float = NOW) -> Load:
    return Load(cluster_id, at, Reading(4, running[-1], 0), running, most_requests=most)


def test_its_room_is_that_of_what_has_traffic() -> None:
    beat = said(known(loads={ACTIVE: load(ACTIVE, 12, 9), STANDBY: load(STANDBY, 0)}))
    assert (beat.requests, beat.room) == (12, 28)
    assert said(known(loads={ACTIVE: load(ACTIVE, 55)})).room == 0


def test_what_is_not_measured_is_not_said() -> None:
    assert (said(known()).requests, said(known()).room) == (None, None)
    beat = said(known(loads={ACTIVE: load(ACTIVE, 12, most=None)}))
    assert (beat.requests, beat.room) == (12, None)
    assert said(known(loads={ACTIVE: load(ACTIVE, 12, at=NOW - 91)})).requests is None


def test_a_region_without_clusters_serves_nobody() -> None:
    beat = heartbeat("us-east-2", None, fleet(), "", NOW)
    assert (beat.serving, beat.says) == (False, "us-east-2 has no clusters and only watches")
