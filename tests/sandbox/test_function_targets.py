"""Lambda functions as targets: the entry's own template, its function behind the front door, its permission."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from botocore.exceptions import ClientError

from sandbox.aws import function_targets, load_balancing
from sandbox.fleet.balancer import Balancer
from sandbox.fleet.frontdoor import FrontDoor
from sandbox.fleet.function_targets import NoAnswerError, answer, event
from sandbox.fleet.routing import Routing, Rule, TargetGroup
from sandbox.fleet.wire import Head
from tests.sandbox.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sandbox.conftest import Bench

REGION = "us-east-1"
FUNCTION = f"arn:aws:lambda:{REGION}:123456789012:function:f"
SHEDDING = TargetGroup("arn:shed", (), "/", 35.0, 30.0, 5, 2, FUNCTION)
REQUEST = Head(("POST", "/v1/completions?a=1", "HTTP/1.1"), (("Host", "x"), ("Content-Type", "application/json")))


@pytest.fixture(scope="module")
def entry(bench: Bench) -> dict[str, str]:
    """The outputs of infrastructure/regional-entry.yaml, and the rule's first group."""
    ec2, elb = bench.cloud.client("ec2"), bench.cloud.client("elbv2")
    vpc = ec2.create_vpc(CidrBlock="127.250.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"127.250.{number}.0/24", AvailabilityZone=f"{REGION}{zone}")
        for number, zone in enumerate("ab")
    ]
    groups = [
        elb.create_target_group(Name=name, Protocol="HTTP", Port=8000, VpcId=vpc)["TargetGroups"][0]["TargetGroupArn"]
        for name in ("a", "b")
    ]
    parameters = {
        "PrimaryClusterId": "use1-a",
        "StandbyClusterId": "use1-b",
        "PrimaryTargetGroupArn": groups[0],
        "StandbyTargetGroupArn": groups[1],
        "VpcId": vpc,
        "SubnetIds": ",".join(subnet["Subnet"]["SubnetId"] for subnet in subnets),
        "RetryAfterSeconds": "3",
    }
    outputs = bench.cloud.deploy("entry", ROOT / "infrastructure" / "regional-entry.yaml", parameters)
    return {**outputs, "PrimaryTargetGroupArn": groups[0]}


@pytest.fixture(scope="module")
def door(bench: Bench) -> Iterator[FrontDoor]:
    with FrontDoor(invoke=function_targets.invoker(bench.cloud.environments)) as door:
        yield door


