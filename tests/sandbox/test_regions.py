"""Several Regions in one cloud: the same names in each, and nothing of one in another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.aws.cloud import Cloud
from sandbox.aws.latency import STATE_TRANSITION, Latencies
from tests.sandbox.conftest import ROOT, wait_for

EAST, WEST = "us-east-1", "us-west-2"
TEMPLATE = Path(__file__).with_name("regions") / "template.yaml"
Heard = list[tuple[str, str, str]]


@pytest.fixture(scope="module")
def heard() -> Heard:
    """Region, function and line of all that was logged."""
    return []


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory, heard: Heard) -> Iterator[Cloud]:
    with Cloud(
        regions=(EAST, WEST),
        latencies=Latencies(state_transition=0.01),
        log_directory=tmp_path_factory.mktemp("cloud") / "logs",
        runtime_python=ROOT / ".venv-runtime" / "bin" / "python",
        on_log=lambda region, function, line: heard.append((region, function, line)),
    ) as opened:
        yield opened


@pytest.fixture(scope="module")
def outputs(cloud: Cloud) -> dict[str, dict[str, str]]:
    return {region: cloud.deploy("notes", TEMPLATE, {}, region=region) for region in (EAST, WEST)}


def said(region: str, by: str) -> tuple[str, str, str]:
    return (region, "note", json.dumps({"region": region, "by": by}))


@pytest.mark.parametrize("region", [EAST, WEST])
def test_a_function_runs_in_its_own_region(cloud: Cloud, outputs: dict[str, dict[str, str]], region: str) -> None:
    assert outputs[region]["Function"].split(":")[3] == region
    answer = cloud.client("lambda", region).invoke(FunctionName="note", Payload=b"{}")
    assert json.loads(answer["Payload"].read()) == region


def test_environments_are_warmed_and_stopped_by_arn_and_by_name(
    cloud: Cloud, outputs: dict[str, dict[str, str]]
) -> None:
    east, west = (outputs[region]["Function"] for region in (EAST, WEST))
    cloud.environments.warm("note")
    assert [len(cloud.environments.pids(arn)) for arn in (east, west)] == [1, 1]
    cloud.environments.stop(west)
    assert [len(cloud.environments.pids(arn)) for arn in (east, west)] == [1, 0]
    assert cloud.environments.pids("note") == cloud.environments.pids(east)


def test_the_end_of_an_execution_reaches_the_rule_of_its_own_region(
    cloud: Cloud, outputs: dict[str, dict[str, str]], heard: Heard
) -> None:
    heard.clear()
    states = cloud.client("stepfunctions", WEST)
    arn = states.start_execution(stateMachineArn=outputs[WEST]["Machine"], input='{"by": "machine"}')["executionArn"]
    wait_for("the event", lambda: said(WEST, "aws.states") in heard)
    assert json.loads(states.describe_execution(executionArn=arn)["output"]) == WEST
    assert said(EAST, "aws.states") not in heard
    (waited,) = (each for each in cloud.latency.injections() if each.kind == STATE_TRANSITION)
    assert waited.region == WEST


def test_schedules_of_one_name_fire_in_each_region(
    cloud: Cloud, outputs: dict[str, dict[str, str]], heard: Heard
) -> None:
    cloud.ticker.start()
    wait_for("both", lambda: {said(EAST, "schedule"), said(WEST, "schedule")} <= set(heard))
    heard.clear()
    cloud.ticker.fire("note", WEST)
    wait_for("the west", lambda: heard == [said(WEST, "schedule")])


def test_a_stack_of_one_region_is_unknown_in_another(cloud: Cloud, outputs: dict[str, dict[str, str]]) -> None:
    cloud.client("cloudformation", EAST).delete_stack(StackName="notes")
    assert not cloud.client("cloudformation", EAST).describe_stacks()["Stacks"]
    assert [stack["StackName"] for stack in cloud.client("cloudformation", WEST).describe_stacks()["Stacks"]] == [
        "notes"
    ]
