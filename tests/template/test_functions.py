"""House rules for the functions, held against the template that AWS's translator makes of ours."""

from __future__ import annotations

import json
from importlib import import_module

import pytest

from availability.keep_ledger import LedgerInput
from failover.reconcile import ReconcileInput
from standfast.ledger_periods import period
from standfast.reconciling import EVERY_SECONDS
from standfast.steps import ExecutionInput
from tests.template import documents
from tests.template.documents import Document, target

FUNCTIONS = documents.resources("AWS::Lambda::Function")
SCHEDULES = documents.resources("AWS::Scheduler::Schedule")
RULES = documents.resources("AWS::Events::Rule")
INVOKE_CONFIGS = {
    target(config["FunctionName"]): config for config in documents.resources("AWS::Lambda::EventInvokeConfig").values()
}
ASYNCHRONOUS = sorted(
    {target(schedule["Target"]["Arn"]) for schedule in SCHEDULES.values()}
    | {target(each["Arn"]) for rule in RULES.values() for each in rule["Targets"]}
)
PROBING = {
    "AskReplicaFunction",
    "AnswerRequestsFunction",
    "DrainReplicaFunction",
    "VerifyReplicaFunction",
    "CheckDrainFunction",
    "HandleAlarmFunction",
    "JudgeStageFunction",
    "ProbeEndpointsFunction",
    "ProbeNodesFunction",
    "ProbeStandbysFunction",
    "ProveClustersFunction",
    "RecordGoldenFunction",
    "SmokeTestFunction",
    "VerifyServingFunction",
    "WatchEndpointsFunction",
}
"""They reach the replicas at their private addresses; all others stay outside the VPC, where AWS's APIs are."""


COMES_ONCE = {
    "BeginRecoveriesFunction",
    "ConcludeRehearsalFunction",
    "HandleAlarmFunction",
    "HandlePlannedEventFunction",
    "PutBackRestoreFunction",
    "ReconcileFunction",
    "ReconcileRegionsFunction",
    "RepairModelsFunction",
    "SettleReleaseFunction",
}


def module_of(function: Document) -> str:
    return str(function["Handler"]).rpartition(".")[0]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_logs_into_a_group_of_its_own(name: str) -> None:
    group = target(FUNCTIONS[name]["LoggingConfig"]["LogGroup"])
    assert group == name.removesuffix("Function") + "LogGroup"
    properties = documents.resources("AWS::Logs::LogGroup")[group]
    own_name = FUNCTIONS[name]["FunctionName"]["Fn::Sub"]
    assert properties["LogGroupName"] == {"Fn::Sub": f"/aws/lambda/{own_name}"}


