"""Nobody may do more than their work needs: every policy of ours, against AWS's own list of actions."""

from __future__ import annotations

import ast
import inspect
import json
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from policy_sentry.querying.actions import get_action_data
from policy_sentry.querying.all import get_all_actions

from standfast.aws.cluster_table import ClusterTable
from standfast.aws.config_table import ConfigTable
from standfast.aws.fault_table import FaultTable
from standfast.aws.incident_table import IncidentTable
from standfast.aws.judge_table import JudgeTable
from standfast.aws.ledger_table import LedgerTable
from standfast.aws.model_table import ModelTable
from standfast.aws.question_table import QuestionTable
from standfast.aws.recovery_table import RecoveryTable
from standfast.aws.region_states import RegionStates
from standfast.aws.region_table import RegionTable
from standfast.aws.restore_table import RestoreTable, ScratchScope
from standfast.aws.state_tables import RegionalTables
from tests.template import documents
from tests.template.documents import Document, target

if TYPE_CHECKING:
    from collections.abc import Iterator

HOLDERS = {"cluster-failover", "rolling-update", "blue-green-deployment", "restore"}
"""The machines whose executions hold a scope's lease (lease.Purpose)."""
KEY_ADMINISTRATION = "TheAccountAdministersTheKey"
"""AWS's default key policy. Without it IAM cannot permit the use of the key, and a key can be locked for good."""

MANAGED = {
    "service-role/AWSLambdaBasicExecutionRole",  # logs, by the translator
    "service-role/AWSLambdaVPCAccessExecutionRole",  # network interfaces, by the translator
    "AWSXrayWriteOnlyAccess",  # traces, by the translator
    "AmazonSSMManagedInstanceCore",  # Run Command on the nodes
}

UNNARROWED: dict[str, str] = {}
"""Action -> why it has Resource '*' although AWS would take an ARN. May it stay empty."""

