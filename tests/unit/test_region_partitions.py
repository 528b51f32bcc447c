"""The decision core under random partitions: no two hands condemn two Regions. And the simulation would see it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox.region_partitions import World, simulate
from standfast import region_record, region_views
from standfast.region_ports import RegionLease, RegionPurpose, RegionRecord
from tests.region_builders import EAST, WATCHER, WEST, fleet_of

FLEETS = {
    "two and a watcher": fleet_of(EAST, WEST, watchers=[WATCHER]),
    "three": fleet_of(EAST, WEST, WATCHER),
}


def test_no_double_decision_and_none_that_was_needless() -> None:
    tally = simulate(FLEETS, seeds=16)
    assert (tally.double_decisions, tally.needless) == (0, 0)
    assert tally.evacuations > 10
    assert tally.returned > 5
    assert tally.crashed > 5


def test_a_seed_is_the_same_run_each_time() -> None:
    fleet = FLEETS["three"]
    assert World(7, fleet).run(300) == World(7, fleet).run(300)


def test_it_sees_a_rule_that_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the rule that one Region is left, and without the peers' proof, both are condemned at times."""
    real = region_record.condemn

    def reckless(record: RegionRecord, name: str, **given: object) -> RegionRecord:
        made = real(replace(record, condemned={}), name, **given)  # type: ignore[arg-type]
        return replace(made, condemned={**record.condemned, **made.condemned})

    def anywhere(found: str, *_: object) -> region_views.Peers:
        return region_views.Peers(tuple({EAST, WEST} - {found}), "")

    monkeypatch.setattr(region_record, "condemn", reckless)
    monkeypatch.setattr("standfast.region.peers_of", anywhere)
    monkeypatch.setattr(region_views, "peers_of", anywhere)
    monkeypatch.setattr(World, "_canaries", lambda _self, _site, peers: list(peers))
    assert simulate(FLEETS, seeds=16).double_decisions


def test_it_sees_a_lease_in_two_hands(monkeypatch: pytest.MonkeyPatch) -> None:
    def same_token(lease: RegionLease, holder: str, purpose: RegionPurpose, now: float) -> RegionLease:
        return RegionLease(max(1, lease.token), holder, purpose, now, now + 60)

    monkeypatch.setattr(region_record, "claim", same_token)
    monkeypatch.setattr("sandbox.replicated_record.RecordAt.renew", lambda *_args, **_named: None)
    monkeypatch.setattr(
        "standfast.region_moving.take",
        lambda store, holder, purpose, now: (
            store.grant(
                seen=store.read_regions().lease,
                lease=same_token(store.read_regions().lease, holder, purpose, now),
                now=now + 1000,
            )
            or store.read_regions().lease
        ),
    )
    assert simulate(FLEETS, seeds=6).double_decisions
