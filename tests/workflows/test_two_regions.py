"""A fleet of two Regions and a watcher: what is shared, what is not, one configuration for all, a Region cut off."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest

from sandbox import configuration, model_desk
from sandbox.aws.faults import FaultKind
from sandbox.aws.latency import Latencies
from sandbox.control import ControlStack
from sandbox.fleet.sharded import sharded_model
from sandbox.plan import REGIONS, WATCHER, SandboxError
from sandbox.region import SandboxRegion
from sandbox.world import Sandbox
from standfast.fleet import Automation, Role
from standfast.health import Verdict

EAST, WEST = REGIONS


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("sandbox"), latencies=Latencies.none()) as sandbox:
        yield sandbox.start()


@pytest.fixture
def sandbox(fleet: Sandbox) -> Iterator[Sandbox]:
    yield fleet
    for region in REGIONS:
        fleet.cloud.rejoin(region)
    fleet.set_switch("run", "the next test")
    assert not fleet.cloud.denials()


def fail_over(region: SandboxRegion, *, failed: str) -> dict[str, object]:
    payload = {"mode": "failover", "scope_id": region.name, "failed_cluster_id": failed, "reason": "a test"}
    return region.wait_for_end(region.start_execution(payload))


def test_every_vantage_point_sees_every_region_and_all_regions_know_it(sandbox: Sandbox) -> None:
    def healthy() -> set[tuple[str, str]]:
        return {(sight.vantage, sight.region) for sight in sandbox.sights() if sight.verdict is Verdict.HEALTHY}

    watcher = sandbox.stacks[-1]
    watcher.wait_for("the sights", lambda: healthy() == set(product((EAST, WEST, WATCHER), (EAST, WEST))), 20)


def test_the_switch_that_is_set_in_one_region_holds_in_all(sandbox: Sandbox) -> None:
    east, west = sandbox.regions[EAST], sandbox.regions[WEST]
    west.invoke("set-switch", {"automation": "off", "reason": "a test", "set_by": "test"})
    execution = fail_over(east, failed=east.primary)
    assert execution["error"] == "FailoverRefused"
    assert "the switch is off" in str(execution["cause"])


def test_a_failover_in_one_region_changes_nothing_in_the_other(sandbox: Sandbox) -> None:
    east, west = sandbox.regions[EAST], sandbox.regions[WEST]
    before, told = east.view().scope, len(east.messages())
    assert fail_over(west, failed=west.primary)["status"] == "SUCCEEDED"
    assert west.view().scope.desired.cluster_with(Role.ACTIVE) == west.standby
    assert east.view().scope == before
    assert len(east.messages()) == told
    west.restore()


@pytest.mark.long
def test_a_region_that_is_cut_off_saves_itself(sandbox: Sandbox) -> None:
    west = sandbox.regions[WEST]
    sandbox.cloud.isolate(WEST)
    west.nodes.kill(west.primary)
    west.wait_for("the failover", lambda: west.view().scope.desired.roles.get(west.primary) is Role.QUARANTINED, 60)
    assert west.view().scope.desired.cluster_with(Role.ACTIVE) == west.standby
    with pytest.raises(SandboxError, match="UnavailableError"):
        west.invoke("set-switch", {"automation": "off", "reason": "a test", "set_by": "test"})
    assert sandbox.switch().automation is Automation.RUN
    sandbox.cloud.rejoin(WEST)
    west.restore()


@pytest.mark.long
def test_a_model_is_verified_in_every_region_but_the_one_that_does_not_answer_and_there_on_a_second_run(
    sandbox: Sandbox,
) -> None:
    """By the roles, machines and bucket policies that deploy; the watcher's Region has models too."""
    east, prefix, files = sandbox.regions[EAST], "models/tiny-test/v1/", sharded_model(7, 3)
    model = {"model": "tiny-test", "version": "v1"}
    model_desk.upload(east, prefix, files)
    registered = model_desk.run(east, "register-model", {**model, "prefix": prefix})
    assert registered["status"] == "SUCCEEDED", registered.get("cause")
    asked = {**model, "regions": [WEST, WATCHER]}
    with sandbox.cloud.faults.injected("StartPull", FaultKind.ACCESS_DENIED, region=WEST):
        first = model_desk.run(east, "replicate-model", asked)
    assert first["error"] == "ReplicationFailed"
    assert f"- {WEST}: failed" in first["cause"]
    assert f"- {WATCHER}: verified; {len(files)} of {len(files)} objects copied" in first["cause"]
    second = model_desk.run(east, "replicate-model", asked)
    assert second["status"] == "SUCCEEDED", second.get("cause")
    copied = {each["region"]: each["copied"] for each in model_desk.output(second)["replication"]["regions"]}
    assert copied == {WEST: len(files), WATCHER: 0}
    for stack in sandbox.stacks[1:]:
        assert model_desk.folder(stack, prefix) == dict(files)
        record = model_desk.record(stack, "tiny-test", "v1")
        assert record is not None
        assert record.state == "verified"


