"""`adopt_config` and the look for drift with their own handlers, in one Region: whole, cut short, and repeated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from configuration import find_config_drift
from standfast import bootstrap, config_versions
from standfast.config_adoption import Standing, Synced, pointer_text
from standfast.config_drift import AGAIN_SECONDS, SETTLE_SECONDS
from standfast.config_sync import Outcome
from standfast.config_versions import ConfigVersion
from standfast.errors import CorruptStateError, UnavailableError
from standfast.fleet import Automation, FleetConfig
from standfast.model_states import ModelRecord, ModelState
from standfast.stores import AppliedConfig
from tests import builders
from tests.builders import ACTIVE, NOW, SCOPE, document
from tests.fakes import (
    FakeClusterTable,
    FakeConfigBucket,
    FakeConfigPointer,
    FakeConfigTable,
    FakeMessenger,
    FakeMetrics,
    FakeRegionTable,
    FakeScopeStore,
)
from tests.machine_walk import Context, Walk, bind
from tests.model_fakes import FakeModelStates

REPAIRS: dict[str, Any] = {"configuration": {"drift": "repair"}}


def version(number: int, made: Mapping[str, Any]) -> tuple[ConfigVersion, str]:
    text = config_versions.canonical_text(made)
    return ConfigVersion(number, config_versions.sha256(text)), text


class Stores(FakeClusterTable):
    """What the handlers ask of ClusterTable: the scope, what is in force as others read it, and what was told."""

    def __init__(self, scopes: FakeScopeStore, table: FakeConfigTable) -> None:
        super().__init__(builders.view())
        self.read, self.create = scopes.read, scopes.create
        self._table = table

    def read_config(self) -> AppliedConfig:
        found = self._table.found
        if config_versions.sha256(found.text) != found.sha256:
            raise CorruptStateError("CONFIG")
        return AppliedConfig(found.revision, FleetConfig.parse(json.loads(found.text)))


class World:
    """A Region that has version 7 in force, verified and told of; its clock is past the moment to settle."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **config: Any) -> None:
        self.wanted, text = version(7, document(**config))
        in_force = builders.fleet(**config)
        synced = Synced(self.wanted, 5, in_force.digest(), "somebody", NOW - SETTLE_SECONDS)
        self.table = FakeConfigTable(Standing(3, in_force.canonical(), in_force.digest(), synced))
        self.pointer = FakeConfigPointer(pointer_text(self.wanted))
        self.bucket = FakeConfigBucket({SCOPE: {self.wanted.key: text}})
        self.models = FakeModelStates(ModelRecord("tiny", None, ModelState.LIVE, "a" * 64, SCOPE, "", NOW, revision=1))
        self.messenger, self.metrics = FakeMessenger(), FakeMetrics()
        self.region = FakeRegionTable(builders.switch())
        self.stores = Stores(FakeScopeStore(builders.record()), self.table)
        self.asked: list[str] = []
        self.walks: list[Walk] = []
        self.moment = NOW
        parts = {
            "config_table": self.table, "config_pointer": self.pointer, "config_bucket": self.bucket,
            "model_table": self.models, "messenger": self.messenger, "metrics": self.metrics,
            "region_table": self.region, "cluster_table": self.stores, "adoptions": self, "clock": self,
        }  # fmt: skip
        bind(monkeypatch, parts)
        monkeypatch.setattr(bootstrap, "settings", lambda: type("Settings", (), {"region": SCOPE}))

    def now(self) -> float:
        return self.moment

    def ask(self, region: str, name: str, payload: Mapping[str, object]) -> str:
        """Of the port Adoptions: the execution runs to its end at once, and once."""
        assert region == SCOPE
        if name not in self.asked:
            self.asked.append(name)
            self.adopt(**payload)
        return name

    def progress(self, name: str) -> Outcome:
        walk = self.walks[self.asked.index(name)]
        return Outcome(True, None, walk.error, walk.cause) if walk.error else Outcome(True, {}, "SUCCEEDED")

    def adopt(self, **asked: Any) -> Walk:
        walk = Walk("adopt_config", "arn", wait=lambda _: None)
        self.walks.append(walk)
        self.answer = walk.run({"by": "me", "reason": "a test", **asked})
        return walk

    def offer(self, number: int, token: int = 6, *, source: str = "us-west-2", **config: Any) -> dict[str, Any]:
        """A new version, kept in the Region that asks."""
        wanted, text = version(number, document(**config))
        self.bucket.texts.setdefault(source, {})[wanted.key] = text
        return {"version": number, "sha256": wanted.sha256, "token": token, "source": source}

    def look(self) -> dict[str, Any]:
        return find_config_drift.handler({}, Context())

    def drained(self) -> int:
        return int((self.table.found.document() or {})["failover"]["drain_seconds"])

    def everything(self) -> tuple[Any, ...]:
        return self.table.found, self.pointer.value, dict(self.bucket.texts[SCOPE]), dict(self.models.records)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