TABLE_METHODS: dict[str, set[str]] = {
    # Handler -> the methods of ClusterTable that it calls, itself or through standfast.lease (take: read, grant),
    "deployment.plan_deployment": {"view"},
    "deployment.begin_deployment": {"grant", "outcome", "read", "record", "view", "write_desired"},
    "deployment.provision_green": {"view", "write_desired"},
    "deployment.deploy_model": {"view"},
    "deployment.join_fleet": {"read", "view", "write_desired", "write_replicas"},
    "deployment.smoke_test_green": {"read_golden", "view"},
    "deployment.promote_green": {"read", "write_desired"},
    "deployment.hold_blue": {"view"},
    "deployment.swap_pointers": {"read", "view", "write_desired"},
    "deployment.retire_blue": {"read"},
    "deployment.remove_green": {"read"},
    "deployment.leave_green": {"read", "view", "write_desired"},
    "deployment.finish_deployment": {"outcome", "read", "record", "release", "write_desired"},
    "deployment.stop_deployment": {"outcome", "read", "record", "release"},
    # .traffic (record_roles: read, write_desired; apply_desired: read), .telling (tell: outcome, record), .watch,
    # .reconcile and .overload.
    "availability.keep_ledger": {"read_config"},
    "backup.commit_restore": {"read", "release"},
    "backup.freeze_automation": {"create", "read", "grant"},
    "backup.prove_clusters": {"view"},
    "backup.put_back_restore": {"view", "read", "grant", "write_desired", "release"},
    "backup.restore_config": {"read", "read_config", "write_replicas"},
    "backup.restore_models": {"read"},
    "backup.restore_traffic": {"view", "read", "write_desired"},
    "backup.smoke_test": {"read_config"},
    "backup.take_snapshot": {"view"},
    "configuration.adopt_version": {"read", "create"},
    "configuration.apply_config": {"read", "create"},
    "configuration.find_config_drift": {"outcome", "record"},
    "configuration.judge_config": {"read"},
    "configuration.set_switch": {"read_config"},
    "configuration.verify_adoption": {"read_config"},
    "failover.announce": {"view", "outcome", "record"},
    "failover.check_drain": {"view"},
    "failover.give_up": {"view", "read", "read_config", "write_desired", "release", "outcome", "record"},
    "failover.handle_planned_event": {"view", "outcome", "record"},
    "failover.look_at_quotas": {"read_config"},
    "failover.probe_standbys": {"view"},
    "failover.quarantine": {"read", "write_desired"},
    "failover.readmit_cluster": {"read_config", "read", "grant", "write_desired", "release"},
    "failover.reconcile": {"view", "read", "grant", "write_desired", "release", "outcome", "record"},
    "failover.record_roles": {"read", "write_desired"},
    "failover.release_lease": {"release"},
    "failover.select_standby": {"view"},
    "failover.shift_traffic": {"view", "write_desired", "read"},
    "failover.take_lease": {"view", "read", "grant"},
    "failover.verify_serving": {"view"},
    "incidents.acknowledge_incident": {"acknowledge"},
    "health.collect_node_reports": {"view"},
    "health.discover_replicas": {"read_config", "write_replicas"},
    "health.judge_clusters": {"view", "write_checks", "write_load", "write_change", "changes", "outcome", "record"},
    "health.plan_assessment": {"read_config"},
    "health.probe_endpoints": {"view", "read_golden"},
    "health.read_traffic": {"read_config"},
    "health.record_golden": {"view", "write_golden"},
    "in_flight.answer_requests": {"read_config"},
    "in_flight.checkpoint": {"read_config"},
    "in_flight.copy_requests": {"read_config"},
    "health.handle_alarm": {"read_config", "view", "write_assessments"},
    "health.watch_endpoints": {"view", "enter", "take_over", "write_assessments"},
    "recovery.announce_recovery": {"read_config", "outcome", "record"},
    "recovery.apply_remedy": {"view"},
    "recovery.begin_recoveries": {"view", "outcome", "record"},
    "recovery.bring_back": {"read_config"},
    "recovery.give_up_recovery": {"view", "outcome", "record"},
    "recovery.list_nodes": {"read_config"},
    "recovery.plan_remedy": {"view"},
    "recovery.probe_nodes": {"view"},
    "recovery.readmit": {"read", "grant", "write_desired", "release"},
    "recovery.start_recovery": {"view"},
    "recovery.take_charge": {"read_config"},
    "recovery.take_out": {"read_config"},
    "region.announce_region_move": {"outcome", "record"},
    "region.ask_edge": {"read_config"},
    "region.check_peer_capacity": {"read_config"},
    "region.condemn": {"read_config"},
    "region.give_up_region_move": {"read_config", "outcome", "record"},
    "region.judge_region": {"read_config"},
    "region.lift_condemnation": {"read_config"},
    "region.reconcile_regions": {"read_config", "outcome", "record"},
    "region.shift_region": {"read_config"},
    "region.take_region_lease": {"read_config"},
    "region.verify_from_outside": {"read_config"},
    "region.watch_regions": {"read_config", "relay", "enter", "take_over", "view", "outcome", "record"},
    "release.plan_release": {"read_config"},
    "replication.conclude_replication": {"read_config"},
    "replication.plan_replication": {"read_config"},
    "replication.load_canary": {"read_config", "view"},
    "replication.verify_model": {"read_golden", "write_golden"},
    "rollout.add_node": {"view", "read", "write_desired"},
    "rollout.ask_replica": {"view", "read_golden"},
    "rollout.bake_replica": {"view"},
    "rollout.begin_rollout": {"view", "read", "grant", "write_desired", "outcome", "record"},
    "rollout.choose_replica": {"view", "read", "write_desired"},
    "rollout.drain_replica": {"view"},
    "rollout.finish_rollout": {"view", "read", "write_desired", "release", "outcome", "record"},
    "rollout.remove_node": {"read", "write_desired"},
    "rollout.return_replica": {"read", "read_config", "write_desired"},
    "rollout.stop_rollout": {"read", "release", "outcome", "record"},
    "rollout.turn_back": {"read", "write_desired"},
    "rollout.update_replica": {"view"},
    "rollout.verify_replica": {"view", "read_golden"},
    "traffic_shift.abort_shift": {"view", "read", "write_desired"},
    "traffic_shift.judge_pause": {"view"},
    "traffic_shift.judge_stage": {"view", "read_golden"},
    "traffic_shift.plan_shift": {"view"},
    "traffic_shift.shift_stage": {"view", "read", "write_desired"},
}
CONFIG_TABLE_METHODS: dict[str, set[str]] = {
    # Handler -> the methods of ConfigTable, which is the state table too; .config_judging and .point read standing.
    "backup.put_back_restore": {"standing", "write_standing"},
    "backup.restore_config": {"standing", "write_standing"},
    "configuration.adopt_version": {"standing", "write_standing"},
    "configuration.apply_config": {"standing", "write_standing"},
    "configuration.find_config_drift": {"standing"},
    "configuration.judge_config": {"standing"},
    "configuration.plan_sync": {"standing"},
    "configuration.verify_adoption": {"standing"},
}
RECOVERY_TABLE_METHODS: dict[str, set[str]] = {
    # Handler -> the methods of RecoveryTable, which is the state table too.
    "deployment.begin_deployment": {"read_recovery"},
    "recovery.announce_recovery": {"read_recovery", "write_recovery"},
    "recovery.apply_remedy": {"read_recovery", "write_recovery"},
    "recovery.begin_recoveries": {"read_recovery", "write_recovery"},
    "recovery.bring_back": {"read_recovery", "write_recovery"},
    "recovery.give_up_recovery": {"read_recovery", "write_recovery"},
    "recovery.plan_remedy": {"read_recovery"},
    "recovery.readmit": {"read_recovery"},
    "recovery.start_recovery": {"read_recovery"},
    "recovery.take_charge": {"read_recovery", "write_recovery"},
    "recovery.take_out": {"read_recovery", "write_recovery"},
    "rollout.begin_rollout": {"read_recovery"},
}
FAULT_TABLE_METHODS: dict[str, set[str]] = {
    # Handler -> the methods of FaultTable, which is the state table too.
    "health.collect_node_reports": {"read_faults", "write_faults"},
}
INCIDENT_TABLE_METHODS: dict[str, set[str]] = {
    # Handler -> the methods of IncidentTable, which is the state table too; .incident_keeping and .region_incidents
    # call open and write, .remedy_record open, closed and amend, .ledger_keeping open and closed_since.
    "availability.keep_ledger": {"open_incidents", "closed_since"},
    "failover.announce": {"open_incidents", "write_incident"},
    "failover.give_up": {"open_incidents", "write_incident"},
    "failover.reconcile": {"open_incidents", "write_incident"},
    "incidents.acknowledge_incident": {"open_incidents", "write_incident"},
    "region.announce_region_move": {"open_incidents", "write_incident"},
    "recovery.begin_recoveries": {"open_incidents", "write_incident"},  # through .redundancy_keeping
    "incidents.list_incidents": {"open_incidents", "closed_incidents"},
    "recovery.announce_recovery": {"open_incidents", "closed_incidents", "amend_incident"},
    "recovery.apply_remedy": {"open_incidents", "closed_incidents", "amend_incident"},
    "recovery.give_up_recovery": {"open_incidents", "closed_incidents", "amend_incident"},
}
LEDGER_TABLE_METHODS: dict[str, set[str]] = {
    # Handler -> the methods of LedgerTable, which is the state table too.
    "availability.keep_ledger": {"hours", "write_hour"},
}
MODEL_TABLE_METHODS: dict[str, set[str]] = {
    # Handler -> the methods of ModelTable, which is the state table too; .config_judging reads one, .pulling notes the
    # plan and what came of it.
    "deployment.plan_deployment": {"read_model"},
    "deployment.swap_pointers": {"read_model", "write_model"},
    "backup.put_back_restore": {"read_model", "write_model"},
    "backup.restore_models": {"read_model", "write_model"},
    "configuration.adopt_version": {"read_model"},
    "configuration.judge_config": {"read_model"},
    "configuration.verify_adoption": {"models", "write_model"},
    "replication.plan_pull": {"read_model", "write_model"},
    "replication.repair_models": {"models"},
    "replication.verify_model": {"read_model", "write_model"},
    "replication.write_manifest": {"read_model", "write_model"},
    "rollout.begin_rollout": {"read_model"},
    "rollout.finish_rollout": {"read_model", "write_model"},
}
QUESTION_TABLE_METHODS: dict[str, set[str]] = {
    # Handler -> the methods of QuestionTable, which is the state table too.
    "traffic_shift.ask_person": {"write_question"},
    "traffic_shift.judge_pause": {"read_question"},
    "traffic_shift.take_answer": {"read_question", "write_decision", "mark_delivered"},
}
JUDGE_TABLE_METHODS: dict[str, set[str]] = {
    # Handler -> the methods of JudgeTable, which is the state table too.
    "traffic_shift.judge_stage": {"read_evidence", "write_evidence"},
}
REGION_TABLE_METHODS: dict[str, set[str]] = {
    # Handler -> the methods of RegionTable.
    "backup.commit_restore": {"read_brake", "write_switch"},
    "backup.freeze_automation": {"read_brake", "write_switch"},
    "backup.put_back_restore": {"read_brake", "write_switch"},
    "deployment.begin_deployment": {"glance_at_brake", "read_brake"},
    "deployment.join_fleet": {"glance_at_brake"},
    "deployment.swap_pointers": {"glance_at_brake"},
    "deployment.finish_deployment": {"glance_at_brake"},
    "deployment.stop_deployment": {"glance_at_brake"},
    "configuration.find_config_drift": {"glance_at_brake"},
    "configuration.plan_sync": {"read_turn", "take_turn"},
    "configuration.set_switch": {"read_brake", "write_switch"},
    "failover.announce": {"sights", "glance_at_brake"},
    "failover.give_up": {"sights", "glance_at_brake"},
    "failover.handle_planned_event": {"read_brake", "glance_at_brake"},
    "failover.reconcile": {"read_brake", "glance_at_brake"},
    "failover.shift_traffic": {"glance_at_brake"},
    "failover.take_lease": {"read_brake"},
    "health.handle_alarm": {"glance_at_brake"},
    "health.judge_clusters": {"glance_at_brake"},
    "health.watch_endpoints": {"glance_at_brake"},
    "recovery.announce_recovery": {"glance_at_brake"},
    "recovery.apply_remedy": {"glance_at_brake"},
    "recovery.begin_recoveries": {"glance_at_brake"},
    "recovery.give_up_recovery": {"glance_at_brake"},
    "recovery.plan_remedy": {"glance_at_brake"},
    "recovery.readmit": {"glance_at_brake"},
    "recovery.start_recovery": {"glance_at_brake"},
    "recovery.take_charge": {"read_brake"},
    "recovery.take_out": {"glance_at_brake"},
    "region.announce_region_move": {"glance_at_brake"},
    "region.check_peer_capacity": {"sights"},
    "region.condemn": {"read_brake", "sights"},
    "region.give_up_region_move": {"glance_at_brake", "sights"},
    "region.judge_region": {"sights"},
    "region.reconcile_regions": {"glance_at_brake", "read_brake", "sights"},
    "region.shift_region": {"read_brake"},
    "region.take_region_lease": {"read_brake"},
    "region.watch_regions": {"glance_at_brake", "sights", "write_sight"},
    "rollout.add_node": {"glance_at_brake"},
    "release.begin_release": {"read_release", "write_release"},
    "release.check_wave": {"read_brake", "read_release"},
    "release.conclude_release": {"read_release", "write_release"},
    "release.give_up_release": {"read_release", "write_release"},
    "release.plan_release": {"read_brake", "read_release"},
    "release.settle_release": {"read_release", "write_release"},
    "release.start_wave": {"read_brake", "read_release", "write_release"},
    "rollout.begin_rollout": {"read_brake", "glance_at_brake"},
    "rollout.choose_replica": {"glance_at_brake"},
    "rollout.finish_rollout": {"glance_at_brake"},
    "rollout.stop_rollout": {"glance_at_brake"},
    "traffic_shift.shift_stage": {"glance_at_brake"},
}
STATE_TABLES_METHODS: dict[str, set[str]] = {
    # Handler -> the methods of RegionalTables: both tables, item by item.
    "backup.freeze_automation": {"read_decisive", "understood", "decisive", "discard"},
    "backup.plan_restore": {"read_decisive", "understood", "decisive"},
    "backup.prove_scratch": {"understood"},
    "backup.put_back_restore": {"understood"},
    "backup.restore_to_scratch": {"understood", "decisive"},
    "backup.take_snapshot": {"scan", "read_decisive", "understood", "decisive"},
    "backup.verify_snapshot": {"understood"},
}
RESTORE_TABLE_METHODS: dict[str, set[str]] = {
    # Handler -> the methods of RestoreTable, which is the state table too.
    "backup.commit_restore": {"read_undo", "drop_undo"},
    "backup.conclude_rehearsal": {"note_rehearsal", "scratch"},
    "backup.freeze_automation": {"note_token", "read_undo", "write_undo"},
    "backup.prove_scratch": {"scratch"},
    "backup.put_back_restore": {"note_token", "read_undo", "drop_undo"},
    "backup.restore_to_scratch": {"scratch"},
    "backup.verify_snapshot": {"last_backup", "note_backup"},
}
SCRATCH_METHODS: dict[str, set[str]] = {
    # Handler -> the methods of ScratchScope, a partition of the state table.
    "backup.conclude_rehearsal": {"discard_all"},
    "backup.prove_scratch": {"contents"},
    "backup.restore_to_scratch": {"fill", "discard_all"},
}
RECORDS = {"route53:ChangeResourceRecordSets", "route53:ListResourceRecordSets"}
OTHER_ACTIONS: dict[str, set[str]] = {
    # Handler -> what it asks of AWS beside the table, by the adapter that asks.
    "deployment.plan_deployment": {
        "autoscaling:DescribeAutoScalingGroups",
        "ec2:DescribeCapacityReservations",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeLaunchTemplateVersions",
        "servicequotas:GetAWSDefaultServiceQuota",
        "servicequotas:GetServiceQuota",
    },
    "deployment.begin_deployment": {"events:PutEvents", "sns:Publish", "states:DescribeExecution"},
    "deployment.provision_green": {
        "autoscaling:CreateAutoScalingGroup",
        "autoscaling:CreateOrUpdateTags",
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeScalingActivities",
        "ec2:CreateTags",
        "ec2:RunInstances",
        "elasticloadbalancing:AddTags",
        "elasticloadbalancing:CreateRule",
        "elasticloadbalancing:CreateTargetGroup",
        "elasticloadbalancing:DescribeRules",
        "elasticloadbalancing:DescribeTargetGroupAttributes",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:ModifyTargetGroupAttributes",
        "iam:PassRole",
    },
    "deployment.deploy_model": {"s3:GetObject", "s3:ListBucket", "ssm:ListCommandInvocations", "ssm:SendCommand"},
    "deployment.join_fleet": {
        "ec2:DescribeInstances",
        "elasticloadbalancing:DescribeRules",
        "elasticloadbalancing:DescribeTargetHealth",
        "elasticloadbalancing:ModifyRule",
    },
    "deployment.swap_pointers": {"elasticloadbalancing:DescribeRules", "elasticloadbalancing:ModifyRule"},
    "deployment.leave_green": {"elasticloadbalancing:DescribeRules", "elasticloadbalancing:ModifyRule"},
    "deployment.retire_blue": {
        "autoscaling:DeleteAutoScalingGroup",
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:UpdateAutoScalingGroup",
        "elasticloadbalancing:DeleteRule",
        "elasticloadbalancing:DeleteTargetGroup",
        "elasticloadbalancing:DescribeListeners",
        "elasticloadbalancing:DescribeRules",
        "elasticloadbalancing:DescribeTargetGroups",
    },
    "deployment.remove_green": {
        "autoscaling:DeleteAutoScalingGroup",
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:UpdateAutoScalingGroup",
        "elasticloadbalancing:DeleteRule",
        "elasticloadbalancing:DeleteTargetGroup",
        "elasticloadbalancing:DescribeListeners",
        "elasticloadbalancing:DescribeRules",
        "elasticloadbalancing:DescribeTargetGroups",
    },
    "deployment.finish_deployment": {"events:PutEvents", "sns:Publish"},
    "deployment.stop_deployment": {"events:PutEvents", "sns:Publish"},
    "availability.keep_ledger": {"cloudwatch:GetMetricData", "s3:GetObject", "s3:ListBucket", "s3:PutObject"},
    "backup.commit_restore": {"events:PutEvents", "sns:Publish"},
    "backup.conclude_rehearsal": {"events:PutEvents", "sns:Publish"},
    "backup.freeze_automation": {
        "elasticloadbalancing:DescribeRules",
        "s3:GetObject",
        "s3:ListBucket",
        "states:DescribeExecution",
    },
    "backup.plan_restore": {"s3:GetObject", "s3:ListBucket", "s3:PutObject"},
    "backup.prove_scratch": {"s3:GetObject", "s3:ListBucket"},
    "backup.put_back_restore": {
        "elasticloadbalancing:DescribeRules",
        "elasticloadbalancing:ModifyRule",
        "events:PutEvents",
        "sns:Publish",
        "ssm:GetParameter",
        "ssm:PutParameter",
        "states:DescribeExecution",
    },
    "backup.restore_config": {
        "ec2:DescribeInstances",
        "elasticloadbalancing:DescribeTargetHealth",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
        "ssm:GetParameter",
        "ssm:PutParameter",
    },
    "backup.restore_models": {"s3:GetObject", "s3:ListBucket"},
    "backup.restore_to_scratch": {"s3:GetObject", "s3:ListBucket"},
    "backup.restore_traffic": {
        "elasticloadbalancing:DescribeRules",
        "elasticloadbalancing:ModifyRule",
        "s3:GetObject",
        "s3:ListBucket",
    },
    "backup.take_snapshot": {"elasticloadbalancing:DescribeRules", "s3:GetObject", "s3:ListBucket", "s3:PutObject"},
    "backup.tell_backup_failed": {"events:PutEvents", "sns:Publish"},
    "backup.verify_artefacts": {"s3:GetObject", "s3:ListBucket", "s3:PutObject"},
    "backup.verify_snapshot": {"events:PutEvents", "s3:GetObject", "s3:ListBucket"},
    "backup.journal_state": {
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
        "s3:PutObject",
        "sqs:SendMessage",
    },
    "configuration.adopt_version": {"s3:GetObject", "s3:ListBucket"},
    "release.begin_release": {"events:PutEvents", "sns:Publish", "states:DescribeExecution"},
    "release.check_plans": {"states:DescribeExecution"},
    "release.check_wave": {"states:DescribeExecution"},
    "release.conclude_release": {"events:PutEvents", "sns:Publish"},
    "release.give_up_release": {"events:PutEvents", "sns:Publish", "states:StopExecution"},
    "release.plan_release": {"states:DescribeExecution", "states:StartExecution"},
    "release.settle_release": {"events:PutEvents", "sns:Publish", "states:StopExecution"},
    "release.start_wave": {"states:StartExecution", "states:StopExecution"},
    "configuration.ask_region": {"states:StartExecution"},
    "configuration.check_region": {"states:DescribeExecution"},
    "configuration.conclude_sync": {"events:PutEvents", "sns:Publish"},
    "configuration.find_config_drift": {
        "events:PutEvents",
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:ListBucket",
        "s3:ListBucketVersions",
        "s3:PutObject",
        "sns:Publish",
        "ssm:GetParameter",
        "states:DescribeExecution",
        "states:StartExecution",
    },
    "configuration.judge_config": {"s3:GetObject", "s3:ListBucket", "s3:PutObject"},
    "configuration.plan_sync": {"s3:GetObject", "s3:ListBucket", "s3:PutObject"},
    "configuration.set_switch": {"sns:Publish"},
    "configuration.verify_adoption": {"s3:GetObject", "s3:ListBucket", "ssm:GetParameter", "ssm:PutParameter"},
    "failover.announce": {"sns:Publish", "events:PutEvents"},
    "failover.give_up": {"sns:Publish", "events:PutEvents"},
    "failover.handle_planned_event": {
        "ec2:DescribeInstanceStatus",
        "ec2:DescribeInstances",
        "events:PutEvents",
        "sns:Publish",
        "states:StartExecution",
    },
    "failover.look_at_quotas": {
        "autoscaling:DescribeAutoScalingGroups",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeLaunchTemplateVersions",
        "servicequotas:GetAWSDefaultServiceQuota",
        "servicequotas:GetServiceQuota",
    },
    "failover.readmit_cluster": {"states:DescribeExecution"},
    "failover.reconcile": {
        "elasticloadbalancing:DescribeRules",
        "elasticloadbalancing:ModifyRule",
        "events:PutEvents",
        "sns:Publish",
        "states:DescribeExecution",
        "states:StartExecution",
    },
    "failover.shift_traffic": {"elasticloadbalancing:DescribeRules", "elasticloadbalancing:ModifyRule"},
    "failover.take_lease": {"states:DescribeExecution"},
    "health.collect_node_reports": {"ssm:GetCommandInvocation", "ssm:ListCommandInvocations", "ssm:ListCommands"},
    "health.judge_clusters": {"sns:Publish", "events:PutEvents"},
    "health.read_traffic": {"cloudwatch:GetMetricData", "elasticloadbalancing:DescribeTargetHealth"},
    "health.request_node_reports": {"ssm:SendCommand"},
    "health.discover_replicas": {"ec2:DescribeInstances", "elasticloadbalancing:DescribeTargetHealth"},
    "health.handle_alarm": {"states:StartExecution"},
    "health.watch_endpoints": {"states:StartExecution"},
    "in_flight.answer_requests": {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"},
    "in_flight.checkpoint": {
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "lambda:InvokeFunction",
        "s3:GetObject",
        "s3:ListBucket",
    },
    "in_flight.copy_requests": {
        "dynamodb:DeleteItem",
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "sqs:SendMessage",
    },
    "in_flight.resume_requests": {"lambda:InvokeFunction"},
    "traffic_shift.abort_shift": {"elasticloadbalancing:DescribeRules", "elasticloadbalancing:ModifyRule"},
    "traffic_shift.ask_person": {"kms:GenerateMac", "sns:Publish"},
    "traffic_shift.shift_stage": {"elasticloadbalancing:DescribeRules", "elasticloadbalancing:ModifyRule"},
    "traffic_shift.take_answer": {"kms:VerifyMac", "states:SendTaskSuccess"},
    "recovery.announce_recovery": {"sns:Publish", "events:PutEvents"},
    "recovery.apply_remedy": {"autoscaling:TerminateInstanceInAutoScalingGroup", "ssm:SendCommand"},
    "recovery.begin_recoveries": {
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeScalingActivities",
        "events:PutEvents",
        "sns:Publish",
        "states:DescribeExecution",
        "states:StartExecution",
    },
    "recovery.bring_back": {"elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:RegisterTargets"},
    "recovery.check_remedy": {"ssm:ListCommandInvocations"},
    "recovery.give_up_recovery": {
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeScalingActivities",
        "events:PutEvents",
        "sns:Publish",
    },
    "recovery.list_nodes": {
        "ec2:DescribeInstances",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth",
    },
    "recovery.readmit": {"states:DescribeExecution"},
    "recovery.start_recovery": {"states:DescribeExecution", "states:StartExecution"},
    "recovery.take_charge": {"states:DescribeExecution"},
    "recovery.take_out": {"elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:DescribeTargetHealth"},
    "region.announce_region_move": {"events:PutEvents", "sns:Publish"},
    "region.ask_edge": {"route53:GetChange"},
    "region.give_up_region_move": {*RECORDS, "events:PutEvents", "sns:Publish"},
    "region.reconcile_regions": {*RECORDS, "events:PutEvents", "sns:Publish"},
    "region.shift_region": {*RECORDS},
    "region.watch_regions": {"events:PutEvents", "sns:Publish", "states:StartExecution"},
    "replication.check_pull": {"s3:GetObject", "s3:ListBucket", "states:DescribeExecution"},
    "replication.conclude_replication": {"events:PutEvents", "sns:Publish", "states:StartExecution"},
    "replication.copy_objects": {
        "s3:AbortMultipartUpload",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:ListBucketMultipartUploads",
        "s3:ListMultipartUploadParts",
        "s3:PutObject",
    },
    "replication.hash_objects": {
        "s3:AbortMultipartUpload",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:ListBucketMultipartUploads",
        "s3:ListMultipartUploadParts",
        "s3:PutObject",
    },
    "replication.list_model": {"s3:ListBucket", "s3:PutObject"},
    "replication.plan_pull": {
        "s3:AbortMultipartUpload",
        "s3:GetObject",
        "s3:GetReplicationConfiguration",
        "s3:ListBucket",
        "s3:ListBucketMultipartUploads",
        "s3:PutObject",
    },
    "replication.plan_replication": {"s3:GetObject", "s3:ListBucket", "sns:Publish"},
    "replication.load_canary": {"states:DescribeExecution", "states:StartExecution"},
    "replication.repair_models": {"states:StartExecution"},
    "replication.start_pull": {"s3:GetObject", "s3:ListBucket", "states:StartExecution"},
    "replication.start_replication": {"states:StartExecution"},
    "replication.verify_model": {"s3:GetObject", "s3:ListBucket", "s3:PutObject"},
    "replication.watch_s3": {"s3:GetObject", "s3:ListBucket", "s3:PutObject"},
    "replication.write_manifest": {"s3:GetObject", "s3:ListBucket", "s3:PutObject"},
    "rollout.add_node": {
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeScalingActivities",
        "autoscaling:SetDesiredCapacity",
        "elasticloadbalancing:DescribeTargetHealth",
    },
    "rollout.bake_replica": {"elasticloadbalancing:DescribeTargetHealth"},
    "rollout.begin_rollout": {"events:PutEvents", "sns:Publish", "states:DescribeExecution"},
    "rollout.choose_replica": {"elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:DescribeTargetHealth"},
    "rollout.finish_rollout": {"events:PutEvents", "sns:Publish"},
    "rollout.remove_node": {
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:SetDesiredCapacity",
        "autoscaling:TerminateInstanceInAutoScalingGroup",
    },
    "rollout.return_replica": {"elasticloadbalancing:RegisterTargets"},
    "rollout.stop_rollout": {"events:PutEvents", "sns:Publish"},
    "rollout.update_replica": {"s3:GetObject", "s3:ListBucket", "ssm:ListCommandInvocations", "ssm:SendCommand"},
}
PROBING = {
    "backup.prove_clusters",
    "backup.smoke_test",
    "deployment.smoke_test_green",
    "failover.check_drain",
    "failover.probe_standbys",
    "failover.verify_serving",
    "health.handle_alarm",
    "health.probe_endpoints",
    "health.record_golden",
    "health.watch_endpoints",
    "in_flight.answer_requests",
    "recovery.probe_nodes",
    "region.ask_edge",
    "region.check_peer_capacity",
    "region.verify_from_outside",
    "region.watch_regions",
    "rollout.ask_replica",
    "rollout.drain_replica",
    "rollout.verify_replica",
    "traffic_shift.judge_stage",
}
"""Handlers that ask engines, and read their API key where there is one."""
KEY_STATEMENT = {
    "Effect": "Allow",
    "Action": ["secretsmanager:GetSecretValue"],
    "Resource": {"Ref": "ApiKeySecretArn"},
}


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement that permits, with the resource that it belongs to. Single values are lists."""

    owner: str
    kind: str
    sid: str
    actions: tuple[str, ...]
    resources: tuple[Any, ...]

    @property
    def is_about_a_key(self) -> bool:
        """In a key's policy Resource '*' means that key and no other."""
        return self.kind == "AWS::KMS::Key"


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def branches(value: Any) -> list[Any]:
    """The statements of a list in which some are under Fn::If."""
    found = []
    for each in as_list(value):
        if "Fn::If" in each:
            found += branches(each["Fn::If"][1:])
        elif each != {"Ref": "AWS::NoValue"}:
            found.append(each)
    return found


def policies(properties: Document) -> Iterator[Document]:
    for key in ("PolicyDocument", "KeyPolicy", "AssumeRolePolicyDocument"):
        if key in properties:
            yield properties[key]
    for policy in properties.get("Policies", []):
        yield policy["PolicyDocument"]


def templates() -> list[Document]:
    return [documents.expanded(), *(documents.parse(path) for path in documents.INFRASTRUCTURE.values())]


def statements() -> list[Statement]:
    return [
        Statement(
            owner=owner,
            kind=resource["Type"],
            sid=statement.get("Sid", ""),
            actions=tuple(as_list(statement["Action"])),
            resources=tuple(as_list(statement.get("Resource", []))),
        )
        for template in templates()
        for owner, resource in template["Resources"].items()
        for policy in policies(resource.get("Properties", {}))
        for statement in branches(policy["Statement"])
        if statement["Effect"] == "Allow"
    ]


def matching(pattern: str) -> list[str]:
    """The actions of AWS that a pattern stands for. IAM does not mind upper and lower case, we do."""
    return [pattern] if pattern in get_all_actions() else [a for a in get_all_actions() if fnmatchcase(a, pattern)]


def takes_an_arn(action: str) -> bool:
    service, _, name = action.partition(":")
    return any(row["resource_arn_format"] != "*" for row in get_action_data(service, name)[service])


def test_every_statement_is_seen() -> None:
    owners = {statement.owner for statement in statements()}
    roles = {name for template in templates() for name in template["Resources"] if name.endswith("Role")}
    assert roles | {"Key", "UndeliveredPolicy", "ReadModelPolicy"} <= owners


def test_no_statement_says_everything_but() -> None:
    text = [str(policy) for template in templates() for policy in template["Resources"].values()]
    assert not [entry for entry in text if "NotAction" in entry or "NotResource" in entry or "NotPrincipal" in entry]


def test_no_policy_permits_a_whole_service() -> None:
    wide = [
        (statement.owner, action)
        for statement in statements()
        for action in statement.actions
        if action.rpartition(":")[2] == "*" and statement.sid != KEY_ADMINISTRATION
    ]
    assert wide == []


def test_every_action_exists() -> None:
    unknown = [
        (statement.owner, action) for statement in statements() for action in statement.actions if not matching(action)
    ]
    assert unknown == []


def test_patterns_of_actions_stand_in_the_key_policy_only() -> None:
    """There they are AWS's own wording (ReEncryptFrom and ReEncryptTo come together)."""
    assert {s.owner for s in statements() if any("*" in action for action in s.actions)} == {"Key", "LinkKey"}


def test_an_action_that_can_be_narrowed_to_a_resource_is() -> None:
    unnarrowed = {
        action
        for statement in statements()
        if "*" in statement.resources and not statement.is_about_a_key
        for action in statement.actions
        if takes_an_arn(action)
    }
    assert unnarrowed == set(UNNARROWED)


def test_a_role_has_no_managed_policy_but_the_known_ones() -> None:
    named = {
        (arn["Fn::Sub"] if isinstance(arn, dict) else arn).partition(":policy/")[2]
        for template in templates()
        for resource in template["Resources"].values()
        for arn in resource.get("Properties", {}).get("ManagedPolicyArns", [])
    }
    assert named == MANAGED


def test_the_machine_may_invoke_the_functions_of_its_states_and_no_other() -> None:
    for machine in documents.STATE_MACHINES:
        named = {target(value) for value in documents.substitutions(machine).values()}
        called = {name for name in named if name.endswith("Function")}
        machines = documents.resources("AWS::StepFunctions::StateMachine")
        role = target(machines[documents.logical_id(machine)]["RoleArn"])
        invoked = [
            target(resource)
            for statement in statements()
            if statement.owner == role and "lambda:InvokeFunction" in statement.actions
            for resource in statement.resources
        ]
        assert sorted(invoked) == sorted(called)


# What a function does on the table, and what it may do.


def definition(table: type, name: str) -> ast.FunctionDef:
    owner = next(each for each in table.__mro__ if name in vars(each))
    source = Path(inspect.getfile(owner)).read_text()
    (found,) = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef) and node.name == name]
    return found


