"""Regions that do not reach each other, and one that is gone: what their functions, their users and AWS itself see."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.aws.cloud import Cloud
from sandbox.aws.latency import DISTANCE, Latencies
from sandbox.aws.network import WORLD, Network
from sandbox.aws.route53 import distance
from tests.sandbox.conftest import ROOT, wait_for

EAST, WEST, OHIO = REGIONS = ("us-east-1", "us-west-2", "us-east-2")
HERE = Path(__file__).with_name("network")
FOLDED = Latencies(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, distance=0.5)
Outputs = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with Cloud(
        regions=REGIONS,
        latencies=FOLDED,
        log_directory=tmp_path_factory.mktemp("cloud") / "logs",
        runtime_python=ROOT / ".venv-runtime" / "bin" / "python",
    ) as cloud:
        cloud.deploy("shared", HERE.with_name("global_table.yaml"), {}, region=EAST)
        yield cloud


@pytest.fixture(scope="module")
def outputs(opened: Cloud) -> Outputs:
    return {region: opened.deploy("calls", HERE / "template.yaml", {}, region=region) for region in REGIONS}


@pytest.fixture
def cloud(opened: Cloud) -> Iterator[Cloud]:
    """With a whole network, before the test and after it."""
    yield opened
    opened.network.mend()
    for region in REGIONS:
        opened.network.bring_back(region)


def said(cloud: Cloud, where: str, **event: str) -> Any:
    """What the function of a Region answers when it is invoked there."""
    answer = cloud.client("lambda", where).invoke(FunctionName="call", Payload=json.dumps(event).encode())
    return json.loads(answer["Payload"].read())


def seen_from_outside(url: str) -> str:
    try:
        return httpx.get(url, timeout=5.0, trust_env=False).text
    except httpx.HTTPError:
        return "silence"


def test_without_a_cut_everybody_reaches_everybody(cloud: Cloud, outputs: Outputs) -> None:
    assert said(cloud, EAST, region=WEST) == "answered"
    assert said(cloud, EAST, url=outputs[WEST]["Url"]) == WEST
    assert seen_from_outside(outputs[EAST]["Url"]) == EAST


def test_a_call_to_another_region_takes_the_time_of_its_way(cloud: Cloud, outputs: Outputs) -> None:
    cloud.latency.clear()
    said(cloud, EAST, region=WEST)
    said(cloud, EAST, region=EAST)
    (travelled,) = (each for each in cloud.latency.injections() if each.kind == DISTANCE)
    assert (travelled.caller, travelled.region) == (EAST, WEST)
    assert travelled.ended_at - travelled.started_at >= 0.5 * distance(EAST, WEST) / 1000


def test_two_regions_that_are_parted_reach_the_third_one(cloud: Cloud, outputs: Outputs) -> None:
    cloud.network.part(EAST, WEST)
    assert said(cloud, EAST, region=WEST) in ("ReadTimeoutError", "ConnectionClosedError")
    assert said(cloud, EAST, url=outputs[WEST]["Url"]) == "silence"
    assert said(cloud, WEST, url=outputs[EAST]["Url"]) == "silence"
    assert said(cloud, OHIO, url=outputs[EAST]["Url"]) == EAST
    assert said(cloud, EAST, region=OHIO) == "answered"
    assert seen_from_outside(outputs[EAST]["Url"]) == EAST
    cloud.client("dynamodb", EAST).put_item(TableName="shared", Item={"pk": {"S": "a"}, "sk": {"S": "parted"}})


@pytest.mark.long
def test_a_region_that_nobody_sees_sees_the_world_and_cannot_write_the_shared_table(
    cloud: Cloud, outputs: Outputs
) -> None:
    cloud.network.hide(EAST)
    assert said(cloud, EAST, url=outputs[WEST]["Url"]) == WEST
    assert said(cloud, WEST, url=outputs[EAST]["Url"]) == "silence"
    assert seen_from_outside(outputs[EAST]["Url"]) == "silence"
    tables = cloud.client("dynamodb", EAST)
    with pytest.raises(tables.exceptions.ClientError, match="reaches no other Region"):
        tables.put_item(TableName="shared", Item={"pk": {"S": "a"}, "sk": {"S": "hidden"}})
    cloud.network.mend()
    tables.put_item(TableName="shared", Item={"pk": {"S": "a"}, "sk": {"S": "seen again"}})


def test_a_region_that_is_lost_is_gone_with_its_control_plane(cloud: Cloud, outputs: Outputs) -> None:
    said(cloud, EAST)
    assert cloud.environments.pids(outputs[EAST]["Function"])
    cloud.network.lose(EAST)
    assert cloud.environments.pids(outputs[EAST]["Function"]) == []
    with pytest.raises(Exception, match="Rate Exceeded"):
        said(cloud, EAST)
    assert said(cloud, WEST, region=EAST) in ("ReadTimeoutError", "ConnectionClosedError")
    assert seen_from_outside(outputs[EAST]["Url"]) == "silence"
    assert said(cloud, WEST, url=outputs[OHIO]["Url"]) == OHIO
    cloud.network.bring_back(EAST)
    assert said(cloud, WEST, url=outputs[EAST]["Url"]) == EAST


def test_an_execution_in_a_region_that_is_lost_goes_on_when_it_is_back(cloud: Cloud, outputs: Outputs) -> None:
    states = cloud.client("stepfunctions", EAST)
    arn = states.start_execution(stateMachineArn=outputs[EAST]["Machine"], input="{}")["executionArn"]
    cloud.network.lose(EAST)
    time.sleep(1.5)  # its wait is over, and nothing runs
    assert states.describe_execution(executionArn=arn)["status"] == "RUNNING"
    cloud.network.bring_back(EAST)
    wait_for("the end", lambda: states.describe_execution(executionArn=arn)["status"] == "SUCCEEDED")


def test_the_schedules_of_a_region_that_is_lost_do_not_fire(cloud: Cloud, outputs: Outputs) -> None:
    cloud.environments.stop()
    cloud.network.lose(EAST)
    cloud.ticker.start()
    wait_for("the West's", lambda: cloud.environments.pids(outputs[WEST]["Function"]))
    assert cloud.environments.pids(outputs[EAST]["Function"]) == []
    cloud.network.bring_back(EAST)
    wait_for("the East's", lambda: cloud.environments.pids(outputs[EAST]["Function"]))


def test_whoever_is_in_no_region_is_the_world() -> None:
    network = Network(REGIONS)
    assert [network.source(address) for address in network.addresses.values()] == list(REGIONS)
    assert network.source("127.0.0.1") == WORLD
    network.hide(WEST)
    assert not network.reaches(WORLD, WEST)
    assert network.reaches(WEST, WORLD)
    network.lose(OHIO)
    network.mend()
    assert [network.reaches(EAST, other) for other in (WEST, OHIO)] == [True, False]