# Adopting


def test_a_version_is_adopted_and_everything_says_so(world: World) -> None:
    walk = world.adopt(**world.offer(8, failover={"drain_seconds": 60}))
    assert walk.visited == ["JudgeConfig", "MayBeAdopted", "AdoptVersion", "VerifyAdoption", "Adopted"]
    assert world.drained() == 60
    assert json.loads(world.pointer.value or "")["version"] == 8
    assert len(world.bucket.texts[SCOPE]) == 2
    verified = world.answer["verified"]
    assert (verified["state"], verified["changes"]) == ("adopted", ["failover.drain_seconds: 30 becomes 60"])


def test_the_same_version_again_is_unchanged(world: World) -> None:
    asked = world.offer(8, failover={"drain_seconds": 60})
    world.adopt(**asked)
    before = world.everything()
    assert "AdoptVersion" not in world.adopt(**asked).visited
    assert world.answer["verified"]["state"] == "unchanged"
    assert world.everything() == before


def test_a_dry_run_changes_nothing(world: World) -> None:
    before = world.everything()
    made = document(failover={"drain_seconds": 60})
    text = config_versions.canonical_text(made)
    asked = {"version": 8, "sha256": config_versions.sha256(text), "token": 6, "text": text, "dryRun": True}
    assert world.adopt(**asked).visited[-1] == "Judged"
    assert world.answer["answer"]["state"] == "would_adopt"
    assert world.everything() == before


@pytest.mark.parametrize(
    ("config", "token", "words"),
    [
        ({"model": {"name": "other", "engine": "vllm"}}, 6, "model: other is not known in us-east-1"),
        ({"schema_version": 2}, 6, "deploy the newer release of Standfast here first"),
        ({"failover": {"drain_seconds": 60}}, 4, "by a later sync (token 5, this one has 4)"),
    ],
)
def test_what_is_refused_is_refused_in_words_and_changes_nothing(
    world: World, config: dict[str, Any], token: int, words: str
) -> None:
    before = world.table.found, world.pointer.value, dict(world.models.records)
    walk = world.adopt(**world.offer(8, token, **config))
    assert (walk.visited[-1], walk.error) == ("ConfigRefused", "ConfigRefused")
    assert words in walk.cause
    assert (world.table.found, world.pointer.value, dict(world.models.records)) == before


def test_a_text_that_is_nowhere_is_refused_in_words(world: World) -> None:
    walk = world.adopt(version=9, sha256="9" * 64, token=6, source="us-west-2")
    assert walk.error == "AdoptionRefused"
    assert "the text of version 9" in walk.cause


def test_a_model_that_is_pointed_at_is_live_and_the_one_before_is_not(world: World) -> None:
    other = ModelRecord("other", "v2", ModelState.VERIFIED, "b" * 64, SCOPE, "", NOW, revision=1)
    world.models.records["other", "v2"] = other
    world.adopt(**world.offer(8, model={"name": "other", "engine": "vllm", "version": "v2"}))
    states = {name: record.state for (name, _), record in world.models.records.items()}
    assert states == {"other": ModelState.LIVE, "tiny": ModelState.VERIFIED}


