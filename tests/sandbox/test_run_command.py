"""The Run Command seam: a template's document runs on nodes by tag, answers come late or never, and roles are asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.cloud import Cloud
from sandbox.aws.latency import SSM_COMMAND, Latencies, LatencyInjector
from sandbox.aws.roles import RoleClients
from sandbox.aws.run_command import Invocation, RunCommand
from sandbox.fleet.shell import NodeShell
from standfast.aws.commands import NodeReportCommands
from standfast.errors import AccessDeniedError, StandfastError, UnavailableError
from standfast.gpu import parse_report
from standfast.health import Verdict
from standfast.node_reports import Collected
from tests.builders import ACTIVE, NOW, STANDBY, judged_node
from tests.sandbox.conftest import TRUST, wait_for

ROOT = Path(__file__).resolve().parents[2]
REGIONS = ("us-east-1", "us-west-2")
DOCUMENT = "chat-node-report"
PLACE = "us-east-1:123456789012"
TEMPLATE = """
AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Resources:
  NodeReportDocument:
    Type: AWS::SSM::Document
    Properties:
      Name: chat-node-report
      DocumentType: Command
      DocumentFormat: JSON
      TargetType: /AWS::EC2::Instance
      UpdateMethod: NewVersion
      Content:
        Fn::Transform: {Name: AWS::Include, Parameters: {Location: documents/node_report.yaml}}