def called(tree: ast.AST) -> set[str]:
    """The names of all methods that are called in it, whoever they belong to."""
    return {
        node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }


def table_actions(table: type, method: str) -> set[str]:
    """The DynamoDB actions of a method of a table, itself and through its private methods."""
    actions = {
        "get_item": "GetItem",
        "put_item": "PutItem",
        "update_item": "UpdateItem",
        "delete_item": "DeleteItem",
        "get_paginator": "Query",
        "query": "Query",
    }
    body = definition(table, method)
    names = called(body)
    found = {f"dynamodb:{action}" for call, action in actions.items() if call in names}
    if "get_paginator('scan')" in ast.unparse(body):
        found = found - {"dynamodb:Query"} | {"dynamodb:Scan"}
    for name in names:
        if (
            name.startswith("_")
            and hasattr(table, name)
            and not hasattr(object, name)
            and name not in {"_key", "_client"}
        ):
            found |= table_actions(table, name)
    return found


def public(table: type) -> set[str]:
    return {name for name, value in vars(table).items() if not name.startswith("_") and callable(value)}


REGION_STATES_METHODS: dict[str, set[str]] = {
    # Handler -> the methods of RegionStates, itself or through standfast.region_moving (take: read, grant, renew;
    # change: read, renew, write; give_back: read, release; keep_fresh: glance, confirm), .region_views (gather: read or
    # glance, heartbeats), .region_desk, .in_flight (scopes_of: read), or bootstrap_regions.region_switch (heartbeats).
    "in_flight.answer_requests": {"read_regions"},
    "in_flight.checkpoint": {"read_regions"},
    "region.announce_region_move": {"read_regions", "renew", "write_regions", "release"},
    "region.answer_condemned": {"glance_at_regions"},
    "region.ask_edge": {"read_regions", "renew", "heartbeats"},
    "region.check_peer_capacity": {"read_regions", "heartbeats"},
    "region.condemn": {"read_regions", "renew", "write_regions", "heartbeats"},
    "region.give_up_region_move": {"read_regions", "renew", "write_regions", "release", "heartbeats"},
    "region.judge_region": {"read_regions", "renew", "heartbeats"},
    "region.lift_condemnation": {"read_regions", "renew", "write_regions", "heartbeats"},
    "region.reconcile_regions": {"read_regions", "grant", "renew", "write_regions", "release", "heartbeats"},
    "region.shift_region": {"read_regions", "renew", "write_regions", "heartbeats"},
    "region.take_region_lease": {"read_regions", "grant", "renew"},
    "region.verify_from_outside": {"read_regions", "renew"},
    "region.watch_regions": {"glance_at_regions", "heartbeats", "write_heartbeat", "confirm"},
}
TABLES: list[tuple[type, dict[str, set[str]]]] = [
    (ClusterTable, TABLE_METHODS),
    (ConfigTable, CONFIG_TABLE_METHODS),
    (FaultTable, FAULT_TABLE_METHODS),
    (IncidentTable, INCIDENT_TABLE_METHODS),
    (LedgerTable, LEDGER_TABLE_METHODS),
    (JudgeTable, JUDGE_TABLE_METHODS),
    (ModelTable, MODEL_TABLE_METHODS),
    (QuestionTable, QUESTION_TABLE_METHODS),
    (RecoveryTable, RECOVERY_TABLE_METHODS),
    (RegionTable, REGION_TABLE_METHODS),
    (RegionalTables, STATE_TABLES_METHODS),
    (RestoreTable, RESTORE_TABLE_METHODS),
    (ScratchScope, SCRATCH_METHODS),
    (RegionStates, REGION_STATES_METHODS),
]
SHARED = (RegionTable, RegionStates)
"""On the table that the Regions share."""
FUNCTIONS = documents.resources("AWS::Lambda::Function")
STREAM_ACTIONS = {
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
}
SHARED_TABLE = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${FleetName}-regions"
"""By name: in all Regions but one it belongs to another stack."""