def test_a_sync_that_came_between_judging_and_writing_wins(world: World) -> None:
    judge, asked = Walk("adopt_config", "arn", wait=lambda _: None), world.offer(8, failover={"drain_seconds": 60})
    step = judge._handler("JudgeConfig")({"input": {"by": "me", "reason": "a test", **asked}})
    world.adopt(**world.offer(9, 7, failover={"drain_seconds": 70}))
    with pytest.raises(Exception, match="what was judged a moment ago holds no more"):
        judge._handler("AdoptVersion")(step)
    assert world.drained() == 70


def test_an_adoption_that_died_before_it_was_verified_is_drift_and_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, **REPAIRS)
    asked = world.offer(8, failover={"drain_seconds": 60}, **REPAIRS)

    def died(_: object) -> None:
        raise UnavailableError("it died here")

    walk = Walk("adopt_config", "arn", wait=lambda _: None, instead={"VerifyAdoption": died})
    walk.run({"by": "me", "reason": "a test", **asked})
    assert (walk.error, world.drained()) == ("DidNotAdopt", 60)
    assert json.loads(world.pointer.value or "")["version"] == 7
    assert world.look()["action"] == "none"  # it may still be at work
    world.moment += SETTLE_SECONDS
    assert world.look()["action"] == "repair"
    assert json.loads(world.pointer.value or "")["version"] == 8
    assert world.look()["action"] == "none"


# Drift


def by_hand(world: World) -> None:
    """What `apply-config` does with another document."""
    found, made = world.table.found, builders.fleet(failover={"drain_seconds": 3})
    world.table.found = replace(found, revision=found.revision + 1, text=made.canonical(), sha256=made.digest())


def edit_table(world: World) -> None:
    world.table.found = replace(world.table.found, text="by hand")


def edit_parameter(world: World) -> None:
    world.pointer.value = "by hand"


def lose_parameter(world: World) -> None:
    world.pointer.value = None


def edit_object(world: World) -> None:
    good = world.bucket.texts[SCOPE][world.wanted.key]
    world.bucket.earlier.append(good)
    world.bucket.texts[SCOPE][world.wanted.key] = "by hand"


def lose_object(world: World) -> None:
    world.bucket.earlier.append(world.bucket.texts[SCOPE].pop(world.wanted.key))


def everything_at_once(world: World) -> None:
    edit_parameter(world)
    by_hand(world)


EDITS = [by_hand, edit_table, edit_parameter, lose_parameter, edit_object, lose_object, everything_at_once]


def in_words(told: list[tuple[str, str]]) -> str:
    return "\n".join(text for _, text in told)


@pytest.mark.parametrize("edit", EDITS)
def test_a_hand_edit_is_told_once_and_put_back_and_its_end_is_told(monkeypatch: pytest.MonkeyPatch, edit: Any) -> None:
    world = World(monkeypatch, **REPAIRS)
    in_force = world.table.found.text
    edit(world)
    assert world.look()["action"] == "repair"
    assert (world.table.found.text, world.pointer.value) == (in_force, pointer_text(world.wanted))
    assert config_versions.sha256(world.bucket.texts[SCOPE][world.wanted.key]) == world.wanted.sha256
    assert [walk.visited[-1] for walk in world.walks] == ["Adopted"]
    assert [world.look()["action"] for _ in range(3)] == ["none"] * 3
    told = [*world.messenger.pages, *world.messenger.notices]
    assert len(told) == 2
    assert "was synced there:" in told[0][1]
    assert "is as it was synced again" in told[1][1]
    assert [name for name, _ in world.messenger.events] == ["ConfigDrifted", "ConfigDriftEnded"]
    assert [figures["ConfigDrift"] for _, _, figures, _ in world.metrics.put_at] == [1, 0, 0, 0]


