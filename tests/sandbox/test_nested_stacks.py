"""Nested stacks: made, changed and deleted with the stack that they are in; what is in them runs as all else does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.aws.cloud import Cloud
from sandbox.aws.consumption import NotConsumedError
from sandbox.aws.latency import Latencies
from sandbox.aws.parameters import TemplateError
from sandbox.aws.resources import ResourceFailedError
from tests.sandbox.conftest import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
STACK = "outer"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    shutil.copytree(Path(__file__).with_name("nested"), folder)
    return folder / "template.yaml"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with Cloud(
        latencies=Latencies.none(),
        log_directory=tmp_path / "logs",
        runtime_python=ROOT / ".venv-runtime" / "bin" / "python",
        layers={"Layer": Path("layer")},
    ) as opened:
        yield opened


def retention(cloud: Cloud) -> int:
    (group,) = cloud.client("logs").describe_log_groups(logGroupNamePrefix="/nested/echo")["logGroups"]
    return int(group["retentionInDays"])


def subscribed(cloud: Cloud) -> int:
    (topic,) = cloud.client("sns").list_topics()["Topics"]
    return len(cloud.client("sns").list_subscriptions_by_topic(TopicArn=topic["TopicArn"])["Subscriptions"])


def living(cloud: Cloud) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cloud.client("cloudformation").describe_stacks()["Stacks"]
    return found


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_what_is_in_a_nested_stack_runs_under_its_own_roles(cloud: Cloud, app: Path) -> None:
    outputs = cloud.deploy(STACK, app, {})
    assert outputs["Echo"].endswith(":function:nested-echo")
    states = cloud.client("stepfunctions")
    arn = states.start_execution(stateMachineArn=outputs["Machine"], input='{"n": 1}')["executionArn"]
    wait_for("the end", lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING")
    found = states.describe_execution(executionArn=arn)
    assert json.loads(found["output"]) == {"held": "by the layer", "event": {"n": 1}}
    assert cloud.denials() == ()
    assert cloud.client("scheduler").get_schedule(Name="nested-echo")["ScheduleExpression"] == "rate(1 day)"
    assert cloud.client("ssm").get_parameter(Name="nested-second")["Parameter"]["Value"] == "b"


def test_an_update_passes_down_parameters_conditions_and_code(cloud: Cloud, app: Path) -> None:
    before = cloud.deploy(STACK, app, {})
    assert (retention(cloud), subscribed(cloud)) == (1, 0)
    after = cloud.deploy(STACK, app, {"Days": "7", "Mail": "a@example.com"})
    assert (retention(cloud), subscribed(cloud)) == (7, 1)
    assert after == before  # the same nested stack
    edit(app.parent / "functions/echo.py", '"event": event', '"event": "changed"')
    edit(app.parent / "stacks/inner.yaml", "!Select [1, !Ref Names]", "!Select [0, !Ref Names]")
    cloud.deploy(STACK, app, {"Days": "7"})
    answer = cloud.client("lambda").invoke(FunctionName="nested-echo", Payload=b"{}")
    assert json.loads(answer["Payload"].read())["event"] == "changed"
    assert (retention(cloud), subscribed(cloud)) == (7, 0)
    assert cloud.client("ssm").get_parameter(Name="nested-second")["Parameter"]["Value"] == "a"


def test_a_nested_stack_comes_and_goes_with_its_condition_and_leaves_what_is_to_be_kept(
    cloud: Cloud, app: Path
) -> None:
    assert cloud.deploy(STACK, app, {"Nests": "no"}) == {}
    assert len(living(cloud)) == 1
    assert "Stack" in cloud.deploy(STACK, app, {})
    assert len(living(cloud)) == 2
    assert cloud.deploy(STACK, app, {"Nests": "no"}) == {}
    assert len(living(cloud)) == 1
    assert cloud.client("lambda").list_functions()["Functions"] == []
    assert cloud.client("stepfunctions").list_state_machines()["stateMachines"] == []
    assert cloud.client("s3").head_bucket(Bucket="nested-kept")


def test_a_stack_that_is_deleted_takes_its_nested_stacks_with_it(cloud: Cloud, app: Path) -> None:
    cloud.deploy(STACK, app, {})
    cloud.client("cloudformation").delete_stack(StackName=STACK)
    assert living(cloud) == []
    assert cloud.client("lambda").list_functions()["Functions"] == []
    assert cloud.client("sns").list_topics()["Topics"] == []


def test_what_a_nested_template_holds_is_consumed_or_named_before_anything_is_done(cloud: Cloud, app: Path) -> None:
    edit(app.parent / "stacks/inner.yaml", "BucketName: nested-kept", "BucketName: nested-kept, Colour: red")
    with pytest.raises(NotConsumedError, match=r"stacks/inner\.yaml: Kept \(AWS::S3::Bucket\): Colour"):
        cloud.deploy(STACK, app, {})
    assert living(cloud) == []


def test_a_nested_resource_that_fails_is_named_and_the_stack_can_be_tried_again(cloud: Cloud, app: Path) -> None:
    first = "Resources:\n"
    bad = f"{first}  Bad: {{Type: AWS::SSM::Parameter, Properties: {{Name: a}}}}\n"
    edit(app.parent / "stacks/inner.yaml", first, bad)
    message = (
        r"^resource Inner \(AWS::CloudFormation::Stack\): in the nested stack, resource Bad \(AWS::SSM::Parameter\)"
    )
    with pytest.raises(ResourceFailedError, match=message):
        cloud.deploy(STACK, app, {})
    assert living(cloud) == []
    edit(app.parent / "stacks/inner.yaml", bad, first)
    assert "Echo" in cloud.deploy(STACK, app, {})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "Location: stacks/inner.yaml",
            "Location: stacks/other.yaml",
            r"Inner: there is no template stacks/other\.yaml",
        ),
        ("Mail: !Ref Mail", "Post: !Ref Mail", r"Inner: stacks/inner\.yaml has no parameter Post"),
    ],
)
def test_a_nested_stack_that_cannot_be_is_refused(cloud: Cloud, app: Path, old: str, new: str, message: str) -> None:
    edit(app, old, new)
    with pytest.raises(TemplateError, match=message):
        cloud.deploy(STACK, app, {})


def test_a_parameter_that_the_nested_template_does_not_take_is_refused_by_name(cloud: Cloud, app: Path) -> None:
    with pytest.raises(ResourceFailedError, match=r"Inner .*parameter Days: '2' is not one of"):
        cloud.deploy(STACK, app, {"Days": "2"})
