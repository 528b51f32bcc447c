"""A canary load: on which standby a verified version is loaded once, or why on none, and what is said of it."""

from __future__ import annotations

import json

import pytest

from standfast import canary_load
from standfast.canary_load import CanaryAnswer
from standfast.errors import NotServingError
from standfast.fleet import Role
from standfast.model_ports import Pull
from standfast.model_versions import ModelVersion, ServedModel
from standfast.replication_steps import PullPlan
from standfast.rollout_steps import RollingInput
from standfast.stores import View
from tests import builders
from tests.builders import ACTIVE, NOW, SCOPE, STANDBY

NEW = ModelVersion("tiny", "v8")
STARTED = CanaryAnswer(ended=False, execution_arn="arn:load", said=f"{STANDBY} loads it on one replica")


def plan(model: str = "tiny") -> PullPlan:
    return PullPlan(
        model=model,
        version="v8",
        source_region="us-west-2",
        region=SCOPE,
        trigger="console",
        work="executions/pull/one/",
        objects=1,
        bytes=1,
        due=0,
        due_bytes=0,
        damaged={},
        batches=[],
        aborted_uploads=0,
        api_calls=0,
        began_at=NOW,
        canary=True,
    )


def seen(
    *, roles: dict[str, Role] | None = None, weights: dict[str, int] | None = None, standby_serves: str = "v7"
) -> View:
    document = builders.document()
    document["model"] |= {"name": "tiny", "version": "v7"}
    served = {STANDBY: ServedModel(ModelVersion("tiny", standby_serves), ModelVersion("tiny", "v7"))}
    desired = builders.desired(
        roles=roles or {ACTIVE: Role.ACTIVE, STANDBY: Role.STANDBY}, weights=weights or {ACTIVE: 100, STANDBY: 0}
    )
    record = builders.record(desired.next(token=1, reason="a test", now=NOW, models=served))
    return builders.view(config=builders.fleet(**document), scope=record)


def test_the_standby_without_traffic_loads_it() -> None:
    chosen = canary_load.choose(plan(), seen())
    assert (chosen.cluster_id, chosen.reason) == (STANDBY, f"{STANDBY} loads it on one replica")
    given = RollingInput.model_validate(canary_load.payload(plan(), chosen.cluster_id))
    assert (given.canary, given.version, given.cluster_id) == (True, "v8", STANDBY)


@pytest.mark.parametrize(
    ("view", "model", "said"),
    [
        (seen(roles={ACTIVE: Role.ACTIVE, STANDBY: Role.QUARANTINED}), "tiny", "has no standby of two replicas"),
        (seen(weights={ACTIVE: 90, STANDBY: 10}), "tiny", "has no standby of two replicas without traffic"),
        (seen(), "other", "engines in us-east-1 are set up for tiny, not for other"),
        (seen(standby_serves="v8"), "tiny", f"{STANDBY} serves tiny v8 already"),
    ],
)
def test_it_is_loaded_nowhere_where_none_can_be_spared_and_the_reason_is_said(
    view: View, model: str, said: str
) -> None:
    chosen = canary_load.choose(plan(model), view)
    assert chosen.cluster_id == ""
    assert said in chosen.reason


def test_a_load_that_is_under_way_is_waited_for_and_one_that_served_is_said() -> None:
    assert canary_load.stands(STARTED, Pull("RUNNING", {}, "", "")) == STARTED
    ended = canary_load.stands(STARTED, Pull("SUCCEEDED", {}, "", ""))
    assert ended.ended
    assert "one replica loaded it, answered as it should" in ended.said


def test_a_load_that_failed_says_why_in_the_words_of_the_update() -> None:
    cause = json.dumps({"errorMessage": "the engine ended at each start"})
    with pytest.raises(NotServingError, match="load ended as RolloutPutBack: the engine ended at each start"):
        canary_load.stands(STARTED, Pull("FAILED", {}, "RolloutPutBack", cause))
