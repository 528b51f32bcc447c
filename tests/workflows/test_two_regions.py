"""A fleet of two Regions and a watcher: what is shared, what is not, and a Region that is cut off from the others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.aws.latency import Latencies
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


def test_every_region_refuses_a_failover_of_another_one(sandbox: Sandbox) -> None:
    east = sandbox.regions[EAST]
    payload = {"mode": "failover", "scope_id": WEST, "failed_cluster_id": "usw2-a", "reason": "a test"}
    execution = east.wait_for_end(east.start_execution(payload))
    assert f"this stack serves {EAST}, not {WEST}" in execution["cause"]
