"""The CloudWatch agents of the nodes: they tell what the template configures, of what nvidia-smi says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

from sandbox.aws.agent_metrics import AgentMetrics, UnsupportedAgentError, agent_config
from sandbox.aws.metrics import Metric, Metrics, Summary
from sandbox.fleet.node_files import Hardware
from sandbox.fleet.shell import NodeShell

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = yaml_parse((ROOT / "infrastructure" / "gpu-cluster.yaml").read_text())
DATA = TEMPLATE["Resources"]["NodeTemplate"]["Properties"]["LaunchTemplateData"]
USER_DATA = DATA["UserData"]["Fn::Base64"]["Fn::Sub"].replace("${!", "${")  # as CloudFormation writes it
TEMPERATURE = Metric.of("StandfastNodes", "nvidia_smi_temperature_gpu", {"AutoScalingGroupName": "gpu-a"})
NOW = 1_800_000_000.0


@dataclass
class Node:
    """A node with a shell."""

    shell: NodeShell
    instance_id: str = "i-1"
    group: str = "gpu-a"
    user_data: str = USER_DATA

    def gpus(self) -> list[dict[str, str]] | None:
        return self.shell.gpus()


class World:
    """A Region's agents with a clock of their own."""

    def __init__(self, *nodes: Node) -> None:
        self.now = NOW
        self.metrics = Metrics(lambda: self.now)
        self.agents = AgentMetrics(self.metrics, "us-east-1", lambda: nodes, clock=lambda: self.now)

    def told(self, seconds: int, period: int = 30) -> list[Summary]:
        """What was told of the temperature meanwhile, by periods."""
        start = self.now + 1
        for _ in range(seconds):
            self.now += 1
            self.agents.publish_when_due(self.now)
        return list(self.metrics.summaries("us-east-1", TEMPERATURE, start, self.now + 1, period).values())


def node(tmp_path: Path, count: int = 1, name: str = "i-1") -> Node:
    return Node(NodeShell(tmp_path / name, Hardware(count=count)), name)


def test_the_template_configures_figures_of_the_group_each_ten_seconds_and_none_of_a_gpu() -> None:
    config = agent_config(USER_DATA)
    assert config is not None
    assert (config.namespace, config.interval) == ("StandfastNodes", 10)
    assert config.alone == set(config.measurements)
    statements = TEMPLATE["Resources"]["TellMetricsPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert statements[0]["Condition"] == {"StringEquals": {"cloudwatch:namespace": config.namespace}}


def test_every_gpu_tells_three_times_in_a_period_of_the_alarm_and_the_metrics_are_few(tmp_path: Path) -> None:
    world = World(node(tmp_path, 4), node(tmp_path, 4, "i-2"))
    told = world.told(61)
    assert [summary.count for summary in told][:2] == [24, 24]
    assert told[1].maximum == 41.0
    assert len(world.metrics.metrics("us-east-1")) == 3


def test_a_lost_gpu_and_one_that_is_hot_can_be_seen(tmp_path: Path) -> None:
    one = node(tmp_path, 2)
    world = World(one)
    world.told(30)
    one.shell.remove_gpu(1)
    one.shell.set_field(0, "temperature.gpu", "91")
    (summary,) = world.told(29)
    assert (summary.count, summary.maximum) == (2, 91.0)


@pytest.mark.parametrize("fault", ["hang_nvidia_smi", "mismatch_driver"])
def test_where_nvidia_smi_does_not_answer_nothing_is_told(tmp_path: Path, fault: str) -> None:
    one = node(tmp_path)
    world = World(one)
    getattr(one.shell, fault)()
    assert world.told(60) == []


def test_an_error_cell_is_no_figure(tmp_path: Path) -> None:
    one = node(tmp_path)
    world = World(one)
    one.shell.set_field(0, "temperature.gpu", "[GPU is lost]")
    assert world.told(60) == []


def test_a_node_without_a_configuration_has_no_agent(tmp_path: Path) -> None:
    one = node(tmp_path)
    one.user_data = "#!/bin/bash\n"
    assert World(one).told(60) == []


@pytest.mark.parametrize(
    ("part", "instead"),
    [
        ('"temperature_gpu"', '"fan_speed"'),
        ('[["AutoScalingGroupName"]]', '[["InstanceId"]]'),
        ('"force_flush_interval": 10', '"force_flush_interval": 60'),
        ('"nvidia_gpu"', '"cpu": {}, "nvidia_gpu"'),
    ],
)
def test_a_configuration_that_could_not_be_followed_fails_the_boot(tmp_path: Path, part: str, instead: str) -> None:
    one = node(tmp_path)
    one.user_data = USER_DATA.replace(part, instead)
    with pytest.raises(UnsupportedAgentError):
        World(one)