def own_statements(name: str) -> list[Document]:
    """The statements of a function's own policies, those under a condition too."""
    policies = documents.source()["Resources"][name]["Properties"].get("Policies", [])
    return [statement for policy in policies for statement in branches(policy["Statement"])]


def is_a_table(resource: Any, handler: str, actions: set[str]) -> bool:
    """Whether the resource is one of our tables, and the actions on it are those that the handler needs there."""
    is_shared = resource == {"Fn::Sub": SHARED_TABLE}
    needed = {
        action
        for table, methods in TABLES
        for method in methods.get(handler, set())
        if (table in SHARED) is is_shared or (table is RegionalTables and method == "scan")
        for action in table_actions(table, method)
    }
    return actions == needed and (is_shared or target(resource) == "ClusterTable")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_lists_of_methods_hold_what_the_handler_calls_itself(name: str) -> None:
    handler = FUNCTIONS[name]["Handler"].removesuffix(".handler")
    source = (documents.ROOT / "functions" / handler.replace(".", "/")).with_suffix(".py").read_text()
    for table, methods in TABLES:
        if table is not RegionStates or handler.startswith("region."):  # its lease's methods are named as a scope's
            assert called(ast.parse(source)) & public(table) <= methods.get(handler, set())


@pytest.mark.parametrize(("table", "methods"), TABLES, ids=lambda value: getattr(value, "__name__", ""))
def test_every_method_of_a_table_is_somebodys(table: type, methods: dict[str, set[str]]) -> None:
    assert set().union(*methods.values()) == public(table)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_may_do_what_it_does_and_no_more(name: str) -> None:
    handler = FUNCTIONS[name]["Handler"].removesuffix(".handler")
    needed = {
        action
        for table, methods in TABLES
        for method in methods.get(handler, set())
        for action in table_actions(table, method)
    }
    given = {action for statement in own_statements(name) for action in statement["Action"]}
    key = {"secretsmanager:GetSecretValue"} if handler in PROBING else set()
    assert given == needed | OTHER_ACTIONS.get(handler, set()) | key


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_that_probes_may_read_the_api_key_where_there_is_one_and_no_other_secret(name: str) -> None:
    probes = FUNCTIONS[name]["Handler"].removesuffix(".handler") in PROBING
    conditional = [
        statement["Fn::If"]
        for policy in documents.source()["Resources"][name]["Properties"].get("Policies", [])
        for statement in policy["Statement"]
        if "Fn::If" in statement and statement["Fn::If"][0] != "MovesUsers"
    ]
    assert conditional == ([["HasApiKey", KEY_STATEMENT, {"Ref": "AWS::NoValue"}]] if probes else [])
    assert sum("secretsmanager" in str(statement) for statement in own_statements(name)) == probes