@pytest.mark.parametrize("edit", EDITS)
def test_a_hand_edit_is_told_once_and_kept_where_the_configuration_says_so(world: World, edit: Any) -> None:
    edit(world)
    before = world.everything()
    assert [world.look()["action"] for _ in range(3)] == ["tell"] * 3
    assert world.everything() == before
    assert (world.asked, len(world.messenger.pages) + len(world.messenger.notices)) == ([], 1)


@pytest.mark.parametrize("edit", EDITS)
def test_while_the_switch_does_not_say_run_nothing_is_put_back(monkeypatch: pytest.MonkeyPatch, edit: Any) -> None:
    world = World(monkeypatch, **REPAIRS)
    world.region.write_switch(builders.switch(Automation.OBSERVE))
    edit(world)
    before = world.everything()
    assert "the switch says observe" in world.look()["reason"]
    assert world.everything() == before
    world.region.write_switch(builders.switch())
    assert world.look()["action"] == "repair"
    assert world.look()["action"] == "none"


def test_nothing_is_told_of_a_configuration_that_was_always_as_synced(world: World) -> None:
    assert world.look()["action"] == "none"
    assert (world.messenger.pages, world.messenger.notices, world.messenger.events) == ([], [], [])


def test_an_unreadable_configuration_is_a_page(world: World) -> None:
    edit_table(world)
    world.look()
    assert "what is in force cannot be read" in in_words(world.messenger.pages)


def test_a_region_that_was_never_synced_is_left_to_who_configures_it_by_hand(world: World) -> None:
    world.table.found = replace(world.table.found, synced=None)
    assert world.look()["reason"] == "no version was synced here yet"


def test_an_object_that_cannot_be_put_back_is_told_and_what_is_in_force_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, **REPAIRS)
    in_force = world.table.found
    edit_object(world)
    world.bucket.earlier = []
    assert [world.look()["action"] for _ in range(3)] == ["tell"] * 3
    assert [walk.error for walk in world.walks] == ["DidNotAdopt"]  # the next one begins in five minutes
    assert world.table.found == in_force
    assert len(world.messenger.notices) == 2  # that it is put back, and that it was not
    assert "the repair failed" in in_words(world.messenger.notices)
    assert "put back the object's earlier version, or copy the object from another" in in_words(world.messenger.notices)
    world.moment += AGAIN_SECONDS
    world.look()
    assert (len(world.walks), len(world.messenger.notices)) == (2, 2)


def test_nothing_is_put_back_that_nobody_could_be_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, **REPAIRS)
    by_hand(world)
    world.messenger.faults.fail("notice", UnavailableError("no answer"), times=2)
    before = world.everything()
    for _ in range(2):
        with pytest.raises(UnavailableError):
            world.look()
        assert world.everything() == before
    assert world.look()["action"] == "repair"
    assert len(world.messenger.notices) == 1


def test_the_same_hand_edit_once_more_is_put_back_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, **REPAIRS)
    for _ in range(3):
        by_hand(world)
        assert world.look()["action"] == "repair"
        assert world.look()["action"] == "none"
    assert len(world.walks) == 3


def test_a_repair_never_takes_traffic_from_a_cluster_that_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that was added by hand serves by now: the version that lacks it is refused."""
    world = World(monkeypatch, **REPAIRS)
    made = document(**REPAIRS)
    made["regions"][SCOPE]["clusters"]["use1-c"] = builders.cluster("use1-c")
    added = FleetConfig.parse(made)
    world.table.found = replace(world.table.found, text=added.canonical(), sha256=added.digest())
    serving = builders.desired({ACTIVE: 0, "use1-c": 100})
    world.stores.read = FakeScopeStore(builders.record(serving)).read
    world.look()
    assert [walk.error for walk in world.walks] == ["ConfigRefused"]
    assert "lacks use1-c, which serves now; move its traffic first" in world.walks[0].cause
    assert world.table.found.text == added.canonical()