@pytest.fixture
def standing_rule(sandbox: Sandbox) -> Iterator[SandboxRegion]:
    """The first Region with S3's own replication rule to the second, by the template's parameter."""
    east = sandbox.regions[EAST]
    east.deploy({**sandbox.parameters(east), "ModelReplicaRegion": WEST})
    yield east
    east.deploy(sandbox.parameters(east))


def waits_for_s3(stack: ControlStack) -> bool:
    """Whether the newest pull in a Region has looked, and waits."""
    machine = stack.client("stepfunctions")
    arn = next(each for each in machine.list_state_machines()["stateMachines"] if each["name"].endswith("-pull-model"))
    for each in machine.list_executions(stateMachineArn=arn["stateMachineArn"], statusFilter="RUNNING")["executions"]:
        events = machine.get_execution_history(executionArn=each["executionArn"])["events"]
        if any(event.get("stateEnteredEventDetails", {}).get("name") == "WaitForS3" for event in events):
            return True
    return False


@pytest.mark.long
def test_what_s3_replicates_by_the_standing_rule_is_waited_for_verified_and_not_copied(
    sandbox: Sandbox, standing_rule: SandboxRegion
) -> None:
    """By the template's rule, role and keys; the watcher's Region has no rule and copies as ever."""
    prefix, files = "models/tiny-rule/v1/", sharded_model(8, 3)
    model = {"model": "tiny-rule", "version": "v1"}
    asked = {**model, "regions": [WEST, WATCHER]}
    with ThreadPoolExecutor(1) as pool:
        with sandbox.cloud.replication.held():
            model_desk.upload(standing_rule, prefix, files)
            registered = model_desk.run(standing_rule, "register-model", {**model, "prefix": prefix})
            assert registered["status"] == "SUCCEEDED", registered.get("cause")
            running = pool.submit(model_desk.run, standing_rule, "replicate-model", asked)
            standing_rule.wait_for("the pull to wait for S3", lambda: waits_for_s3(sandbox.regions[WEST]), 30)
        done = running.result()
    assert done["status"] == "SUCCEEDED", done.get("cause")
    west, watcher = model_desk.output(done)["replication"]["regions"]
    assert (west["state"], west["copied"], west["by_s3"], west["s3_left"]) == ("verified", 0, len(files), {})
    assert (watcher["state"], watcher["copied"], watcher["by_s3"]) == ("verified", len(files), 0)


@pytest.mark.long
def test_what_s3_fails_to_replicate_is_named_and_copied(sandbox: Sandbox, standing_rule: SandboxRegion) -> None:
    west, prefix, files = sandbox.regions[WEST], "models/tiny-rule/v2/", sharded_model(9, 3)
    model = {"model": "tiny-rule", "version": "v2"}
    told = len(standing_rule.messages())
    with sandbox.cloud.replication.failing("v2/model-00002"):
        model_desk.upload(standing_rule, prefix, files)
        registered = model_desk.run(standing_rule, "register-model", {**model, "prefix": prefix})
        assert registered["status"] == "SUCCEEDED", registered.get("cause")
        done = model_desk.run(standing_rule, "replicate-model", {**model, "regions": [WEST]})
    assert done["status"] == "SUCCEEDED", done.get("cause")
    (found,) = model_desk.output(done)["replication"]["regions"]
    assert (found["state"], found["copied"], found["s3_left"]) == ("verified", 1, {"failed": 1})
    assert "copied by us: 1 FAILED (model-00002-of-00003.safetensors)" in found["s3_reason"]
    assert model_desk.folder(west, prefix) == dict(files)
    subjects = [message.subject for message in standing_rule.messages()[told:]]
    assert f"tiny-rule v2: S3's rule did not bring all of it to {WEST}" in subjects


def test_every_region_refuses_a_failover_of_another_one(sandbox: Sandbox) -> None:
    east = sandbox.regions[EAST]
    payload = {"mode": "failover", "scope_id": WEST, "failed_cluster_id": "usw2-a", "reason": "a test"}
    execution = east.wait_for_end(east.start_execution(payload))
    assert f"this stack serves {EAST}, not {WEST}" in execution["cause"]


# The configuration: one version for all Regions


def drained(stack: ControlStack) -> int:
    """The seconds that are in force in a Region."""
    document = configuration.standing(stack).document() or {}
    return int(document["failover"]["drain_seconds"])


def versions(sandbox: Sandbox) -> set[int]:
    return {int(configuration.pointer(stack)["version"]) for stack in sandbox.stacks}


def config(sandbox: Sandbox, **changes: object) -> dict[str, object]:
    return {**sandbox.fleet_config(), **changes}