def test_every_handler_that_makes_a_prober_is_known_to_probe() -> None:
    folder = documents.ROOT / "functions"
    made = {
        ".".join(path.relative_to(folder).with_suffix("").parts)
        for path in folder.rglob("*.py")
        if {"completer", "prober"} & called(ast.parse(path.read_text()))
    }
    assert made == PROBING


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_reaches_the_tables_the_topics_and_the_rule_by_name(name: str) -> None:
    handler = FUNCTIONS[name]["Handler"].removesuffix(".handler")
    for statement in own_statements(name):
        services = {action.partition(":")[0] for action in statement["Action"]}
        if set(statement["Action"]) & STREAM_ACTIONS:
            assert name in ("CopyRequestsFunction", "JournalStateFunction")
        elif "RequestTable" in str(statement["Resource"]) or "-requests-*" in str(statement["Resource"]):
            assert handler in ("in_flight.answer_requests", "in_flight.checkpoint", "in_flight.copy_requests")
            assert set(statement["Action"]) <= OTHER_ACTIONS[handler]
        elif "dynamodb" in services:
            assert is_a_table(statement["Resource"], handler, set(statement["Action"]))
        if "elasticloadbalancing:ModifyRule" in statement["Action"]:
            service, low_priority = statement["Resource"]
            assert target(service) == "ListenerRuleArn"
            condition, rule, otherwise = low_priority["Fn::If"]
            assert (condition, target(rule), target(otherwise)) == (
                "HasLowPriority",
                "LowPriorityRuleArn",
                "AWS::NoValue",
            )