def weigh(bench: Bench, entry: dict[str, str], first: int, shed: int) -> None:
    weights = [
        {"TargetGroupArn": entry["PrimaryTargetGroupArn"], "Weight": first},
        {"TargetGroupArn": entry["ShedTargetGroupArn"], "Weight": shed},
    ]
    action = {"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}
    bench.cloud.client("elbv2").modify_rule(RuleArn=entry["ListenerRuleArn"], Actions=[action])


def only(function: str) -> Routing:
    group = TargetGroup("arn:shed", (), "/", 35.0, 30.0, 5, 2, function)
    return Routing((Rule("rule", 100, None, (), {"arn:shed": 1}),), {"arn:shed": group})


def test_the_entrys_own_function_answers_what_is_shed(bench: Bench, entry: dict[str, str], door: FrontDoor) -> None:
    weigh(bench, entry, 0, 1)
    door.apply(load_balancing.snapshot(REGION))
    with httpx.Client(base_url=door.url, trust_env=False, timeout=20) as client:
        answers = [client.post("/v1/completions", json={"prompt": "why"}) for _ in range(5)]
        assert client.get("/elsewhere").status_code == 404
    assert {found.status_code for found in answers} == {503}
    assert all(3 <= int(found.headers["retry-after"]) <= 6 for found in answers)
    assert answers[0].json()["error"]["code"] == "overloaded"
    counts = door.counters().groups[entry["ShedTargetGroupArn"]]
    assert (counts.requests, counts.target_5xx, counts.elb_5xx) == (5, 5, 0)
    assert not bench.cloud.denials()


def test_the_function_has_no_health_checks(bench: Bench, entry: dict[str, str]) -> None:
    elb = bench.cloud.client("elbv2")
    (found,) = elb.describe_target_health(TargetGroupArn=entry["ShedTargetGroupArn"])["TargetHealthDescriptions"]
    assert found["TargetHealth"]["Reason"] == "Target.HealthCheckDisabled"


def test_a_function_that_does_not_permit_it_is_no_target(bench: Bench) -> None:
    elb = bench.cloud.client("elbv2")
    arn = bench.function("closed", "def handler(event, context): return {}")
    group = elb.create_target_group(Name="closed", TargetType="lambda")["TargetGroups"][0]["TargetGroupArn"]
    with pytest.raises(ClientError, match="does not have permission to invoke"):
        elb.register_targets(TargetGroupArn=group, Targets=[{"Id": arn}])
    permit = {"FunctionName": arn, "Action": "lambda:InvokeFunction", "StatementId": "elb", "SourceArn": group + "x"}
    client = bench.cloud.client("lambda")
    client.add_permission(**permit, Principal="elasticloadbalancing.amazonaws.com")
    with pytest.raises(ClientError, match="does not have permission to invoke"):
        elb.register_targets(TargetGroupArn=group, Targets=[{"Id": arn}])
    permit |= {"StatementId": "this-one", "SourceArn": group}
    client.add_permission(**permit, Principal="elasticloadbalancing.amazonaws.com")
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": arn}])
    assert load_balancing.snapshot(REGION).target_groups[group].function == arn


@pytest.mark.parametrize(("name", "does"), [("fails", "raise ValueError"), ("nonsense", "return {'status': 200}")])
def test_a_function_without_an_answer_is_502(bench: Bench, door: FrontDoor, name: str, does: str) -> None:
    door.apply(only(bench.function(name, f"def handler(event, context): {does}")))
    assert httpx.get(f"{door.url}/", trust_env=False, timeout=20).status_code == 502


def test_nobody_behind_the_door_is_502() -> None:
    with FrontDoor() as alone:
        alone.apply(only(FUNCTION))
        assert httpx.get(f"{alone.url}/", trust_env=False, timeout=5).status_code == 502


def test_a_weight_sends_its_share_to_the_function() -> None:
    rule = Rule("rule", 100, None, (), {"arn:shed": 40, "arn:empty": 60})
    empty = TargetGroup("arn:empty", (), "/", 5.0, 2.0, 2, 2)
    routing = Routing((rule,), {"arn:shed": SHEDDING, "arn:empty": empty})
    assert Routing.from_json(routing.to_json()) == routing
    chosen = [Balancer(routing, {}, seed=seed).choose(REQUEST).function for seed in range(300)]
    assert 90 < chosen.count(FUNCTION) < 150


def test_the_event_is_the_request_as_lambda_sees_it() -> None:
    seen: dict[str, Any] = json.loads(event("arn:group", REQUEST, b'{"prompt": "why"}', "127.0.0.9"))
    assert (seen["httpMethod"], seen["path"], seen["queryStringParameters"]) == ("POST", "/v1/completions", {"a": "1"})
    assert seen["requestContext"]["elb"]["targetGroupArn"] == "arn:group"
    assert (seen["body"], seen["isBase64Encoded"]) == ('{"prompt": "why"}', False)
    assert seen["headers"]["x-forwarded-for"] == "127.0.0.9"


def test_an_answer_keeps_its_headers_and_gets_its_length() -> None:
    head, body = answer('{"statusCode": 503, "headers": {"Retry-After": "5", "Content-Length": "99"}, "body": "no"}')
    assert (head.status, head.get("retry-after"), head.content_length, body) == (503, "5", 2, b"no")
    for nonsense in ("null", "{}", '{"statusCode": "x"}', '{"statusCode": 99}', "not json"):
        with pytest.raises(NoAnswerError):
            answer(nonsense)