@pytest.mark.long
def test_a_version_reaches_every_region_and_an_earlier_one_comes_back(sandbox: Sandbox) -> None:
    east, west = sandbox.regions[EAST], sandbox.regions[WEST]
    overlays = {WEST: {"failover": {"drain_seconds": 50}}}
    first = config(sandbox, failover={"drain_seconds": 40}, overlays=overlays)
    found = configuration.output(configuration.sync(east, config=first))
    assert {name: region["state"] for name, region in found["regions"].items()} == dict.fromkeys(
        (EAST, WEST, WATCHER), "adopted"
    )
    assert "failover.drain_seconds: 30 becomes 50" in found["regions"][WEST]["changes"]
    assert [drained(stack) for stack in sandbox.stacks] == [40, 50, 40]
    assert versions(sandbox) == {found["version"]}

    second = config(sandbox, failover={"drain_seconds": 20})
    later = configuration.output(configuration.sync(west, config=second))
    assert later["version"] == found["version"] + 1
    assert [drained(stack) for stack in sandbox.stacks] == [20, 20, 20]

    back = configuration.output(configuration.sync(east, version=found["version"]))
    assert back["sha256"] == found["sha256"]
    assert [drained(stack) for stack in sandbox.stacks] == [40, 50, 40]
    assert versions(sandbox) == {found["version"]}


def test_a_dry_run_says_the_difference_and_changes_nothing(sandbox: Sandbox) -> None:
    before = [configuration.standing(stack) for stack in sandbox.stacks], versions(sandbox)
    wanted = config(sandbox, failover={"drain_seconds": 7})
    found = configuration.output(configuration.sync(sandbox.regions[EAST], config=wanted, dryRun=True))
    assert {region["state"] for region in found["regions"].values()} == {"would_adopt"}
    assert any("drain_seconds" in line and "becomes 7" in line for line in found["regions"][WEST]["changes"])
    assert ([configuration.standing(stack) for stack in sandbox.stacks], versions(sandbox)) == before


def test_one_region_that_refuses_neither_stops_nor_hides_the_others(sandbox: Sandbox) -> None:
    """A model that is not verified in a Region: that Region keeps what it has."""
    east, west = sandbox.regions[EAST], sandbox.regions[WEST]
    model = {"name": "no-such-model", "engine": "llama.cpp"}
    wanted = config(sandbox, failover={"drain_seconds": 9}, overlays={WEST: {"model": model}})
    before = configuration.standing(west)
    execution = configuration.sync(east, config=wanted)
    assert (execution["status"], execution["error"]) == ("FAILED", "NotEverywhere")
    assert f"{EAST}: adopted" in execution["cause"]
    assert f"{WEST}: refused - model: no-such-model is not known in {WEST}; run register_model" in execution["cause"]
    assert drained(east) == 9
    assert configuration.standing(west) == before


TASKS = {
    "PlanSync": "DidNotSync",
    "AskRegion": "NotEverywhere",
    "CheckRegion": "NotEverywhere",
    "ConcludeSync": "NobodyWasTold",
    "JudgeConfig": "NotEverywhere",
    "AdoptVersion": "NotEverywhere",
    "VerifyAdoption": "NotEverywhere",
}


@pytest.mark.long
@pytest.mark.parametrize("task", TASKS)
def test_a_task_that_fails_ends_the_sync_named(sandbox: Sandbox, task: str) -> None:
    east = sandbox.regions[EAST]
    wanted = config(sandbox, failover={"drain_seconds": 100 + list(TASKS).index(task)})
    with sandbox.cloud.faults.injected(f"{task}Function", FaultKind.ACCESS_DENIED) as fault:
        execution = configuration.sync(east, config=wanted)
    assert fault.met
    assert (execution["status"], execution["error"]) == ("FAILED", TASKS[task])
    if TASKS[task] == "NotEverywhere":
        assert all(f"{stack.name}: failed" in execution["cause"] for stack in sandbox.stacks)


def test_a_sync_after_those_that_failed_brings_every_region_to_one_version(sandbox: Sandbox) -> None:
    found = configuration.output(configuration.sync(sandbox.regions[EAST], config=sandbox.fleet_config()))
    assert versions(sandbox) == {found["version"]}
    assert {configuration.standing(stack).text for stack in sandbox.stacks} == {
        configuration.standing(sandbox.stacks[0]).text
    }


def test_a_hand_edited_parameter_is_told_and_repaired_where_the_configuration_asks_for_it(sandbox: Sandbox) -> None:
    west = sandbox.regions[WEST]
    told = len(west.messages())
    wanted = config(sandbox, configuration={"drift": "repair"})
    version = configuration.output(configuration.sync(west, config=wanted))["version"]
    west.invoke("apply-config", {"config": config(sandbox, failover={"drain_seconds": 3})})
    configuration.edit_parameter(west, "by hand")
    found = west.invoke("find-config-drift", {})
    assert found["action"] == "repair"
    assert configuration.wait(west, found["by"])["status"] == "SUCCEEDED"
    assert (configuration.pointer(west)["version"], drained(west)) == (version, 30)
    assert west.invoke("find-config-drift", {})["action"] == "none"
    texts = "\n".join(message.text for message in west.messages()[told:])
    assert "the parameter says by hand" in texts
    assert "in force is otherwise - failover.drain_seconds: 30 becomes 3" in texts
    assert "as it was synced again" in texts