def test_whoever_asks_about_the_holder_of_the_lease_may_ask_about_every_holder_there_is() -> None:
    asking = {
        each.owner: {name for name in HOLDERS if re.search(rf"-{name}:\*", said)}
        for each in statements()
        if "states:DescribeExecution" in each.actions and "-cluster-failover:" in (said := json.dumps(each.resources))
    }
    assert len(asking) >= 8
    assert all(machines == HOLDERS for machines in asking.values()), asking


def test_requests_in_flight_are_read_by_those_who_answer_them_and_no_other() -> None:
    """Prompts and answers: no function of health, failover or backup may look into that table."""
    reads = {name for name in FUNCTIONS for each in own_statements(name) if "RequestTable" in str(each["Resource"])}
    assert reads == {"AnswerRequestsFunction", "CheckpointFunction", "CopyRequestsFunction"}


REMEDIES = {"RestartEngineDocument", "ResetGpuDocument", "RebootNodeDocument"}
OF_OUR_CLUSTERS = {
    "autoscaling:SetDesiredCapacity": "aws:ResourceTag/standfast:cluster",
    "autoscaling:TerminateInstanceInAutoScalingGroup": "aws:ResourceTag/standfast:cluster",
    "elasticloadbalancing:DeregisterTargets": "aws:ResourceTag/standfast:cluster",
    "elasticloadbalancing:RegisterTargets": "aws:ResourceTag/standfast:cluster",
}