@pytest.mark.parametrize("name", documents.resources("AWS::Logs::LogGroup"))
def test_logs_are_encrypted_and_end(name: str) -> None:
    properties = documents.resources("AWS::Logs::LogGroup")[name]
    assert target(properties["KmsKeyId"]) == "Key"
    assert properties["RetentionInDays"] == {"Ref": "LogRetentionDays"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_handler_is_there(name: str) -> None:
    module, _, attribute = FUNCTIONS[name]["Handler"].rpartition(".")
    assert (documents.ROOT / "functions" / module.replace(".", "/")).with_suffix(".py").is_file()
    assert callable(getattr(import_module(module), attribute))


def test_every_file_is_a_function() -> None:
    folder = documents.ROOT / "functions"
    files = {".".join(path.relative_to(folder).with_suffix("").parts) for path in folder.rglob("*.py")}
    modules = [module_of(function) for function in FUNCTIONS.values()]
    assert sorted(modules) == sorted(files)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_runs_on_python_3_13_and_is_traced(name: str) -> None:
    function = FUNCTIONS[name]
    assert function["Runtime"] == "python3.13"
    assert function["Architectures"] == [{"Ref": "Architecture"}]
    assert function["TracingConfig"] == {"Mode": "Active"}


def tasks() -> list[tuple[str, str, Document]]:
    """(state, the function that it calls, the state itself) of every Task but that of a child execution."""
    found = []
    for machine in documents.STATE_MACHINES:
        for name, state in documents.states_with_branches(machine):
            if state["Type"] == "Task" and "StateMachineArn" not in state.get("Parameters", {}):
                function = state.get("Parameters", {}).get("FunctionName", state["Resource"])
                found.append((name, function.rpartition(":")[2], state))
    return found


@pytest.mark.parametrize(("state", "function", "task"), tasks(), ids=lambda value: value if type(value) is str else "")
def test_a_function_times_out_before_the_task_that_waits_for_it(state: str, function: str, task: Document) -> None:
    """The error then says which function was slow, and none works on behind the back of the next state."""
    # A task that waits for a person waits PauseSeconds, 30 at the least.
    assert FUNCTIONS[function]["Timeout"] < task.get("TimeoutSeconds", 30)
    assert function == f"{state}Function"


@pytest.mark.parametrize("name", [name for name in ASYNCHRONOUS if name in FUNCTIONS])
def test_an_invocation_that_failed_is_kept(name: str) -> None:
    config = INVOKE_CONFIGS[name]
    assert target(config["DestinationConfig"]["OnFailure"]["Destination"]) == "Undelivered"
    # The next minute asks anew; an execution that ended and an alarm that went off come once, and must not be missed.
    assert config["MaximumRetryAttempts"] == (2 if name in COMES_ONCE else 0)


def test_only_known_functions_and_machines_are_invoked_by_nobody_who_waits() -> None:
    assert set(ASYNCHRONOUS) == {
        "BeginRecoveriesFunction",
        "CheckpointFunction",
        "Assess",  # nobody waits for one assessment: the next one comes in a minute
        "ClusterFailover",  # an execution that ends badly is told of by the reconciler
        "FleetRelease",  # SettleRelease tells
        "SettleReleaseFunction",
        "ConcludeRehearsalFunction",
        "DiscoverReplicasFunction",
        "FindConfigDriftFunction",
        "HandleAlarmFunction",
        "HandlePlannedEventFunction",
        "KeepLedgerFunction",
        "Backup",  # TellBackupFailed tells, and an alarm misses what does not come
        "PutBackRestoreFunction",
        "RestoreRehearsal",  # ConcludeRehearsal tells
        "ReconcileFunction",
        "ReconcileRegionsFunction",
        "RepairModelsFunction",
        "WatchEndpointsFunction",
        "WatchRegionsFunction",
    }


@pytest.mark.parametrize(
    "sent",
    [
        *(pytest.param(schedule["Target"], id=name) for name, schedule in SCHEDULES.items()),
        *(pytest.param(each, id=name) for name, rule in RULES.items() for each in rule["Targets"]),
    ],
)
def test_what_could_not_be_delivered_is_kept(sent: Document) -> None:
    assert target(sent["DeadLetterConfig"]["Arn"]) == "Undelivered"
    assert "MaximumEventAgeInSeconds" in sent["RetryPolicy"]


def test_the_watch_overlaps_its_next_run_and_is_never_run_again_late() -> None:
    watch = FUNCTIONS["WatchEndpointsFunction"]
    assert watch["Timeout"] >= 150  # two minutes and a cold start: one missed start leaves no gap
    assert watch["ReservedConcurrentExecutions"] == 3
    assert INVOKE_CONFIGS["WatchEndpointsFunction"]["MaximumRetryAttempts"] == 0
    assert SCHEDULES["WatchEndpointsFunctionEveryMinute"]["ScheduleExpression"] == "rate(1 minute)"


def test_the_reconciler_looks_until_its_next_run_begins() -> None:
    schedule = SCHEDULES["ReconcileFunctionEveryMinute"]
    rounds = ReconcileInput.model_validate(json.loads(schedule["Target"]["Input"])).rounds
    assert schedule["ScheduleExpression"] == "rate(1 minute)"
    assert rounds * EVERY_SECONDS == 60
    assert FUNCTIONS["ReconcileFunction"]["Timeout"] > rounds * EVERY_SECONDS


def test_the_scheduled_preflight_is_an_input_that_is_accepted() -> None:
    text = SCHEDULES["ClusterFailoverPreflight"]["Target"]["Input"]["Fn::Sub"]
    asked = ExecutionInput.model_validate_json(text.replace("${AWS::Region}", "us-east-1"))
    assert asked.mode == "preflight"
    assert asked.scope_id == "us-east-1"


def test_the_ledgers_schedules_and_example_are_inputs_that_it_accepts() -> None:
    scheduled = [each["Target"]["Input"] for name, each in SCHEDULES.items() if name.startswith("KeepLedger")]
    asked = [LedgerInput.model_validate_json(text).report for text in scheduled]
    assert sorted(asked, key=str) == [None, "due"]
    example = (documents.ROOT / "docs/examples/keep_ledger.json").read_text()
    assert period(str(LedgerInput.model_validate_json(example).report)).is_month


def test_only_functions_that_probe_are_in_the_vpc() -> None:
    assert {name for name, function in FUNCTIONS.items() if "VpcConfig" in function} == PROBING


def test_functions_in_the_vpc_need_two_endpoints_only_and_a_third_for_an_api_key() -> None:
    """A gateway endpoint for DynamoDB, interface endpoints for Step Functions and the key: no NAT, no internet."""
    for name in PROBING:
        policies = documents.source()["Resources"][name]["Properties"]["Policies"]
        always = [statement for policy in policies for statement in policy["Statement"] if "Fn::If" not in statement]
        under_a_key = [
            statement["Fn::If"][1] for policy in policies for statement in policy["Statement"] if "Fn::If" in statement
        ]
        assert services(always) <= {"dynamodb", "states"}, name
        assert services(under_a_key) == {"secretsmanager"}, name


def services(statements: list[Document]) -> set[str]:
    return {action.partition(":")[0] for statement in statements for action in statement["Action"]}
