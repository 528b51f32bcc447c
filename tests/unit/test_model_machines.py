"""The machines of models, walked with their own handlers on buckets in memory: each Task failing, one at a time."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from standfast import bootstrap, errors
from standfast.errors import InvalidInputError, UnavailableError
from standfast.model_ports import Pull
from standfast.model_states import ModelState
from standfast.release_steps import ReleaseInput
from standfast.settings import Settings
from standfast.stores import View
from tests.builders import NOW, STANDBY, document, fleet, view
from tests.fakes import FakeMessenger, FakeMetrics
from tests.machine_walk import Walk
from tests.model_fakes import FakeGoldenStore, FakeModelStates, FakeModelStore
from tests.unit.test_registering import FILES, PREFIX, bucket

EAST, WEST, SOUTH = "us-east-1", "us-west-2", "sa-east-1"
MODEL = {"model": "tiny", "version": "v1"}
ARN = "arn:aws:states:us-east-1:123456789012:execution:chat-replicate-model:run-1"


class World:
    """Three Regions in one process: the handlers of whichever is `here`."""

    def __init__(self) -> None:
        self.stores = {EAST: bucket(), WEST: FakeModelStore(), SOUTH: FakeModelStore()}
        for store in self.stores.values():
            store.others = {self.settings(EAST).model_bucket(name): other for name, other in self.stores.items()}
        self.states = {name: FakeModelStates() for name in self.stores}
        self.golden = FakeGoldenStore()
        self.messenger, self.metrics = FakeMessenger(), FakeMetrics()
        self.here = EAST
        self.ended: dict[str, Pull] = {}
        self.broken: Mapping[str, Callable[[dict[str, Any]], Any]] = {}
        self.unreachable: set[str] = set()
        self.replications: list[Mapping[str, object]] = []
        self.canaries: list[tuple[str, Mapping[str, object]]] = []
        self.canary = [Pull("RUNNING", {}, "", ""), Pull("SUCCEEDED", {}, "", "")]
        self.at = NOW
        self.serves, self.when_ready = "v1", "tell"
        self.releases: list[tuple[str, Mapping[str, object]]] = []

    def settings(self, region: str) -> Settings:
        arn = f"arn:aws:states:{region}:123456789012:stateMachine:chat-cluster-failover"
        return Settings(region, "chat", "t", "r", arn, "", "", "", "")

    def walk(self, machine: str, given: Mapping[str, Any]) -> Walk:
        walk = Walk(machine, ARN, wait=self.wait, instead=self.broken)
        self.output = walk.run(dict(given))
        return walk

    def wait(self, seconds: float) -> None:
        self.at += seconds

    # Pulls

    def start(self, region: str, name: str, payload: Mapping[str, object]) -> str:
        if region in self.unreachable:
            raise UnavailableError(f"StartExecution pull-model in {region}: no answer")
        home, self.here = self.here, region
        walk = Walk("pull_model", f"arn:aws:states:{region}:1:execution:pull:{name}", self.wait, self.broken)
        output = walk.run(dict(payload))
        self.here = home
        status = "FAILED" if walk.error else "SUCCEEDED"
        self.ended[region] = Pull(status, output, walk.error, walk.cause)
        return f"arn:aws:states:{region}:1:execution:pull:{name}"

    def start_replication(self, region: str, name: str, payload: Mapping[str, object]) -> str:
        self.replications.append(payload)
        return f"arn:aws:states:{region}:1:execution:replicate:{name}"

    def start_release(self, region: str, name: str, payload: Mapping[str, object]) -> str:
        if region in self.unreachable:
            raise InvalidInputError(f"{region} has no fleet-release")
        self.releases.append((name, payload))
        return f"arn:aws:states:{region}:1:execution:release:{name}"

    def start_canary(self, region: str, name: str, payload: Mapping[str, object]) -> str:
        self.canaries.append((name, payload))
        return f"arn:aws:states:{region}:1:execution:rolling:{name}"

    def look(self, execution_arn: str) -> Pull:
        if ":rolling:" in execution_arn:
            return self.canary.pop(0)
        return self.ended[execution_arn.split(":")[3]]

    # What else handlers ask for

    def now(self) -> float:
        self.at += 1
        return self.at

    def put(self, metrics: Mapping[str, float], now: float, *, model: str = "") -> None:
        self.metrics.put(metrics, now, model=model)

    def read_config(self) -> Any:
        return self.view().applied

    def view(self) -> View:
        model = {**document()["model"], "name": "tiny", "version": self.serves}
        return view(config=fleet(model=model, rollouts={"when_ready": self.when_ready}))

    def read_golden(self, model: str, version: str | None) -> Any:
        return self.golden.read_golden(model, version)

    def write_golden(self, golden: Any) -> None:
        self.golden.write_golden(golden)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    monkeypatch.setattr(bootstrap, "settings", lambda: found.settings(found.here))
    monkeypatch.setattr(bootstrap, "model_store", lambda region: found.stores[region])
    monkeypatch.setattr(bootstrap, "model_table", lambda: found.states[found.here])
    monkeypatch.setattr(bootstrap, "messenger", lambda: found.messenger)
    for name in ("pulls", "clock", "metrics", "cluster_table"):
        monkeypatch.setattr(bootstrap, name, lambda: found)
    return found


def registered(world: World) -> World:
    assert not world.walk("register_model", {**MODEL, "prefix": PREFIX}).error
    return world


def state(world: World, region: str) -> ModelState | None:
    record = world.states[region].read_model("tiny", "v1")
    return record.state if record else None


def test_a_folder_is_registered_and_brought_to_every_region(world: World) -> None:
    registered(world)
    assert state(world, EAST) is ModelState.REGISTERED
    walk = world.walk("replicate_model", {**MODEL, "regions": [EAST, WEST, SOUTH]})
    assert not walk.error, walk.cause
    assert {state(world, region) for region in (EAST, WEST, SOUTH)} == {ModelState.VERIFIED}
    assert world.output["replication"]["copied"] == 2 * len(FILES)
    assert world.messenger.notices == []
    again = world.walk("replicate_model", {**MODEL, "regions": [EAST, WEST, SOUTH]})
    assert (again.error, world.output["replication"]["copied"]) == ("", 0)
    assert world.metrics.values("ModelVerified", "tiny v1") == [1.0] * 6


def test_without_regions_a_model_goes_to_those_of_the_fleet_config(world: World) -> None:
    registered(world).walk("replicate_model", MODEL)
    assert world.output["plan"]["regions"] == [EAST]


def test_a_dry_run_says_what_it_costs_and_copies_nothing(world: World) -> None:
    walk = registered(world).walk("replicate_model", {**MODEL, "regions": [WEST], "dryRun": True})
    assert walk.visited == ["PlanReplication", "IsDryRun", "EstimateOnly"]
    assert world.output["plan"]["estimates"][0]["objects"] == len(FILES)
    assert world.stores[WEST].objects == {}


def test_registration_starts_the_replication_where_it_was_asked_to(world: World) -> None:
    walk = world.walk("register_model", {**MODEL, "prefix": PREFIX, "replicate": True})
    assert not walk.error
    assert world.replications == [{**MODEL, "trigger": "register_model"}]


def test_a_region_that_does_not_answer_is_named_and_the_others_have_the_model(world: World) -> None:
    registered(world).unreachable = {WEST}
    walk = world.walk("replicate_model", {**MODEL, "regions": [WEST, SOUTH]})
    assert walk.error == "ReplicationFailed"
    assert "- us-west-2: failed: UnavailableError: StartExecution pull-model in us-west-2: no answer" in walk.cause
    assert "- sa-east-1: verified" in walk.cause
    assert state(world, SOUTH) is ModelState.VERIFIED
    assert state(world, WEST) is None
    assert [name for name, _ in world.messenger.events] == ["ReplicationFailed"]
    assert len(world.messenger.notices) == 1
    world.unreachable = set()
    world.stores[SOUTH].copied.clear()
    assert not world.walk("replicate_model", {**MODEL, "regions": [WEST, SOUTH]}).error
    assert world.stores[SOUTH].copied == []


def broken(error: str) -> Callable[[dict[str, Any]], Any]:
    def handler(_event: dict[str, Any]) -> Any:
        raise getattr(errors, error)(f"{error} was raised")

    return handler


@pytest.mark.parametrize("error", ["AccessDeniedError", "UnavailableError", "CorruptStateError"])
@pytest.mark.parametrize("task", ["ListModel", "HashObjects", "WriteManifest"])
def test_a_registration_whose_task_fails_is_refused_with_its_sentence(world: World, task: str, error: str) -> None:
    world.broken = {task: broken(error)}
    walk = world.walk("register_model", {**MODEL, "prefix": PREFIX})
    assert walk.error == "ModelRefused"
    assert f"{error} was raised" in walk.cause
    assert not [key for key in world.stores[EAST].objects if key.startswith("manifests/")]


def test_a_replication_that_could_not_be_started_leaves_the_model_registered(world: World) -> None:
    world.broken = {"StartReplication": broken("ThrottledError")}
    walk = world.walk("register_model", {**MODEL, "prefix": PREFIX, "replicate": True})
    assert walk.error == "ReplicationDidNotStart"
    assert state(world, EAST) is ModelState.REGISTERED


@pytest.mark.parametrize(
    ("task", "ends_with", "region_says"),
    [
        ("PlanReplication", "ReplicationRefused", None),
        ("StartPull", "ReplicationFailed", "UnavailableError: UnavailableError was raised"),
        ("CheckPull", "ReplicationFailed", "UnavailableError: UnavailableError was raised"),
        ("ConcludeReplication", "ReplicationFailed", None),
        ("PlanPull", "ReplicationFailed", "pull_model FAILED with PullRefused: UnavailableError was raised"),
        ("WatchS3", "ReplicationFailed", "pull_model FAILED with PullDidNotSucceed: UnavailableError was raised"),
        ("CopyObjects", "ReplicationFailed", "pull_model FAILED with ModelNotWhole: tiny v1 is not whole in us-west-2"),
        ("VerifyModel", "ReplicationFailed", "pull_model FAILED with PullDidNotSucceed: UnavailableError was raised"),
        ("LoadCanary", "ReplicationFailed", "pull_model FAILED with CanaryDidNotServe: UnavailableError was raised"),
    ],
)
def test_whichever_task_fails_the_execution_fails_and_no_region_is_called_verified(
    world: World, task: str, ends_with: str, region_says: str | None
) -> None:
    registered(world).broken = {task: broken("UnavailableError")}
    if task == "WatchS3":
        by_rule(world)
    walk = world.walk("replicate_model", {**MODEL, "regions": [WEST], "canary": task == "LoadCanary"})
    assert walk.error == ends_with
    if region_says is None:
        assert "UnavailableError was raised" in walk.cause
    else:
        assert f"- us-west-2: failed: {region_says}" in walk.cause
        assert len(world.messenger.notices) == 1
    if task not in ("CheckPull", "ConcludeReplication", "LoadCanary"):  # these come when the Region has it
        assert state(world, WEST) is not ModelState.VERIFIED


def by_rule(world: World, status: str = "PENDING", region: str = WEST) -> None:
    """S3 has a rule from home to a Region, and says so of every object."""
    world.stores[EAST].rules = {(world.settings(EAST).model_bucket(region), "models/")}
    world.stores[EAST].statuses = dict.fromkeys((PREFIX + path for path in FILES), status)


def test_what_s3s_own_rule_brings_is_waited_for_verified_and_told_and_nothing_is_copied(world: World) -> None:
    by_rule(registered(world))

    def wait(seconds: float) -> None:
        world.at += seconds
        path = next((p for p in FILES if PREFIX + p not in world.stores[WEST].objects), None)
        if path is not None:
            world.stores[WEST].objects[PREFIX + path] = FILES[path]

    world.wait = wait  # type: ignore[method-assign]  # S3 brings an object in each wait
    walk = world.walk("replicate_model", {**MODEL, "regions": [WEST, SOUTH]})
    assert not walk.error, walk.cause
    west, south = world.output["replication"]["regions"]
    assert (west["copied"], west["by_s3"], west["s3_left"]) == (0, len(FILES), {})
    assert west["s3_reason"] == f"S3 brought {len(FILES)} of {len(FILES)} objects"
    assert (south["copied"], south["by_s3"], south["s3_reason"]) == (len(FILES), 0, "")
    assert {state(world, region) for region in (WEST, SOUTH)} == {ModelState.VERIFIED}
    assert world.metrics.values("ModelS3Missing", "tiny v1")[-1] == 0
    assert world.messenger.notices == []


def test_what_s3_reports_failed_is_copied_and_told_by_name(world: World) -> None:
    by_rule(registered(world), "FAILED")
    walk = world.walk("replicate_model", {**MODEL, "regions": [WEST]})
    assert not walk.error, walk.cause
    (west,) = world.output["replication"]["regions"]
    assert (west["copied"], west["by_s3"], west["s3_left"]) == (len(FILES), 0, {"failed": len(FILES)})
    ((subject, text),) = world.messenger.notices
    assert subject == "tiny v1: S3's rule did not bring all of it to us-west-2"
    assert f"copied by us: {len(FILES)} FAILED ({min(FILES)}" in text


def test_what_s3_does_not_bring_in_time_is_copied_and_told(world: World) -> None:
    by_rule(registered(world))
    walk = world.walk("replicate_model", {**MODEL, "regions": [WEST]})
    assert not walk.error, walk.cause
    assert "PENDING with none coming for 9" in world.output["replication"]["regions"][0]["s3_reason"]
    assert len(world.messenger.notices) == 1


def test_what_was_there_before_the_rule_is_copied_without_a_notice(world: World) -> None:
    by_rule(registered(world), "")
    walk = world.walk("replicate_model", {**MODEL, "regions": [WEST]})
    assert not walk.error, walk.cause
    assert world.output["replication"]["copied"] == len(FILES)
    assert world.messenger.notices == []


def test_what_the_day_finds_damaged_is_mended_and_told_by_day(world: World) -> None:
    registered(world).walk("replicate_model", {**MODEL, "regions": [WEST]})
    from replication import repair_models

    world.here = WEST
    path = PREFIX + "config.json"
    world.stores[WEST].objects[path] = base64.b64encode(world.stores[WEST].objects[path])
    started = repair_models.handler({}, None)
    assert len(started) == 1
    walk = world.walk("replicate_model", world.replications[0])
    assert not walk.error, walk.cause
    assert world.output["replication"]["regions"][0]["damaged"] == {"size": 1}
    assert [subject for subject, _ in world.messenger.notices] == ["tiny v1 is verified in us-west-2"]


def test_a_model_that_was_only_registered_is_not_looked_at_by_the_day(world: World) -> None:
    registered(world)
    from replication import repair_models

    assert repair_models.handler({}, None) == {}


def test_people_are_told_when_the_days_look_cannot_begin_and_only_then(world: World) -> None:
    registered(world).walk("replicate_model", {**MODEL, "regions": [WEST]})
    world.stores[EAST].objects.pop("manifests/tiny/v1.json")
    asked = {**MODEL, "regions": [WEST], "source_region": EAST}
    assert world.walk("replicate_model", asked).error == "ReplicationRefused"
    assert world.messenger.notices == []
    assert world.walk("replicate_model", {**asked, "trigger": "schedule"}).error == "ReplicationRefused"
    ((subject, text),) = world.messenger.notices
    assert subject == "us-east-1: tiny v1 was not looked at"
    assert "is not registered in us-east-1" in text


def test_an_input_with_a_typing_error_is_refused_by_field(world: World) -> None:
    walk = world.walk("register_model", {**MODEL, "prefx": PREFIX})
    assert walk.error == "ModelRefused"
    assert "prefx" in walk.cause
    assert "InvalidInputError" in json.loads(walk.cause)["Error"]


def test_a_region_with_a_standby_loads_the_model_once_and_says_so_and_one_without_says_that(world: World) -> None:
    world.serves = "v0"
    walk = registered(world).walk("replicate_model", {**MODEL, "regions": [EAST, WEST], "canary": True})
    assert not walk.error, walk.cause
    ((name, payload),) = world.canaries
    assert name == "run-1-canary"
    assert (payload["cluster_id"], payload["version"], payload["canary"]) == (STANDBY, "v1", True)
    east, west = world.output["replication"]["regions"]
    assert east["canary"] == "one replica loaded it, answered as it should, and is put back"
    assert west["canary"] == "no canary load: us-west-2 has no clusters"


def test_a_canary_that_did_not_serve_fails_its_region_by_name_though_the_model_is_verified_there(world: World) -> None:
    world.serves = "v0"
    registered(world).canary = [Pull("FAILED", {}, "RolloutPutBack", "the engine ended at each start")]
    walk = world.walk("replicate_model", {**MODEL, "regions": [EAST, WEST], "canary": True})
    assert walk.error == "ReplicationFailed"
    assert "- us-east-1: failed: pull_model FAILED with CanaryDidNotServe: verified, but its canary load" in walk.cause
    assert "the engine ended at each start" in walk.cause
    assert "- us-west-2: verified" in walk.cause
    assert state(world, EAST) is ModelState.VERIFIED


def test_a_new_version_that_the_fleet_has_is_told_or_its_release_begins_once_under_one_name(world: World) -> None:
    world.serves = "v0"
    registered(world).walk("replicate_model", MODEL)
    ((subject, text),) = world.messenger.notices
    assert (subject, world.releases) == ("tiny v1 is ready to be released", [])
    assert 'To release it start fleet-release with {"model": "tiny", "version": "v1"' in text
    world.when_ready = "start"
    for _ in range(2):
        world.walk("replicate_model", MODEL)
    assert len({name for name, _ in world.releases}) == 1
    assert ReleaseInput.model_validate(world.releases[0][1]).version == "v1"
    world.walk("replicate_model", {**MODEL, "trigger": "schedule"})
    assert len(world.releases) == 2


def test_where_no_release_can_begin_the_version_is_verified_and_a_person_told(world: World) -> None:
    world.serves, world.when_ready = "v0", "start"
    registered(world).unreachable.add(EAST)
    assert not world.walk("replicate_model", {**MODEL, "regions": [WEST], "source_region": EAST}).error
    assert "was not started by itself: us-east-1 has no fleet-release" in world.messenger.notices[-1][1]