def test_a_command_is_sent_by_documents_of_ours_to_nodes_of_ours_only() -> None:
    senders = {name for name in FUNCTIONS for each in own_statements(name) if "ssm:SendCommand" in each["Action"]}
    assert senders == {
        "ApplyRemedyFunction",
        "DeployModelFunction",
        "RequestNodeReportsFunction",
        "UpdateReplicaFunction",
    }
    for sender, sent in (("ApplyRemedyFunction", REMEDIES), ("UpdateReplicaFunction", {"UpdateModelDocument"})):
        ours, nodes = (each for each in own_statements(sender) if "ssm:SendCommand" in each["Action"])
        resources = as_list(ours["Resource"])
        assert {str(each["Fn::Sub"]).rpartition("document/${")[2].rstrip("}") for each in resources} == sent
        assert nodes["Resource"]["Fn::Sub"].endswith(":instance/*")
        assert nodes["Condition"] == {"StringLike": {"ssm:resourceTag/standfast:cluster": ["*"]}}


def test_a_deployment_loads_a_version_on_nodes_that_it_made_itself_only() -> None:
    ours, nodes = (each for each in own_statements("DeployModelFunction") if "ssm:SendCommand" in each["Action"])
    assert [str(each["Fn::Sub"]).rpartition("document/")[2] for each in as_list(ours["Resource"])] == [
        "${FleetName}-update-model"
    ]
    assert nodes["Resource"]["Fn::Sub"].endswith(":instance/*")
    assert nodes["Condition"] == {"StringEquals": {"ssm:resourceTag/standfast:made-for": {"Ref": "FleetName"}}}


