"""The one place that knows the ports and their adapters: a cached factory a port.

Each factory imports inside itself and is called in the handler, so that a function pays, in its cold start, only for
what it uses.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from standfast.settings import Settings

if TYPE_CHECKING:
    from standfast import ports
    from standfast.aws.cluster_table import ClusterTable
    from standfast.aws.config_table import ConfigTable
    from standfast.aws.fault_table import FaultTable
    from standfast.aws.machines_elsewhere import MachinesElsewhere
    from standfast.aws.question_table import QuestionTable
    from standfast.aws.region_table import RegionTable
    from standfast.config_adoption import ConfigBucket, ConfigPointer
    from standfast.config_sync import Adoptions
    from standfast.fleet import Model
    from standfast.model_ports import ModelStore, Pulls
    from standfast.model_states import ModelStates
    from standfast.node_reports import NodeReports
    from standfast.recovery_ports import ClusterNodes, Recoveries, RecoveryStore, Remedies, Scaling
    from standfast.stores import IncidentLog


@cache
def settings() -> Settings:
    """The environment, read once."""
    return Settings.from_env()


@cache
def cluster_table() -> ClusterTable:
    """All stores of this Region but FaultStore."""
    from standfast.aws.cluster_table import ClusterTable

    return ClusterTable(settings().table, settings().region)


@cache
def region_table() -> RegionTable:
    """SwitchStore and SightStore: what all Regions of the fleet share."""
    from standfast.aws.region_table import RegionTable

    return RegionTable(settings().region_table)


@cache
def fault_table() -> FaultTable:
    """What is remembered of nodes and GPUs, in the state table."""
    from standfast.aws.fault_table import FaultTable

    return FaultTable(settings().table, settings().region)


@cache
def incident_log() -> IncidentLog:
    """Incidents as durable intervals, in the state table."""
    from standfast.aws.incident_table import IncidentTable

    return IncidentTable(settings().table, settings().region)


@cache
def config_table() -> ConfigTable:
    """What is in force here and the version that was last synced, in the state table."""
    from standfast.aws.config_table import ConfigTable

    return ConfigTable(settings().table, settings().region)


@cache
def config_bucket() -> ConfigBucket:
    """The texts of the configuration's versions, in the bucket of each Region."""
    from standfast.aws.config_bucket import S3ConfigBucket

    return S3ConfigBucket(settings().config_bucket, settings().region)


@cache
def config_pointer() -> ConfigPointer:
    """The parameter that names the version in force."""
    from standfast.aws.config_pointer import ConfigParameter

    return ConfigParameter(settings().config_parameter)


@cache
def machines_elsewhere() -> MachinesElsewhere:
    """The fleet's state machines in every Region."""
    from standfast.aws.machines_elsewhere import MachinesElsewhere

    return MachinesElsewhere(settings().machine_arn)


@cache
def adoptions() -> Adoptions:
    """`adopt_config` in every Region."""
    from standfast.aws.adoptions import RegionalAdoptions

    return RegionalAdoptions(machines_elsewhere())


@cache
def model_table() -> ModelStates:
    """How far each model version is in this Region, in the state table."""
    from standfast.aws.model_table import ModelTable

    return ModelTable(settings().table, settings().region)


@cache
def model_store(region: str) -> ModelStore:
    """The model bucket of a Region of this fleet."""
    from standfast.aws.model_store import ModelBucket

    return ModelBucket(settings().model_bucket(region), region)


@cache
def pulls() -> Pulls:
    """`replicate_model` of this Region and `pull_model` of every Region."""
    from standfast.aws.pulls import PullMachines

    return PullMachines(machines_elsewhere())


@cache
def load_balancer() -> ports.LoadBalancer:
    """The weighted rule."""
    from standfast.aws.load_balancer import WeightedRule

    return WeightedRule()


@cache
def target_health() -> ports.TargetHealth:
    """What the load balancer thinks of its targets."""
    from standfast.aws.load_balancer import TargetStates

    return TargetStates()


@cache
def inventory() -> ports.Inventory:
    """Which replicas are registered."""
    from standfast.aws.load_balancer import TargetInventory

    return TargetInventory()


@cache
def node_reports() -> NodeReports:
    """Systems Manager's Run Command, with our own document."""
    from standfast.aws.commands import NodeReportCommands

    return NodeReportCommands(f"{settings().fleet}-node-report")


@cache
def traffic_metrics() -> ports.TrafficMetrics:
    """CloudWatch, as far as the load balancer counts."""
    from standfast.aws.traffic_metrics import EntryMetrics

    return EntryMetrics()


@cache
def executions() -> ports.Executions:
    """Step Functions."""
    from standfast.aws.executions import StepFunctions

    return StepFunctions(settings().failover_arn)


@cache
def callbacks() -> ports.Callbacks:
    """Step Functions' tasks that wait for an answer."""
    from standfast.aws.executions import TaskCallbacks

    return TaskCallbacks()


@cache
def question_table() -> QuestionTable:
    """QuestionStore, in the state table."""
    from standfast.aws.question_table import QuestionTable

    return QuestionTable(settings().table, settings().region)


@cache
def link_signer() -> ports.Signer:
    """The key that signs links to people."""
    from standfast.aws.link_signer import LinkSigner

    return LinkSigner(settings().link_key_id)


@cache
def recoveries() -> Recoveries:
    """Step Functions, for recoveries."""
    from standfast.aws.executions import StepFunctions

    return StepFunctions(settings().failover_arn, recovery_arn=settings().recovery_arn)


@cache
def recovery_table() -> RecoveryStore:
    """What was tried of each cluster, and who has it in charge, in the state table."""
    from standfast.aws.recovery_table import RecoveryTable

    return RecoveryTable(settings().table, settings().region)


@cache
def cluster_nodes() -> ClusterNodes:
    """A cluster's instances and its target group."""
    from standfast.aws.cluster_nodes import TaggedNodes

    return TaggedNodes()


@cache
def remedies() -> Remedies:
    """The rungs of the ladder."""
    from standfast.aws.remedies import NodeRemedies

    return NodeRemedies(settings().fleet)


@cache
def scaling() -> Scaling:
    """Auto Scaling's activities."""
    from standfast.aws.scaling_activities import ScalingActivities

    return ScalingActivities()


@cache
def maintenance() -> ports.Maintenance:
    """EC2, as far as it says what AWS will do to instances."""
    from standfast.aws.maintenance import InstanceMaintenance

    return InstanceMaintenance()


@cache
def messenger() -> ports.Messenger:
    """Pages, notices and events."""
    from standfast.aws.messenger import Topics

    return Topics(settings().pages_arn, settings().notices_arn, settings().event_bus)


@cache
def metrics() -> ports.Metrics:
    """Figures for CloudWatch."""
    from standfast.emf import EmbeddedMetrics

    return EmbeddedMetrics(settings().fleet, settings().region)


@cache
def secrets() -> ports.Secrets:
    """Secrets Manager."""
    from standfast.aws.secrets import SecretsManager

    return SecretsManager(settings().region)


def prober(model: Model) -> ports.Prober:
    """A prober for one event loop: its connections belong to the loop that made them, so it is not cached.

    Its API key is. Raises what Secrets.read raises.
    """
    from standfast.probes.http import HttpProber

    if model.api_key_secret_arn is None:
        return HttpProber(model.engine)
    return HttpProber(model.engine, api_key=secrets().read(model.api_key_secret_arn))


@cache
def clock() -> ports.Clock:
    """The time of this machine."""
    from standfast.aws.clock import SystemClock

    return SystemClock()
