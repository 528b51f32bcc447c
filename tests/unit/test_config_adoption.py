"""What a Region does with a version: it adopts, leaves alone or refuses, and says why."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast import config_adoption, config_judging, config_versions
from standfast.config_adoption import Action, Standing, Synced, decide
from standfast.config_sync import AdoptInput
from standfast.config_versions import ConfigVersion
from standfast.errors import ConflictError, CorruptStateError
from standfast.fleet import FleetConfig
from standfast.model_states import ModelRecord, ModelState
from tests.builders import ACTIVE, NOW, SCOPE, STANDBY, cluster, desired, document, fleet, record
from tests.fakes import FakeConfigBucket, FakeConfigPointer, FakeConfigTable, FakeScopeStore
from tests.model_fakes import FakeModelStates

V7 = ConfigVersion(7, "7" * 64)
V8 = ConfigVersion(8, "8" * 64)
TOKEN = 5
LATER = fleet(failover={"drain_seconds": 60})


def synced(wanted: ConfigVersion = V7, token: int = TOKEN, config: FleetConfig | None = None) -> Synced:
    return Synced(wanted, token, (config or fleet()).digest(), "somebody", NOW)


def standing(config: FleetConfig | None = None, **changes: Any) -> Standing:
    """A Region that has version 7 of `fleet()` in force."""
    config = config or fleet()
    return replace(Standing(3, config.canonical(), config.digest(), synced()), **changes)


def model(state: ModelState = ModelState.VERIFIED, name: str = "tiny", version: str | None = None) -> ModelRecord:
    return ModelRecord(name, version, state, "a" * 64, SCOPE, "a test", NOW)


def judged(config: FleetConfig, **changes: Any) -> config_adoption.Adoption:
    given: dict[str, Any] = {
        "wanted": V8,
        "token": TOKEN + 1,
        "standing": standing(),
        "model": model(),
        "serving": desired(),
        **changes,
    }
    return decide(SCOPE, config=config, **given)


def test_a_new_version_is_applied_with_the_difference_in_words() -> None:
    found = judged(LATER)
    assert (found.action, found.reason) == (Action.APPLY, "version 8 (88888888) changes 1 field here")
    assert found.changes == ("failover.drain_seconds: 30 becomes 60",)


def test_the_version_that_is_in_force_is_left_alone() -> None:
    found = judged(fleet(), wanted=V7, token=TOKEN)
    assert (found.action, found.reason) == (Action.NONE, "version 7 (77777777) is in force here already")


def test_another_number_for_the_same_text_is_written_down() -> None:
    found = judged(fleet())
    assert (found.action, found.changes) == (Action.APPLY, ())
    assert found.reason == "version 8 (88888888) says what is in force here already; only its number is new"


def test_a_repair_of_the_same_version_applies_what_was_changed_by_hand() -> None:
    found = judged(fleet(), wanted=V7, token=TOKEN, standing=standing(LATER))
    assert (found.action, found.changes) == (Action.APPLY, ("failover.drain_seconds: 60 becomes 30",))


def test_a_text_whose_hash_was_edited_is_written_anew() -> None:
    assert judged(fleet(), wanted=V7, token=TOKEN, standing=standing(sha256="0" * 64)).action is Action.APPLY


@pytest.mark.parametrize("text", ["no JSON", "[]", ""])
def test_a_text_that_cannot_be_read_is_replaced_whole(text: str) -> None:
    found = judged(fleet(), wanted=V7, token=TOKEN, standing=standing(text=text))
    assert (found.action, found.changes) == (
        Action.APPLY,
        ("everything: this Region has no configuration yet",),
    )


def test_the_first_version_of_a_new_region_is_applied() -> None:
    assert judged(fleet(), standing=Standing(), serving=None).action is Action.APPLY


@given(st.integers(0, 20), st.integers(0, 20), st.sampled_from([fleet(), LATER]))
def test_a_late_sync_never_replaces_a_later_one(token: int, seen: int, config: FleetConfig) -> None:
    found = judged(config, token=token, standing=standing(synced=synced(token=seen)))
    assert (found.action is Action.REFUSE) == (token < seen)
    if token < seen:
        assert found.reason.endswith("start a new one if this version is meant")
        assert f"token {seen}, this one has {token}" in found.reason


# The model


OTHER = fleet(model={"name": "other", "engine": "vllm", "version": "v2"})


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (None, f"model: other v2 is not known in {SCOPE}; run register_model, then replicate_model to {SCOPE}"),
        (model(ModelState.REGISTERED, "other", "v2"), f"model: other v2 is registered in {SCOPE}, not verified there"),
        (model(ModelState.REPLICATING, "other", "v2"), f"model: other v2 is replicating in {SCOPE}"),
    ],
)
def test_a_region_is_never_pointed_at_a_model_that_is_not_verified_there(known: ModelRecord | None, words: str) -> None:
    found = judged(OTHER, model=known)
    assert found.action is Action.REFUSE
    assert words in found.reason


@pytest.mark.parametrize("state", [ModelState.VERIFIED, ModelState.LIVE])
def test_a_region_is_pointed_at_a_model_that_is_verified_there(state: ModelState) -> None:
    found = judged(OTHER, model=model(state, "other", "v2"))
    assert (found.action, found.mind) == (Action.APPLY, "")


@pytest.mark.parametrize("known", [None, model(ModelState.REPLICATING)])
def test_the_model_that_a_region_has_does_not_keep_other_fields_from_it_but_is_told(known: ModelRecord | None) -> None:
    found = judged(LATER, model=known)
    assert found.action is Action.APPLY
    assert found.mind.startswith("tiny is ")


def test_a_region_without_a_configuration_is_not_pointed_at_an_unknown_model() -> None:
    assert judged(fleet(), model=None, standing=Standing(), serving=None).action is Action.REFUSE


def test_a_region_that_only_watches_needs_no_model() -> None:
    watched = fleet(watchers=["us-east-2"])
    found = decide("us-east-2", V8, TOKEN, watched, Standing(), None, None)
    assert (found.action, found.mind) == (Action.APPLY, "")


# What serves


def test_a_cluster_that_serves_is_not_forgotten() -> None:
    smaller = document()
    region = smaller["regions"][SCOPE]
    region["clusters"] = {STANDBY: cluster(STANDBY, "active"), "use1-c": cluster("use1-c")}
    found = judged(FleetConfig.parse(smaller))
    assert found.action is Action.REFUSE
    assert f"regions.{SCOPE}.clusters lacks {ACTIVE}, which serves now; move its traffic first" in found.reason


def test_a_region_that_serves_does_not_become_a_mere_watcher() -> None:
    elsewhere = json.loads(json.dumps(document()).replace("us-east-1", "us-west-2").replace("use1", "usw2"))
    found = judged(FleetConfig.parse({**elsewhere, "watchers": [SCOPE]}))
    assert found.action is Action.REFUSE
    assert f"Region '{SCOPE}' is not in the FleetConfig" in found.reason


# After the write


def check(found: Standing) -> None:
    config_adoption.check_in_force(V7, TOKEN, fleet().digest(), found)


def test_what_was_written_is_read_back() -> None:
    check(standing())


@pytest.mark.parametrize(
    "found",
    [
        Standing(),
        standing(synced=synced(V8)),
        standing(synced=synced(token=TOKEN + 1)),
        standing(LATER),
        standing(sha256="0" * 64),
        standing(synced=synced(config=LATER)),
    ],
)
def test_whatever_else_is_found_is_a_conflict(found: Standing) -> None:
    with pytest.raises(ConflictError, match=r"version 7 \(77777777\) was written, and"):
        check(found)


def test_the_parameter_follows_the_table_also_when_it_moves_meanwhile() -> None:
    table = FakeConfigTable(standing())
    pointer = FakeConfigPointer()
    pointer.on_write = lambda: setattr(table, "found", standing(synced=synced(V8)))
    assert config_adoption.point(table, pointer).wanted == V8
    assert pointer.read_pointer() == config_adoption.pointer_text(V8)


def test_a_parameter_that_says_it_already_is_not_written() -> None:
    pointer = FakeConfigPointer(config_adoption.pointer_text(V7))
    config_adoption.point(FakeConfigTable(standing()), pointer)
    assert pointer.writes == 0


def test_a_parameter_that_somebody_else_keeps_writing_is_a_conflict() -> None:
    pointer = FakeConfigPointer()
    pointer.on_write = lambda: setattr(pointer, "value", "somebody else's")
    with pytest.raises(ConflictError, match="does not stay as it is written"):
        config_adoption.point(FakeConfigTable(standing()), pointer)


def test_the_parameter_is_small_enough_for_parameter_store() -> None:
    assert len(config_adoption.pointer_text(ConfigVersion(99_999_999, "f" * 64))) < 4096


def test_the_model_that_is_pointed_at_is_live_and_no_other_one() -> None:
    records = [model(), model(ModelState.LIVE, "old"), model(ModelState.VERIFIED, "third")]
    moved = config_adoption.moved_models(records, fleet(), V7, NOW)
    assert {each.model: each.state for each in moved} == {"tiny": ModelState.LIVE, "old": ModelState.VERIFIED}
    assert config_adoption.moved_models(moved, fleet(), V7, NOW) == []


# Gathered


def asked(made: dict[str, Any], **changes: Any) -> tuple[AdoptInput, FakeConfigBucket]:
    text = config_versions.canonical_text(made)
    version = ConfigVersion(8, config_versions.sha256(text))
    bucket = FakeConfigBucket({SCOPE: {version.key: text}})
    fields = {"version": 8, "sha256": version.sha256, "token": TOKEN + 1, "by": "me", "reason": "a test"}
    return AdoptInput.model_validate({**fields, **changes}), bucket


def gathered(question: AdoptInput, bucket: FakeConfigBucket) -> config_judging.Judged:
    return config_judging.judge(
        SCOPE,
        question,
        table=FakeConfigTable(standing()),
        bucket=bucket,
        models=FakeModelStates(model()),
        scopes=FakeScopeStore(record()),
    )


def test_a_version_is_judged_by_what_the_region_has() -> None:
    found = gathered(*asked(document(failover={"drain_seconds": 60})))
    assert found.config == LATER
    assert found.adoption.changes == ("failover.drain_seconds: 30 becomes 60",)


def test_what_this_release_does_not_accept_is_refused_in_words() -> None:
    found = gathered(*asked(document(schema_version=2)))
    assert (found.adoption.action, found.config) == (Action.REFUSE, None)
    assert "deploy the newer release of Standfast here first" in found.adoption.reason


def test_a_dry_run_reads_the_text_that_it_was_given() -> None:
    text = config_versions.canonical_text(document(failover={"drain_seconds": 60}))
    question, _ = asked(document(), dry_run=True, text=text)
    assert gathered(question, FakeConfigBucket({})).config == LATER


def test_a_text_that_was_changed_in_the_bucket_is_not_judged() -> None:
    question, bucket = asked(document())
    bucket.texts[SCOPE] = {question.as_version().key: config_versions.canonical_text(document(moves={}))}
    with pytest.raises(CorruptStateError):
        gathered(question, bucket)


def test_a_text_is_taken_from_the_region_that_asks_and_kept() -> None:
    question, bucket = asked(document(), source="us-west-2")
    bucket.texts = {"us-west-2": bucket.texts[SCOPE]}
    config_judging.fetch(question, bucket)
    config_judging.fetch(question, bucket)
    assert bucket.texts[SCOPE] == bucket.texts["us-west-2"]
    assert gathered(question, bucket).config == fleet()


def test_a_text_that_is_not_the_version_is_not_taken() -> None:
    question, bucket = asked(document(), source="us-west-2")
    bucket.texts = {"us-west-2": {question.as_version().key: config_versions.canonical_text(document(moves={}))}}
    with pytest.raises(CorruptStateError):
        config_judging.fetch(question, bucket)
    assert SCOPE not in bucket.texts


def test_a_dry_run_takes_nothing() -> None:
    question, _ = asked(document(), dry_run=True, text="{}", source="us-west-2")
    config_judging.fetch(question, FakeConfigBucket({}))