def test_what_a_deployment_makes_has_the_tag_by_which_alone_anything_is_removed() -> None:
    made_for = {"standfast:made-for": {"Ref": "FleetName"}}
    for function, actions, key in (
        ("ProvisionGreenFunction", ("CreateAutoScalingGroup", "CreateTargetGroup", "CreateRule"), "aws:RequestTag"),
        ("RemoveGreenFunction", ("DeleteAutoScalingGroup", "DeleteTargetGroup", "DeleteRule"), "aws:ResourceTag"),
        ("RetireBlueFunction", ("DeleteAutoScalingGroup", "DeleteTargetGroup", "DeleteRule"), "aws:ResourceTag"),
    ):
        wanted = {"StringEquals": {f"{key}/{tag}": fleet for tag, fleet in made_for.items()}}
        for action in actions:
            found = [
                each["Condition"]
                for each in own_statements(function)
                if any(named.endswith(f":{action}") for named in each["Action"])
            ]
            assert found == [wanted], (function, action)


@pytest.mark.parametrize(("action", "key"), OF_OUR_CLUSTERS.items())
def test_targets_and_instances_are_those_of_clusters_only(action: str, key: str) -> None:
    found = [each for name in FUNCTIONS for each in own_statements(name) if action in each["Action"]]
    assert {str(each["Condition"]) for each in found} == {str({"StringLike": {key: ["*"]}})}


CONFIGS = "arn:${AWS::Partition}:s3:::${FleetName}-config-${AWS::AccountId}-*"
"""The configuration buckets of all Regions, which belong to other stacks."""
ELSEWHERE = {
    # What a role may do in other Regions. Nothing of it writes there.
    "AskRegionFunction": {"states:StartExecution"},
    "CheckRegionFunction": {"states:DescribeExecution"},
    "JudgeConfigFunction": {"s3:GetObject", "s3:ListBucket"},
}


def test_a_configuration_is_written_by_its_own_region_only() -> None:
    reaching = {
        name: {
            action
            for statement in own_statements(name)
            for resource in as_list(statement["Resource"])
            if CONFIGS in str(resource) or ":states:*:" in str(resource)
            for action in statement["Action"]
        }
        for name in FUNCTIONS
        if FUNCTIONS[name]["Handler"].startswith("configuration.")
    }
    assert {name: actions for name, actions in reaching.items() if actions} == ELSEWHERE


def test_what_is_asked_of_another_region_is_that_it_adopts_and_no_more() -> None:
    for name in ("AskRegionFunction", "CheckRegionFunction"):
        (resource,) = [each["Resource"]["Fn::Sub"] for each in own_statements(name)]
        assert resource.removesuffix(":*").endswith(":${FleetName}-adopt-config")


MODELS = "arn:${AWS::Partition}:s3:::${FleetName}-models-${AWS::AccountId}-*"
"""The model buckets of all Regions, which belong to other stacks."""
LEDGERS = "arn:${AWS::Partition}:s3:::${FleetName}-ledger-${AWS::AccountId}-*"
"""The buckets of reports of all Regions, which belong to other stacks."""
BUCKETS = ("BackupBucket", "ConfigBucket", "LedgerBucket", "ModelBucket")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_writes_into_its_own_regions_buckets_only_and_reads_those_of_this_fleet_only(name: str) -> None:
    for statement in own_statements(name):
        for resource in as_list(statement["Resource"]) if statement["Action"][0].startswith("s3:") else []:
            where = resource.get("Fn::Sub", resource) if isinstance(resource, dict) else resource
            here = target(resource) in BUCKETS or str(where).startswith(tuple(f"${{{each}.Arn}}/" for each in BUCKETS))
            # By name: of a bucket that stands in another nested template.
            here = here or "-${AWS::AccountId}-${AWS::Region}" in str(where)
            assert here or str(where).startswith((MODELS.removesuffix("*"), CONFIGS, LEDGERS))
            if {"s3:PutObject", "s3:AbortMultipartUpload"} & set(statement["Action"]):
                assert here, f"{name} writes into another Region's bucket"


def test_s3_replicates_models_under_a_role_that_reads_here_writes_there_and_deletes_nowhere() -> None:
    given = [each for each in statements() if each.owner == "ModelReplicationRole" and each.resources]
    own = {"Fn::Sub": MODELS.removesuffix("*") + "${AWS::Region}"}
    models = {"Fn::Sub": own["Fn::Sub"] + "/models/*"}
    there = [
        {"Fn::Sub": MODELS.removesuffix("*") + "${" + region + "}/models/*"}
        for region in ("ModelReplicaRegion", "SecondModelReplicaRegion")
    ]
    second = {"Fn::If": ["ReplicatesModelsTwice", there[1], {"Ref": "AWS::NoValue"}]}
    assert [(each.actions, each.resources) for each in given] == [
        (("s3:GetReplicationConfiguration", "s3:ListBucket"), (own,)),
        (("s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl"), (models,)),
        (("s3:ReplicateObject",), (there[0], second)),
    ]


def test_no_function_may_delete_an_object_or_touch_a_bucket() -> None:
    given = {action for name in FUNCTIONS for statement in own_statements(name) for action in statement["Action"]}
    assert not {action for action in given if action.startswith(("s3:Delete", "s3:PutBucket", "s3:CreateBucket"))}


def test_whatever_is_refused_is_refused_to_everybody() -> None:
    """The one Deny: nothing reaches the buckets but over TLS."""
    denied = [
        (owner, statement)
        for owner, resource in documents.expanded()["Resources"].items()
        for policy in policies(resource.get("Properties", {}))
        for statement in branches(policy["Statement"])
        if statement["Effect"] == "Deny"
    ]
    assert [owner for owner, _ in denied] == [
        "LedgerBucketPolicy",
        "ConfigBucketPolicy",
        "ModelBucketPolicy",
        "BackupBucketPolicy",
    ]
    for _, statement in denied:
        assert statement["Principal"] == "*"
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
