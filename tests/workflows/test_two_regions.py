"""A fleet of two Regions and a watcher: what is shared, what is not, and a Region that is cut off from the others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox import model_desk
from sandbox.aws.faults import FaultKind
from sandbox.aws.latency import Latencies
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


def test_the_watcher_sees_every_region_and_all_regions_know_it(sandbox: Sandbox) -> None:
    def healthy() -> set[tuple[str, str]]:
        return {(sight.vantage, sight.region) for sight in sandbox.sights() if sight.verdict is Verdict.HEALTHY}

    watcher = sandbox.stacks[-1]
    watcher.wait_for("the sights", lambda: healthy() == {(WATCHER, EAST), (WATCHER, WEST)}, 20)


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


def test_every_region_refuses_a_failover_of_another_one(sandbox: Sandbox) -> None:
    east = sandbox.regions[EAST]
    payload = {"mode": "failover", "scope_id": WEST, "failed_cluster_id": "usw2-a", "reason": "a test"}
    execution = east.wait_for_end(east.start_execution(payload))
    assert f"this stack serves {EAST}, not {WEST}" in execution["cause"]
