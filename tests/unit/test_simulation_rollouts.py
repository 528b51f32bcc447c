"""Bad releases in the simulation: the deployed judge says how far they come, and the books what they cost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox import releases
from sandbox.simulation import rates, rollouts, shape
from sandbox.simulation.books import RELEASE
from sandbox.simulation.rollouts import EFFECTS, bad_releases
from sandbox.simulation.script import BEGINNING, HOUR, YEAR, Fault, Kind, Reach
from sandbox.simulation.year import STANDFAST, Setting, live
from standfast.judge import StageVerdict, Verdict

CONFIG = shape.read_config(None)
NAMES = [region.name for region in shape.regions(CONFIG)]
RATES = rates.rates({"change_failure_share": 1.0, "change_escape_share": 0.0})
NONE = dict.fromkeys(EFFECTS, 0.0)


def of_kind(name: str, **more: float) -> list[Fault]:
    return bad_releases(CONFIG, NAMES, RATES | NONE | {name: 1.0} | more, 7, 3)


def test_one_that_fails_all_is_given_up_in_the_first_stage_of_the_first_region() -> None:
    found = of_kind("release_all_errors_share")
    assert len(found) >= 5
    assert {(fault.kind, fault.reach, fault.region) for fault in found} == {(Kind.RELEASE, Reach.REGION, NAMES[0])}
    assert {fault.lots[0] for fault in found} == {CONFIG.moves.stages[0] / 100}
    assert max(fault.lasts for fault in found) < CONFIG.moves.bake_seconds


def test_one_that_is_only_slow_fails_no_request() -> None:
    assert of_kind("release_slow_share") == []


def test_what_no_synthetic_request_shows_hits_everybody_until_it_is_rolled_back() -> None:
    found = of_kind("release_slow_share", change_escape_share=1.0)
    assert {fault.region for fault in found} == set(NAMES)
    assert {fault.lots[0] for fault in found} == {1.0}
    assert sum(fault.lasts for fault in found) / len(found) == pytest.approx(HOUR, rel=0.8)


@pytest.mark.parametrize(
    ("verdict", "more_seconds", "last_share"), [(Verdict.INCONCLUSIVE, 1800.0, 0.1), (Verdict.PROMOTE, 0.0, 1.0)]
)
def test_a_person_who_is_asked_comes_and_one_that_is_passed_by_all_lasts_until_it_is_rolled_back(
    monkeypatch: pytest.MonkeyPatch, verdict: Verdict, more_seconds: float, last_share: float
) -> None:
    monkeypatch.setattr(releases, "judged", lambda *_, **__: (StageVerdict(verdict, "said", ()), 100.0))
    found = of_kind("release_all_errors_share")
    first = next(fault for fault in found if fault.at == found[0].at)
    assert first.lasts == 100.0 + more_seconds
    assert found[-1].lots[0] == pytest.approx(last_share)
    regions = {fault.region for fault in found}
    assert regions == ({NAMES[0]} if verdict is Verdict.INCONCLUSIVE else set(NAMES))


def test_a_release_that_a_later_region_gives_up_stays_in_the_first_until_it_is_rolled_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def judged(stage: releases.Stage, *_: object, **__: object) -> tuple[StageVerdict, float]:
        bad = f"/{NAMES[1]}/" in stage.seed
        return StageVerdict(Verdict.ABORT if bad else Verdict.PROMOTE, "said", ()), 100.0

    monkeypatch.setattr(releases, "judged", judged)
    spells = list(rollouts._rolled_out(CONFIG, NAMES, RATES, EFFECTS["release_all_errors_share"], "key", 0.0, 50.0))
    assert spells == [
        (NAMES[0], 0.0, 100.0, 0.1),
        (NAMES[0], 100.0, 100.0, 0.5),
        (NAMES[0], 200.0, 100.0, 1.0),
        (NAMES[1], 300.0, 100.0, 0.1),
        (NAMES[0], 300.0, 150.0, 1.0),
    ]


def test_a_year_is_the_same_for_the_same_seed_and_has_none_without_bad_changes() -> None:
    assert of_kind("release_many_errors_share") == of_kind("release_many_errors_share")
    assert bad_releases(CONFIG, NAMES, RATES | {"change_failure_share": 0.0}, 7, 3) == []


def test_the_books_count_the_share_that_fails_while_it_lasts() -> None:
    setting = Setting(STANDFAST, CONFIG, RATES)
    spell = Fault(1, BEGINNING + 1000.0, Kind.RELEASE, Reach.REGION, NAMES[0], lasts=100.0, lots=(0.1, 0.0, 0.0))
    later = replace(spell, number=2, at=BEGINNING + 1050.0, lots=(1.0, 0.0, 0.0))
    outcome = live(setting, shape.regions(CONFIG), [spell, later], 1, 1, YEAR / 1000)
    assert outcome.lost[RELEASE] == pytest.approx((50 * 0.1 + 100 * 1.0) / len(NAMES))
    assert sum(outcome.lost.values()) == pytest.approx(outcome.lost[RELEASE])
