"""Which version each cluster and each replica should serve, before, during and after an update."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.fleet import Model
from standfast.model_versions import (
    ModelVersion,
    ReplicaPhase,
    ServedModel,
    begun,
    expected,
    finished,
    live,
    pointed,
    says,
)
from tests import builders

OLD, NEW = ModelVersion("tiny", "v7"), ModelVersion("tiny", "v8")
MODEL = Model(name="tiny", engine="vllm", version="v7")
FIRST, SECOND = "i-1:8000", "i-2:8000"


def update() -> ServedModel:
    return begun(MODEL, None, "roll-1", NEW, builders.NOW)


def touched(phase: ReplicaPhase) -> ServedModel:
    served = update()
    assert served.update is not None
    return replace(served, update=served.update.with_replica(FIRST, phase, "http://one.test"))


def test_without_a_record_a_cluster_serves_what_the_configuration_names() -> None:
    assert live(MODEL, None) == OLD
    assert expected(MODEL, None, FIRST).version == OLD


def test_a_replica_that_nobody_touched_keeps_the_old_version_while_an_update_is_under_way() -> None:
    assert expected(MODEL, touched(ReplicaPhase.OUT), SECOND).version == OLD
    assert expected(MODEL, touched(ReplicaPhase.BACK), SECOND).version == OLD


def test_a_replica_that_is_out_may_have_either_version_and_one_that_is_back_only_the_new_one() -> None:
    out = expected(MODEL, touched(ReplicaPhase.OUT), FIRST)
    assert out.changing
    assert out.model.name == "tiny"
    assert out.model.version is None
    back = expected(MODEL, touched(ReplicaPhase.BACK), FIRST)
    assert not back.changing
    assert back.version == NEW


def test_the_pointer_flips_once_the_update_is_over() -> None:
    after = finished(MODEL, touched(ReplicaPhase.BACK))
    assert after == ServedModel(NEW, OLD)
    assert expected(MODEL, after, FIRST).version == expected(MODEL, after, SECOND).version == NEW


def test_going_back_makes_every_touched_replica_doubtful_and_leaves_the_old_version_live() -> None:
    served = touched(ReplicaPhase.BACK)
    assert served.update is not None
    back = replace(served, update=served.update.reverted("it answers wrongly"))
    assert expected(MODEL, back, FIRST).changing
    assert back.update is not None
    assert back.update.reverted("another").reverting == "it answers wrongly"
    assert finished(MODEL, back) is None  # the configuration says it, so that no record is needed


def test_a_configuration_that_names_another_version_later_is_the_newer_word() -> None:
    served = pointed(MODEL, NEW)
    later = MODEL.model_copy(update={"version": "v9"})
    assert live(MODEL, served) == NEW
    assert live(later, served) == ModelVersion("tiny", "v9")
    assert pointed(MODEL.model_copy(update={"version": "v8"}), NEW) is None


def test_a_configuration_that_changes_under_an_update_does_not_move_what_it_goes_back_to() -> None:
    assert live(MODEL.model_copy(update={"version": "v9"}), update()) == OLD


def test_an_update_that_begins_again_under_its_own_name_keeps_what_it_touched() -> None:
    served = touched(ReplicaPhase.OUT)
    assert begun(MODEL, served, "roll-1", NEW, builders.NOW + 60) is served
    other = begun(MODEL, served, "roll-2", NEW, builders.NOW + 60)
    assert other.update is not None
    assert not other.update.replicas


@pytest.mark.parametrize(
    ("said", "version", "is_said"),
    [
        ("v8", "v8", True),
        ("/var/lib/standfast/models/tiny/v8/weights.gguf", "v8", True),
        ("/models/v8", "v8", True),
        ("/models/v80", "v8", False),
        ("v7", "v8", False),
    ],
)
def test_an_engine_says_its_version_by_name_or_by_the_folder_that_it_loaded(
    said: str, version: str, is_said: bool
) -> None:
    assert says(said, version) is is_said


@given(st.sets(st.sampled_from([FIRST, SECOND, "i-3:8000"])), st.booleans())
def test_once_an_update_is_over_all_replicas_are_of_one_version_and_are_judged(back: set[str], reverts: bool) -> None:
    served = update()
    assert served.update is not None
    under_way = served.update
    for name in back:
        under_way = under_way.with_replica(name, ReplicaPhase.BACK, "http://one.test")
    if reverts:
        under_way = under_way.reverted("worse")
    after = finished(MODEL, replace(served, update=under_way))
    found = {expected(MODEL, after, name) for name in (FIRST, SECOND, "i-3:8000")}
    assert {(each.version, each.changing) for each in found} == {(OLD if reverts else NEW, False)}
