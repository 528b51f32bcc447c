"""The weighted rule and the inventory on ELBv2 and EC2."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from standfast.aws.calls import config
from standfast.aws.load_balancer import NOWHERE, TargetInventory, TargetStates, WeightedRule
from standfast.errors import AccessDeniedError, StandfastError, ThrottledError, UnavailableError
from standfast.fleet import SHED, Entry, ReplicaAddress
from standfast.rule_weights import LOW_SHED, on_rules
from standfast.targets import Targets
from tests.builders import ACTIVE, LOW_PRIORITY_RULE_ARN, RULE_ARN, STANDBY, target_group_arn

IMAGE = "ami-12c6146b"  # one of moto's


class Network:
    """A VPC with an entry whose rule knows two target groups, and a third group that it does not know."""

    def __init__(self, region: str) -> None:
        self.ec2: Any = boto3.client("ec2", region_name=region)
        self.elb: Any = boto3.client("elbv2", region_name=region)
        self.vpc = self.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [
            self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.9.{zone}.0/24", AvailabilityZone=f"{region}{name}")[
                "Subnet"
            ]["SubnetId"]
            for zone, name in enumerate("ab")
        ]
        self.groups = {name: self.group(name, "instance") for name in (ACTIVE, STANDBY, "theirs")}
        balancer = self.elb.create_load_balancer(Name="entry", Subnets=self.subnets)["LoadBalancers"][0]
        fixed: Any = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}
        listener = self.elb.create_listener(
            LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=[fixed]
        )["Listeners"][0]["ListenerArn"]
        self.rule = self.elb.create_rule(
            ListenerArn=listener,
            Priority=10,
            Conditions=[{"Field": "path-pattern", "Values": ["/v1/*"]}],
            Actions=[self.forward({ACTIVE: 100, STANDBY: 0})],
        )["Rules"][0]["RuleArn"]
        self.entry = Entry(self.rule, {name: self.groups[name] for name in (ACTIVE, STANDBY)})

    def group(self, name: str, kind: str) -> str:
        answer = self.elb.create_target_group(Name=name, Protocol="HTTP", Port=8000, VpcId=self.vpc, TargetType=kind)
        return str(answer["TargetGroups"][0]["TargetGroupArn"])

    def forward(self, weights: dict[str, int]) -> Any:
        groups = [{"TargetGroupArn": self.groups[name], "Weight": weight} for name, weight in weights.items()]
        return {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}

    def edit(self, weights: dict[str, int]) -> None:
        """What a person at the console does."""
        self.elb.modify_rule(RuleArn=self.rule, Actions=[self.forward(weights)])

    def actions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.elb.describe_rules(RuleArns=[self.rule])["Rules"][0]["Actions"]
        return found

    def run_instances(self, count: int) -> list[tuple[str, str]]:
        """Instances as (id, private address)."""
        started = self.ec2.run_instances(ImageId=IMAGE, MinCount=count, MaxCount=count, SubnetId=self.subnets[0])
        return [(instance["InstanceId"], instance["PrivateIpAddress"]) for instance in started["Instances"]]

    def register(self, name: str, *targets: tuple[str, int]) -> None:
        descriptions = [{"Id": target, "Port": port} for target, port in targets]
        self.elb.register_targets(TargetGroupArn=self.groups[name], Targets=descriptions)


@pytest.fixture(scope="module")
def network(aws: str) -> Network:
    return Network(aws)


@pytest.fixture
def rule(network: Network) -> WeightedRule:
    network.edit({ACTIVE: 100, STANDBY: 0})
    return WeightedRule(network.elb)


def test_weights_are_read_as_they_were_written(network: Network, rule: WeightedRule) -> None:
    assert rule.read_weights(network.entry) == {ACTIVE: 100, STANDBY: 0}
    for weights in ({ACTIVE: 0, STANDBY: 100}, {ACTIVE: 50, STANDBY: 999}):
        rule.write_weights(network.entry, weights)
        assert rule.read_weights(network.entry) == weights


def test_a_cluster_without_a_weight_gets_none(network: Network, rule: WeightedRule) -> None:
    rule.write_weights(network.entry, {STANDBY: 7})
    assert rule.read_weights(network.entry) == {ACTIVE: 0, STANDBY: 7}


def test_the_group_that_sheds_is_weighed_like_a_cluster_and_has_no_replicas(
    network: Network, rule: WeightedRule
) -> None:
    entry = Entry(network.rule, network.entry.target_groups, network.groups["theirs"])
    assert rule.read_weights(entry) == {ACTIVE: 100, STANDBY: 0, SHED: 0}
    rule.write_weights(entry, {ACTIVE: 100, SHED: 25})
    assert rule.read_weights(entry) == {ACTIVE: 100, STANDBY: 0, SHED: 25}
    assert set(TargetInventory(network.elb, network.ec2).replicas(entry)) == {ACTIVE, STANDBY}
    rule.write_weights(entry, {ACTIVE: 100})
    assert rule.read_weights(entry) == {ACTIVE: 100, STANDBY: 0, SHED: 0}


def test_a_rule_for_low_priority_is_written_and_read_beside_the_other(network: Network, rule: WeightedRule) -> None:
    listener = network.rule.replace(":listener-rule/", ":listener/").rpartition("/")[0]
    header: Any = {
        "Field": "http-header",
        "HttpHeaderConfig": {"HttpHeaderName": "x-priority", "Values": ["batch", "low"]},
    }
    beside = network.elb.create_rule(
        ListenerArn=listener, Priority=5, Conditions=[header], Actions=[network.forward({ACTIVE: 100, STANDBY: 0})]
    )["Rules"][0]["RuleArn"]
    entry = Entry(network.rule, network.entry.target_groups, network.groups["theirs"], beside)
    for percent in (0, 50, 100):
        weights = on_rules({ACTIVE: 0, STANDBY: 100, SHED: 0, LOW_SHED: percent}, entry)
        rule.write_weights(entry, weights)
        assert rule.read_weights(entry) == weights
    assert rule.read_weights(network.entry) == {ACTIVE: 0, STANDBY: 100, network.groups["theirs"]: 0}
    network.elb.delete_rule(RuleArn=beside)


def test_writing_leaves_one_forward_action_without_stickiness(network: Network, rule: WeightedRule) -> None:
    rule.write_weights(network.entry, {ACTIVE: 1, STANDBY: 2})
    (action,) = network.actions()
    assert action["Type"] == "forward"
    assert action["ForwardConfig"]["TargetGroupStickinessConfig"]["Enabled"] is False
    assert {group["TargetGroupArn"] for group in action["ForwardConfig"]["TargetGroups"]} == set(
        network.entry.target_groups.values()
    )


def test_a_target_group_that_the_entry_does_not_name_appears_under_its_arn(
    network: Network, rule: WeightedRule
) -> None:
    network.edit({ACTIVE: 90, "theirs": 10})
    assert rule.read_weights(network.entry) == {ACTIVE: 90, STANDBY: 0, network.groups["theirs"]: 10}


def test_writing_removes_what_somebody_else_added(network: Network, rule: WeightedRule) -> None:
    network.edit({ACTIVE: 90, "theirs": 10})
    rule.write_weights(network.entry, {ACTIVE: 100})
    assert rule.read_weights(network.entry) == {ACTIVE: 100, STANDBY: 0}


def test_a_rule_that_forwards_nowhere_carries_nothing(network: Network, rule: WeightedRule) -> None:
    fixed: Any = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}
    network.elb.modify_rule(RuleArn=network.rule, Actions=[fixed])
    assert rule.read_weights(network.entry) == {ACTIVE: 0, STANDBY: 0}


def test_a_rule_that_is_gone_is_an_error_with_its_code(network: Network) -> None:
    entry = Entry(network.rule[:-4] + "0000", network.entry.target_groups)
    with pytest.raises(StandfastError, match="DescribeRules: RuleNotFound"):
        WeightedRule(network.elb).read_weights(entry)


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("Throttling", 400, ThrottledError),
        ("AccessDenied", 403, AccessDeniedError),
        ("InternalFailure", 500, UnavailableError),
        ("TooManyTargetGroups", 400, StandfastError),
    ],
)
def test_errors_of_elb_become_ours_and_nothing_is_sent_twice(
    code: str, status: int, error: type[StandfastError]
) -> None:
    """A retry inside the SDK could write old weights seconds later."""
    client: Any = boto3.client(
        "elbv2",
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=config(attempts=1),
    )
    entry = Entry(RULE_ARN, {ACTIVE: target_group_arn(ACTIVE)})
    with Stubber(client) as stubber:
        stubber.add_client_error("modify_rule", code, "as AWS says it", status)
        with pytest.raises(error, match=f"ModifyRule: {code}: as AWS says it") as caught:
            WeightedRule(client).write_weights(entry, {ACTIVE: 100})
        stubber.assert_no_pending_responses()
    assert type(caught.value) is error


# The dry call


def test_a_dry_call_that_is_refused_for_its_target_group_alone_proves_that_weights_can_be_written(
    network: Network, rule: WeightedRule
) -> None:
    rule.check_writable(network.entry)
    assert rule.read_weights(network.entry) == {ACTIVE: 100, STANDBY: 0}


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["dry call", "failover", "failback", "a person's path", "a person's weights"])))
def test_a_dry_call_undoes_nobody_s_change_whenever_it_arrives(
    network: Network, rule: WeightedRule, arriving: list[str]
) -> None:
    """ELB takes one call after the other, so that the order in which they arrive is all that can differ."""

    def path(value: str) -> None:
        network.elb.modify_rule(RuleArn=network.rule, Conditions=[{"Field": "path-pattern", "Values": [value]}])

    def arrive(calls: list[str]) -> dict[str, Any]:
        network.edit({ACTIVE: 100, STANDBY: 0})
        path("/v1/*")
        for number, call in enumerate(calls):
            match call:
                case "dry call":
                    rule.check_writable(network.entry)
                case "failover":
                    rule.write_weights(network.entry, {ACTIVE: 0, STANDBY: 100})
                case "failback":
                    rule.write_weights(network.entry, {ACTIVE: 100, STANDBY: 0})
                case "a person's path":
                    path(f"/v{number}/*")
                case "a person's weights":
                    network.edit({ACTIVE: 1, "theirs": number})
        found: dict[str, Any] = network.elb.describe_rules(RuleArns=[network.rule])["Rules"][0]
        return found

    others = ["nothing" if call == "dry call" else call for call in arriving]
    assert arrive(arriving) == arrive(others)


def test_a_dry_call_that_is_denied_names_the_permission_and_the_rule() -> None:
    client: Any = boto3.client(
        "elbv2", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    entry = Entry(RULE_ARN, {ACTIVE: target_group_arn(ACTIVE)}, low_priority_rule_arn=LOW_PRIORITY_RULE_ARN)
    nowhere = target_group_arn(ACTIVE).partition(":targetgroup/")[0] + NOWHERE
    actions = [{"Type": "forward", "TargetGroupArn": nowhere}]
    with Stubber(client) as stubber:
        first = {"RuleArn": RULE_ARN, "Actions": actions}
        stubber.add_client_error("modify_rule", "TargetGroupNotFound", "none", 400, expected_params=first)
        second = {"RuleArn": LOW_PRIORITY_RULE_ARN, "Actions": actions}
        stubber.add_client_error("modify_rule", "AccessDenied", "not authorized", 403, expected_params=second)
        with pytest.raises(AccessDeniedError, match=r"elasticloadbalancing:ModifyRule, tried on .*: AccessDenied"):
            WeightedRule(client).check_writable(entry)
        stubber.assert_no_pending_responses()


def test_a_dry_call_that_is_taken_is_an_error() -> None:
    client: Any = boto3.client(
        "elbv2", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    with Stubber(client) as stubber:
        stubber.add_response("modify_rule", {"Rules": []})
        with pytest.raises(StandfastError, match=r"took a write to .*standfast-dry-call"):
            WeightedRule(client).check_writable(Entry(RULE_ARN, {ACTIVE: target_group_arn(ACTIVE)}))


def test_the_rule_has_short_time_outs_and_no_retries_of_its_own(aws: str) -> None:
    found: Any = WeightedRule()._client.meta.config
    assert found.retries["total_max_attempts"] == 1
    assert (found.connect_timeout, found.read_timeout) == (1, 3)


# Inventory


def test_replicas_are_the_registered_targets_at_their_private_addresses(network: Network) -> None:
    (one, two) = network.run_instances(2)
    network.register(ACTIVE, (one[0], 8000), (two[0], 8001))  # moto knows one port an instance
    found = TargetInventory(network.elb, network.ec2).replicas(network.entry)
    assert set(found) == {ACTIVE, STANDBY}
    assert set(found[ACTIVE]) == {
        ReplicaAddress(f"{one[0]}:8000", ACTIVE, f"http://{one[1]}:8000"),
        ReplicaAddress(f"{two[0]}:8001", ACTIVE, f"http://{two[1]}:8001"),
    }
    assert list(found[STANDBY]) == []


def test_targets_may_be_addresses(network: Network) -> None:
    arn = network.group("by-address", "ip")
    network.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": "10.9.0.77", "Port": 8000}])
    found = TargetInventory(network.elb, network.ec2).replicas(Entry(network.rule, {"c": arn}))
    assert found == {"c": [ReplicaAddress("10.9.0.77:8000", "c", "http://10.9.0.77:8000")]}


def test_an_instance_that_ec2_no_longer_knows_is_left_out() -> None:
    elb: Any = boto3.client(
        "elbv2", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    ec2: Any = boto3.client(
        "ec2", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    arn = target_group_arn(ACTIVE)
    registered = [("i-0a", 8000), ("i-0a", 8001), ("i-0b", 8000), ("i-0c", 8000)]
    targets = [{"Target": {"Id": name, "Port": port}} for name, port in registered]
    known = {"InstanceId": "i-0a", "PrivateIpAddress": "10.0.0.1"}
    with Stubber(elb) as load_balancing, Stubber(ec2) as instances:
        load_balancing.add_response("describe_target_health", {"TargetHealthDescriptions": targets})
        instances.add_response("describe_instances", {"Reservations": [{"Instances": [known, {"InstanceId": "i-0b"}]}]})
        found = TargetInventory(elb, ec2).replicas(Entry(RULE_ARN, {ACTIVE: arn}))
    both = [ReplicaAddress(f"i-0a:{port}", ACTIVE, f"http://10.0.0.1:{port}") for port in (8000, 8001)]
    assert found == {ACTIVE: both}


# TargetHealth


def test_what_the_load_balancer_thinks_of_its_targets_now(network: Network) -> None:
    """moto finds a running instance healthy and a stopped one unused."""
    arn = network.group("judged", "instance")
    (one, two) = network.run_instances(2)
    network.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": each[0], "Port": 8000} for each in (one, two)])
    entry = Entry(network.rule, {"c": arn, STANDBY: network.groups[STANDBY]})
    states = TargetStates(network.elb)
    assert states.targets(entry, ["c", STANDBY]) == {"c": Targets(2), STANDBY: Targets(0)}
    network.ec2.stop_instances(InstanceIds=[two[0]])
    found = states.targets(entry, ["c"])["c"]
    assert found.healthy == 1
    ((why, replicas),) = found.shunned.items()
    assert why.startswith("Target.InvalidState: ")
    assert replicas == (f"{two[0]}:8000",)


@pytest.mark.parametrize(
    ("state", "reason", "shunned"),
    [
        ("unhealthy", "Target.Timeout", True),
        ("unused", "Target.NotInUse", True),
        ("initial", "Elb.InitialHealthChecking", False),
        ("draining", "Target.DeregistrationInProgress", False),
    ],
)
def test_a_target_on_its_way_in_or_out_is_not_shunned(state: str, reason: str, shunned: bool) -> None:
    client: Any = boto3.client("elbv2", region_name="us-east-1", aws_access_key_id="t", aws_secret_access_key="t")
    described = {
        "Target": {"Id": "i-1", "Port": 8000},
        "TargetHealth": {"State": state, "Reason": reason, "Description": "as ELB says it"},
    }
    with Stubber(client) as stubber:
        stubber.add_response("describe_target_health", {"TargetHealthDescriptions": [described]})
        found = TargetStates(client).targets(Entry(RULE_ARN, {ACTIVE: target_group_arn(ACTIVE)}), [ACTIVE])
    assert found == {ACTIVE: Targets(0, {f"{reason}: as ELB says it": ("i-1:8000",)} if shunned else {})}


def test_target_health_that_cannot_be_read_is_an_error_of_ours() -> None:
    client: Any = boto3.client(
        "elbv2", region_name="us-east-1", aws_access_key_id="t", aws_secret_access_key="t", config=config(attempts=1)
    )
    with Stubber(client) as stubber:
        stubber.add_client_error("describe_target_health", "Throttling", "slowly", 400)
        with pytest.raises(ThrottledError, match="DescribeTargetHealth: Throttling"):
            TargetStates(client).targets(Entry(RULE_ARN, {ACTIVE: target_group_arn(ACTIVE)}), [ACTIVE])