"""


@dataclass
class Fleet:
    """Nodes of two Regions with their shells, by instance id."""

    cloud: Cloud
    template: Path
    directory: Path
    shells: dict[str, NodeShell] = field(default_factory=dict)

    def launch(self, cluster_id: str, count: int, region: str = REGIONS[0], *, agent: bool = True) -> list[str]:
        ec2 = self.cloud.client("ec2", region)
        answer = ec2.run_instances(
            ImageId="ami-12c6146b",  # one that moto knows
            MinCount=count,
            MaxCount=count,
            InstanceType="g6.2xlarge",
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": "standfast:cluster", "Value": cluster_id}]}
            ],
        )
        ids = [str(instance["InstanceId"]) for instance in answer["Instances"]]
        if agent:
            self.shells.update({name: NodeShell(self.directory / name) for name in ids})
        return ids

    def reports(self, region: str = REGIONS[0], client: Any = None) -> NodeReportCommands:
        return NodeReportCommands(DOCUMENT, client or self.cloud.client("ssm", region))

    def ask(self, *cluster_ids: str, region: str = REGIONS[0]) -> Collected:
        reports = self.reports(region)
        commands = reports.request(cluster_ids)
        wait_for("all answers", lambda: reports.collect(commands).done)
        return reports.collect(commands)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    app = tmp_path_factory.mktemp("app")
    (app / "documents").mkdir()
    (app / "documents" / "node_report.yaml").write_text((ROOT / "documents" / "node_report.yaml").read_text())
    (app / "template.yaml").write_text(TEMPLATE)
    with Cloud(
        regions=REGIONS,
        latencies=Latencies.none(),
        log_directory=tmp_path_factory.mktemp("cloud") / "logs",
        runtime_python=ROOT / ".venv-runtime" / "bin" / "python",
    ) as cloud:
        fleet = Fleet(cloud, app / "template.yaml", tmp_path_factory.mktemp("nodes"))
        for region in REGIONS:
            cloud.deploy("chat", fleet.template, {}, region=region)
            cloud.run_command.reach(region, fleet.shells.get)
        yield fleet


@pytest.fixture
def fleet(opened: Fleet) -> Iterator[Fleet]:
    yield opened
    opened.cloud.run_command.restore()
    for region in REGIONS:
        ec2 = opened.cloud.client("ec2", region)
        running = [each["InstanceId"] for reservation in ec2.describe_instances()["Reservations"]
                   for each in reservation["Instances"]]  # fmt: skip
        if running:
            ec2.terminate_instances(InstanceIds=running)
    opened.shells.clear()


def test_every_node_of_a_cluster_answers_with_a_report_of_its_own(fleet: Fleet) -> None:
    sick, well = fleet.launch(ACTIVE, 2)
    (other,) = fleet.launch(STANDBY, 1)
    fleet.shells[sick].lose_gpu(0)
    found = fleet.ask(ACTIVE, STANDBY)
    assert {cluster_id: set(nodes) for cluster_id, nodes in found.nodes.items()} == {
        ACTIVE: {sick, well},
        STANDBY: {other},
    }
    verdicts = {}
    for nodes in found.nodes.values():
        for name, answer in nodes.items():
            assert answer.text is not None, answer.reason
            report = parse_report(name, answer.text, NOW)
            assert report.boot_id == fleet.shells[name].boot_id()
            verdicts[name] = judged_node(report, 1).verdict
    assert verdicts == {sick: Verdict.UNHEALTHY, well: Verdict.HEALTHY, other: Verdict.HEALTHY}


def test_an_answer_is_not_there_at_once(fleet: Fleet) -> None:
    (name,) = fleet.launch(ACTIVE, 1)
    fleet.shells[name].hang_nvidia_smi()
    reports = fleet.reports()
    commands = reports.request([ACTIVE])
    wait_for("the invocation", lambda: reports.collect(commands).nodes[ACTIVE])
    found = reports.collect(commands)
    assert not found.done
    assert found.nodes[ACTIVE][name].reason == "no answer yet (InProgress)"
    fleet.shells[name].clear()
    wait_for("the answer", lambda: reports.collect(commands).done)


def test_a_cluster_without_nodes_is_done_with_none(fleet: Fleet) -> None:
    assert fleet.ask("no-such-cluster").nodes == {"no-such-cluster": {}}


def test_a_node_without_an_agent_and_one_that_is_gone_are_not_asked(fleet: Fleet) -> None:
    fleet.launch(ACTIVE, 1, agent=False)
    gone, here = fleet.launch(ACTIVE, 2)
    fleet.cloud.client("ec2").terminate_instances(InstanceIds=[gone])
    assert set(fleet.ask(ACTIVE).nodes[ACTIVE]) == {here}


def test_a_lost_answer_is_in_progress_until_the_command_expires(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    lost, here = fleet.launch(ACTIVE, 2)
    fleet.cloud.run_command.lose(lost)
    reports = fleet.reports()
    commands = reports.request([ACTIVE])
    wait_for("the other's answer", lambda: any(a.text for a in reports.collect(commands).nodes[ACTIVE].values()))
    found = reports.collect(commands)
    assert not found.done
    assert found.nodes[ACTIVE][lost].reason == "no answer yet (InProgress)"
    command = fleet.cloud.run_command.command(REGIONS[0], commands[ACTIVE])
    monkeypatch.setattr(command, "expires_at", 0.0)
    found = reports.collect(commands)
    assert found.done
    assert found.nodes[ACTIVE][lost].reason == "Systems Manager says: DeliveryTimedOut"
    assert found.nodes[ACTIVE][here].text is not None


def test_in_an_outage_every_call_fails_in_that_region_alone(fleet: Fleet) -> None:
    fleet.launch(ACTIVE, 1)
    commands = fleet.reports().request([ACTIVE])
    fleet.cloud.run_command.take_away(REGIONS[0])
    with pytest.raises(UnavailableError, match="SendCommand to use1-a: InternalServerError"):
        fleet.reports().request([ACTIVE])
    with pytest.raises(UnavailableError, match="ListCommands"):
        fleet.reports().collect(commands)
    assert fleet.ask(ACTIVE, region=REGIONS[1]).done
    fleet.cloud.run_command.restore()
    wait_for("the answer", lambda: fleet.reports().collect(commands).done)


def test_each_region_has_nodes_of_its_own(fleet: Fleet) -> None:
    (east,), (west,) = fleet.launch(ACTIVE, 1), fleet.launch(ACTIVE, 1, REGIONS[1])
    assert [set(fleet.ask(ACTIVE, region=region).nodes[ACTIVE]) for region in REGIONS] == [{east}, {west}]


def test_a_script_that_fails_is_a_failed_invocation(fleet: Fleet) -> None:
    (name,) = fleet.launch(ACTIVE, 1)
    step = {"action": "aws:runShellScript", "name": "x", "inputs": {"runCommand": ["echo a", "echo b >&2", "exit 3"]}}
    ssm = fleet.cloud.client("ssm")
    ssm.create_document(
        Name="failing", DocumentType="Command", DocumentFormat="JSON",
        Content=json.dumps({"schemaVersion": "2.2", "mainSteps": [step]}),
    )  # fmt: skip
    command = ssm.send_command(DocumentName="failing", InstanceIds=[name])["Command"]["CommandId"]
    wait_for("the end", lambda: ssm.list_commands(CommandId=command)["Commands"][0]["Status"] == "Success")
    found = ssm.get_command_invocation(CommandId=command, InstanceId=name)
    assert (found["Status"], found["ResponseCode"]) == ("Failed", 3)
    assert (found["StandardOutputContent"], found["StandardErrorContent"]) == ("a\n", "b\n")


def test_output_is_cut_where_aws_cuts_it(fleet: Fleet) -> None:
    (name,) = fleet.launch(ACTIVE, 1)
    step = {
        "action": "aws:runShellScript",
        "name": "x",
        "inputs": {"runCommand": ["head -c 30000 /dev/zero | tr '\\0' x"]},
    }
    ssm = fleet.cloud.client("ssm")
    ssm.create_document(
        Name="talkative", DocumentType="Command", DocumentFormat="JSON",
        Content=json.dumps({"schemaVersion": "2.2", "mainSteps": [step]}),
    )  # fmt: skip
    command = ssm.send_command(DocumentName="talkative", InstanceIds=[name])["Command"]["CommandId"]
    wait_for("the end", lambda: ssm.list_commands(CommandId=command)["Commands"][0]["Status"] == "Success")
    read = ssm.get_command_invocation(CommandId=command, InstanceId=name)["StandardOutputContent"]
    (listed,) = ssm.list_command_invocations(CommandId=command, Details=True)["CommandInvocations"]
    assert (len(read), len(listed["CommandPlugins"][0]["Output"])) == (24_000, 2_500)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ({"DocumentName": "unheard-of", "InstanceIds": []}, "InvalidDocument"),
        ({"DocumentName": DOCUMENT, "InstanceIds": ["i-0000000000000000f"]}, "InvalidInstanceId"),
        ({"DocumentName": DOCUMENT, "Parameters": {"commands": ["reboot"]}}, "InvalidParameters"),
    ],
)
def test_what_aws_would_refuse_is_refused(fleet: Fleet, call: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as caught:
        fleet.cloud.client("ssm").send_command(**call)
    assert caught.value.response["Error"]["Code"] == code


def test_a_command_or_an_invocation_that_is_not_there_is_named(fleet: Fleet) -> None:
    (name,) = fleet.launch(ACTIVE, 1)
    ssm = fleet.cloud.client("ssm")
    for call in (ssm.list_commands, ssm.list_command_invocations):
        with pytest.raises(ClientError, match="InvalidCommandId"):
            call(CommandId="0" * 36)
    command = fleet.reports().request([STANDBY])[STANDBY]
    with pytest.raises(ClientError, match="InvocationDoesNotExist"):
        ssm.get_command_invocation(CommandId=command, InstanceId=name)


def test_the_document_that_is_deployed_is_the_file_and_follows_it(fleet: Fleet) -> None:
    def deployed() -> Any:
        return json.loads(fleet.cloud.client("ssm").get_document(Name=DOCUMENT)["Content"])

    path = fleet.template.parent / "documents" / "node_report.yaml"
    before = path.read_text()
    assert deployed()["mainSteps"][0]["action"] == "aws:runShellScript"
    path.write_text(before.replace("description: Standfast", "description: Another"))
    fleet.cloud.deploy("chat", fleet.template, {})
    assert deployed()["description"].startswith("Another")


# Roles


def role(fleet: Fleet, name: str, *statements: dict[str, Any]) -> Any:
    """A client of Systems Manager that acts as a role with these statements."""
    iam = fleet.cloud.client("iam")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document)
    return RoleClients("test").client(REGIONS[0], "ssm", arn)


def allow(action: str | list[str], resource: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


SENDS_DOCUMENT = allow("ssm:SendCommand", f"arn:aws:ssm:{PLACE}:document/{DOCUMENT}")
ASKS_CLUSTERS = allow(
    "ssm:SendCommand", f"arn:aws:ec2:{PLACE}:instance/*",
    Condition={"StringLike": {"ssm:resourceTag/standfast:cluster": "?*"}},
)  # fmt: skip
READS = allow(["ssm:ListCommands", "ssm:ListCommandInvocations", "ssm:GetCommandInvocation"], "*")


def test_a_role_may_send_the_document_to_nodes_of_clusters_and_read_the_answers(fleet: Fleet) -> None:
    fleet.launch(ACTIVE, 1)
    reports = fleet.reports(client=role(fleet, "may", SENDS_DOCUMENT, ASKS_CLUSTERS, READS))
    commands = reports.request([ACTIVE])
    wait_for("the answer", lambda: reports.collect(commands).done)
    assert all(answer.text for answer in reports.collect(commands).nodes[ACTIVE].values())
    assert not [denial for denial in fleet.cloud.denials() if denial.role == "may"]


@pytest.mark.parametrize(
    ("name", "statements", "resource"),
    [
        ("no-document", [ASKS_CLUSTERS], f"arn:aws:ssm:{PLACE}:document/{DOCUMENT}"),
        ("no-instance", [SENDS_DOCUMENT], f"arn:aws:ec2:{PLACE}:instance/i-"),
        ("other-tag", [SENDS_DOCUMENT, {**ASKS_CLUSTERS, "Condition":
            {"StringEquals": {"ssm:resourceTag/standfast:cluster": STANDBY}}}], f"arn:aws:ec2:{PLACE}:instance/i-"),
    ],
)  # fmt: skip
def test_a_role_without_the_document_or_the_nodes_is_denied_by_name(
    fleet: Fleet, name: str, statements: list[dict[str, Any]], resource: str
) -> None:
    fleet.launch(ACTIVE, 1)
    with pytest.raises(AccessDeniedError, match="ssm:SendCommand"):
        fleet.reports(client=role(fleet, name, *statements)).request([ACTIVE])
    (denial,) = [denial for denial in fleet.cloud.denials() if denial.role == name]
    assert denial.action == "ssm:SendCommand"
    assert denial.resource.startswith(resource)


def test_a_role_that_may_not_read_answers_is_denied(fleet: Fleet) -> None:
    fleet.launch(ACTIVE, 1)
    reports = fleet.reports(client=role(fleet, "deaf", SENDS_DOCUMENT, ASKS_CLUSTERS))
    with pytest.raises(StandfastError, match="ssm:ListCommands"):
        reports.collect(reports.request([ACTIVE]))


# Latency


def test_a_command_takes_as_long_as_is_said_and_the_wait_is_recorded() -> None:
    injector = LatencyInjector(Latencies(ssm_command=0.2, ssm_command_jitter=0.1), seed=3)
    for _ in range(3):
        injector.sleep(SSM_COMMAND, caller="", detail=DOCUMENT, region=REGIONS[0])
    waits = [wait.ended_at - wait.started_at for wait in injector.injections()]
    assert all(wait > 0.09 for wait in waits)
    assert len({round(wait, 3) for wait in waits}) > 1


def test_at_the_end_a_script_that_hangs_is_ended(tmp_path: Path) -> None:
    """On a node whose nvidia-smi hangs a report takes ten seconds and more."""
    shell = NodeShell(tmp_path / "node")
    run_command = RunCommand(LatencyInjector(Latencies.none()))
    invocation = Invocation("i-0000000000000000a")
    script = threading.Thread(target=run_command._run, args=(invocation, shell, "#!/bin/sh\nsleep 60\n", 90.0))
    script.start()
    wait_for("the script", lambda: shell._running)
    run_command.close()
    script.join(5.0)
    assert invocation.status == "Failed"
    run_command.close()
