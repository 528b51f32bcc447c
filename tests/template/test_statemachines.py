"""House rules for the state machines: no error is swallowed, and no failure ends as a success."""

from __future__ import annotations

import inspect
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from standfast import errors
from standfast.assessing import AssessInput
from standfast.config_sync import AdoptInput, SyncInput
from standfast.deployment_steps import DeploymentInput
from standfast.recovery_rules import RecoveryRules
from standfast.recovery_steps import RecoveryInput
from standfast.region_steps import RegionMoveInput
from standfast.release_steps import ReleaseInput
from standfast.replication_steps import PullInput, RegisterInput, ReplicateInput
from standfast.restore_steps import BackupInput, RehearsalInput, RestoreInput
from standfast.rollout_steps import RollingInput
from standfast.shifting import ShiftInput
from standfast.steps import MOST_SECONDS, ExecutionInput
from tests.template import documents

if TYPE_CHECKING:
    from pathlib import Path

    from tests.template.documents import Document

MACHINES = list(documents.STATE_MACHINES)
NEVER_RAISED_BY_A_STEP = (
    errors.TransientError,
    errors.UnreadableReportError,
    errors.NoGoldenAnswerError,
    errors.JournalDamagedError,
)
"""The first is raised as one of its two kinds only; the second is of one node's report, and who reads reports goes on;
the third is for whoever invokes record-golden; the fourth is of one piece, which becomes a gap with a name."""
OURS = {
    name
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, errors.StandfastError) and value not in NEVER_RAISED_BY_A_STEP
}
"""A Catch matches exact names."""

AWS = {
    # https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html and, for a function that was
    # ended: its time-out is Sandbox.Timedout, a crash or a lack of memory Runtime.ExitError.
    "Lambda.AWSLambdaException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Sandbox.Timedout",
    "States.Timeout",
}

RAISED_BY = {
    # Raised on purpose in these steps only. Every other error of ours may come from any step and is caught by all.
    "AutomationOffError": {
        "PlanRelease",
        "StartWave",
        "TakeLease",
        "ShiftTraffic",
        "ShiftStage",
        "TakeCharge",
        "TakeOut",
        "ApplyRemedy",
        "Readmit",
        "BeginRollout",
        "AddNode",
        "ChooseReplica",
        "BeginDeployment",
        "JoinFleet",
        "SwapPointers",
        "TakeRegionLease",
        "Condemn",
        "ShiftRegion",
    },
    "BackupRefusedError": {
        "TakeSnapshot",
        "VerifySnapshot",
        "PlanRestore",
        "VerifyArtefacts",
        "FreezeAutomation",
        "RestoreModels",
        "RestoreConfig",
        "RestoreTraffic",
        "RestoreToScratch",
        "ProveScratch",
    },
    "ModelDamagedError": {
        "DeployModel",
        "UpdateReplica",
        "ListModel",
        "HashObjects",
        "WriteManifest",
        "CopyObjects",
        "VerifyModel",
        "VerifyArtefacts",
        "ProveScratch",
    },
    "LeaseHeldError": {
        "PlanRelease",
        "BeginRelease",
        "FreezeAutomation",
        "TakeLease",
        "TakeCharge",
        "Readmit",
        "BeginRollout",
        "BeginDeployment",
        "TakeRegionLease",
    },
    "NoHeadroomError": {"SelectStandby", "AddNode", "ChooseReplica", "PlanDeployment", "CheckPeerCapacity"},
    "NoPeerProvenError": {"CheckPeerCapacity", "Condemn"},
    "NoStandbyProvenError": {"SelectStandby"},
    "NotServingError": {
        "LoadCanary",
        "VerifyServing",
        "UpdateReplica",
        "VerifyReplica",
        "AskReplica",
        "BakeReplica",
        "ProvisionGreen",
        "DeployModel",
        "SmokeTest",
        "SmokeTestGreen",
        "HoldBlue",
        "LeaveGreen",
        "AskEdge",
        "JudgeRegion",
        "VerifyFromOutside",
    },
}

RETRY = [
    {
        "ErrorEquals": [
            "ConflictError",
            "ThrottledError",
            "UnavailableError",
            "Lambda.ClientExecutionTimeoutException",
            "Lambda.SdkClientException",
            "Lambda.ServiceException",
            "Lambda.AWSLambdaException",
            "Lambda.TooManyRequestsException",
        ],
        "IntervalSeconds": 1,
        "MaxAttempts": 4,
        "BackoffRate": 2.0,
        "MaxDelaySeconds": 5,
        "JitterStrategy": "FULL",
    }
]
"""The one standard block for what may succeed when tried again. Every step may be repeated."""

ANY = frozenset(OURS - set(RAISED_BY)) | AWS
ONE_REGION = "It ends this Region's branch, named as failed; the execution then fails with what became of each Region."
NO_EVIDENCE = "Missing evidence makes checks unknown, which is told; it fails no assessment and moves nothing."
NO_PROOF = "The scratch is removed and who is on call is told; without a proof HasSucceeded leads to the Fail."
WITH_DAMAGE = ANY | {"ModelDamagedError"}
RECOVERIES: dict[tuple[str, str], tuple[frozenset[str], str]] = {
    # (state, next) -> the errors from which an execution may still end as a success, and why it may.
    ("VerifyServing", "ProbeStandbys"): (
        frozenset({"NotServingError"}),
        "The candidate does not serve: the next one is proven and tried. With none left, SelectStandby gives up.",
    ),
    ("CheckDrain", "Quarantine"): (
        ANY,
        "The traffic has moved and is proven. That the failed cluster cannot be asked is no reason to stop.",
    ),
    ("ResumeRequests", "CheckDrain"): (
        ANY,
        "The traffic has moved. What was in flight is found by the next checkpoint, in a minute at the latest.",
    ),
    ("ResumeRequests", "SmokeTest"): (ANY, "State is restored. What was in flight is found by the next checkpoint."),
    ("RestoreToScratch", "ConcludeRehearsal"): (WITH_DAMAGE | {"BackupRefusedError"}, NO_PROOF),
    ("ProveScratch", "ConcludeRehearsal"): (WITH_DAMAGE | {"BackupRefusedError"}, NO_PROOF),
    ("Checkpoint", "TakeSnapshot"): (ANY, "A backup without the ids of requests in flight restores all else."),
    ("ProbeEndpoints", "EndpointsUnknown"): (ANY, NO_EVIDENCE),
    ("RequestNodeReports", "NodesUnknown"): (ANY, NO_EVIDENCE),
    ("CollectNodeReports", "NodesUnknown"): (ANY, NO_EVIDENCE),
    ("ReadTraffic", "TrafficUnknown"): (ANY, NO_EVIDENCE),
    ("AskRegion", "RegionFailed"): (ANY, ONE_REGION),
    ("CheckRegion", "RegionFailed"): (ANY, ONE_REGION),
    ("AskPerson", "NobodyAnswered"): (
        frozenset({"States.Timeout"}),
        "No answer in time is an answer: no. The branch ends with it, and the shift is given up.",
    ),
    ("StartRecovery", "ReleaseLease"): (
        ANY,
        "The failover is done. That its cluster is in nobody's hand yet is told, and the scheduled look begins it.",
    ),
    ("LookAtQuotas", "Announce"): (
        ANY,
        "A preflight that cannot read a quota has proven all the same that a failover would work; both are told.",
    ),
    ("Readmit", "WaitForLease"): (
        frozenset({"LeaseHeldError"}),
        "Somebody changes the scope rightly. That ends, and the nodes are looked at anew before the role changes.",
    ),
    ("HashObjects", "BatchFailed"): (
        WITH_DAMAGE,
        "The batch's error is kept. WriteManifest reads it, and writes no manifest.",
    ),
    ("CopyObjects", "BatchFailed"): (
        WITH_DAMAGE,
        "The other batches go on. VerifyModel looks at every object itself, and fails with this error in its sentence.",
    ),
    ("StartPull", "RegionFailed"): (ANY, "The other Regions go on. ConcludeReplication names it, and all fails."),
    ("CheckPull", "RegionFailed"): (ANY, "The other Regions go on. ConcludeReplication names it, and all fails."),
    **{
        (name, "TurnBack"): (
            WITH_DAMAGE | {"NoHeadroomError", "NotServingError"},
            (
                "It is written down that the update goes back: FinishRollout answers that nothing succeeded, and the "
                "execution fails (test_rolling_machine)."
            ),
        )
        for name in (
            "AddNode",
            "ChooseReplica",
            "DrainReplica",
            "UpdateReplica",
            "VerifyReplica",
            "ReturnReplica",
            "AskReplica",
            "BakeReplica",
        )
    },
    ("RemoveNode", "FinishRollout"): (
        ANY,
        "The version is live, or put back, all the same; FinishRollout pages a person about the node.",
    ),
    **{
        (name, "LeaveGreen"): (
            WITH_DAMAGE | {"NotServingError", "States.TaskFailed"},
            (
                "It is written down that green is given up: FinishDeployment answers that nothing succeeded, and the "
                "execution fails (test_deployment_machine)."
            ),
        )
        for name in (
            "ProvisionGreen",
            "DeployModel",
            "JoinFleet",
            "SmokeTestGreen",
            "ShiftToGreen",
            "PromoteGreen",
            "HoldBlue",
        )
    },
    ("ReleaseLease", "Announce"): (
        frozenset({"FencedError"}),
        "Somebody else was granted the lease, so it is not ours to give back. All of the work is done.",
    ),
}


def graphs() -> dict[str, Document]:
    """Name -> what has StartAt and States: each machine, and what runs inside a state as `machine/state/number`."""
    found = {machine: documents.machine(machine) for machine in MACHINES}
    for machine in MACHINES:
        for name, state in found[machine]["States"].items():
            for number, branch in enumerate(documents.inner_graphs(state)):
                found[f"{machine}/{name}/{number}"] = branch
    return found


GRAPHS = graphs()


def states(graph: str) -> dict[str, Document]:
    found: dict[str, Document] = GRAPHS[graph]["States"]
    return found


def all_states() -> list[Any]:
    return [
        pytest.param(name, state, id=f"{machine}-{name}")
        for machine in GRAPHS
        for name, state in states(machine).items()
    ]


def all_tasks() -> list[Any]:
    return [case for case in all_states() if case.values[1]["Type"] == "Task" and case.values[0] not in CHILDREN]


CHILDREN = {
    "ShiftByStages": ("cluster_failover", "GiveUp"),
    "ShiftToGreen": ("blue_green_deployment", "LeaveGreen"),
}
"""Tasks that wait for a child execution, which ends by itself and may not be started twice."""


def onward(state: Document) -> set[str]:
    """Where a state goes when nothing fails."""
    ways = {state.get("Next"), state.get("Default"), *(choice["Next"] for choice in state.get("Choices", []))}
    return {way for way in ways if way}


def caught(state: Document) -> set[str]:
    """Where a state goes when something fails."""
    return {catch["Next"] for catch in state.get("Catch", [])}


def reached(machine: str, start: str, *, with_failures: bool) -> set[str]:
    found, left = set(), [start]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            state = states(machine)[name]
            left += onward(state) | (caught(state) if with_failures else set())
    return found


TIME_OUTS = {
    "adopt_config": 180,
    "assess": 240,
    "backup": 300,
    "blue_green_deployment": 115200,
    "cluster_failover": 14400,
    "cluster_recovery": 9000,
    "fleet_release": 604800,
    "pull_model": 43200,
    "region_failover": 14400,
    "register_model": 28800,
    "replicate_model": 46800,
    "rolling_update": 86400,
    "restore": 1200,
    "restore_rehearsal": 300,
    "sync_config": 900,
    "traffic_shift": 12600,
}
LONG = {
    "HashObjects": 905,
    "CopyObjects": 905,
    "VerifyModel": 610,
    "WriteManifest": 310,
    "PlanPull": 310,
    "WatchS3": 310,
}
"""Tasks that are at work on a model's bytes, or on each of its objects."""


@pytest.mark.parametrize("machine", MACHINES)
def test_an_execution_has_a_time_out(machine: str) -> None:
    assert documents.machine(machine)["TimeoutSeconds"] == TIME_OUTS[machine]
    assert "TimeoutSeconds: ${ExecutionTimeoutSeconds}" in documents.STATE_MACHINES[machine].read_text()


@pytest.mark.parametrize(("name", "state"), all_states())
def test_a_state_says_what_it_is_for(name: str, state: Document) -> None:
    assert state.get("Comment", "").endswith((".", "?")), name


@pytest.mark.parametrize(("name", "task"), all_tasks())
def test_a_task_has_a_time_out_and_the_standard_retry(name: str, task: Document) -> None:
    if name == "AskPerson":
        assert task["TimeoutSecondsPath"] == "$.pause_seconds"  # it waits for a person
    else:
        assert 0 < task["TimeoutSeconds"] <= LONG.get(name, 60), name
    assert task["Retry"] == RETRY


def test_a_child_has_ended_before_its_parent_gives_up_and_a_move_before_either() -> None:
    parent = documents.machine("cluster_failover")
    child = parent["States"]["ShiftByStages"]
    shift = documents.machine("traffic_shift")["TimeoutSeconds"]
    assert MOST_SECONDS < shift < child["TimeoutSeconds"] < parent["TimeoutSeconds"]


def test_whatever_ends_a_child_ends_its_parent_told() -> None:
    """States.TaskFailed is every error but a time-out."""
    for name, (machine, gives_up) in CHILDREN.items():
        (catch,) = states(machine)[name]["Catch"]
        assert (catch["ErrorEquals"], catch["Next"]) == (["States.TaskFailed", "States.Timeout"], gives_up)


@pytest.mark.parametrize(("name", "task"), all_tasks())
def test_a_task_catches_every_error_that_it_can_raise_by_its_name(name: str, task: Document) -> None:
    expected = set(ANY) | {error for error, steps in RAISED_BY.items() if name in steps}
    names = [error for catch in task["Catch"] for error in catch["ErrorEquals"]]
    assert sorted(names) == sorted(expected)  # nothing else, so never States.ALL; and nothing twice


@pytest.mark.parametrize(("name", "task"), all_tasks())
def test_what_is_caught_is_kept_beside_the_state(name: str, task: Document) -> None:
    assert {catch["ResultPath"] for catch in task["Catch"]} == {"$.error"}, name


def test_an_error_that_few_steps_raise_is_raised_in_them() -> None:
    """The steps that RAISED_BY names exist, and so do the errors."""
    assert set(RAISED_BY) <= OURS
    assert set().union(*RAISED_BY.values()) <= set().union(*(states(graph) for graph in GRAPHS))


@pytest.mark.parametrize("machine", GRAPHS)
def test_no_failure_ends_as_a_success(machine: str) -> None:
    """From each Catch, the path without further failures; those are looked at as the Catches that they are."""
    for name, state in states(machine).items():
        for catch in state.get("Catch", []):
            ends = {
                end
                for end in reached(machine, catch["Next"], with_failures=False)
                if states(machine)[end]["Type"] == "Succeed"
            }
            recoverable, _ = RECOVERIES.get((name, catch["Next"]), (frozenset(), ""))
            assert not ends or set(catch["ErrorEquals"]) <= recoverable, f"{name} -> {catch['Next']} ends in {ends}"


def test_recoveries_are_taken_only_while_they_exist() -> None:
    ways = {(name, way) for graph in GRAPHS for name, state in states(graph).items() for way in caught(state)}
    assert set(RECOVERIES) <= ways


@pytest.mark.parametrize("machine", GRAPHS)
def test_every_state_is_reached_and_every_path_ends(machine: str) -> None:
    found = reached(machine, GRAPHS[machine]["StartAt"], with_failures=True)
    assert found == set(states(machine))
    ends = {name for name, state in states(machine).items() if state["Type"] in ("Succeed", "Fail")}
    for name, state in states(machine).items():
        assert "End" not in state, f"{name} ends the execution; only Succeed and Fail do"
        assert name in ends or onward(state), f"{name} leads nowhere"
        assert ends & reached(machine, name, with_failures=False), f"{name} never comes to an end"


def test_traffic_moves_before_anybody_waits() -> None:
    before = set(states("cluster_failover")) - reached("cluster_failover", "ShiftTraffic", with_failures=False)
    assert before == {
        "TakeLease",
        "ProbeStandbys",
        "SelectStandby",
        "IsMovePlanned",
        "ShiftByStages",
        "GiveUp",
        "WasMovePlanned",
        "MoveDidNotSucceed",
        "FailoverDidNotSucceed",
        "RefuseToStart",
        "StopBeforeStart",
        "NobodyWasTold",
    }
    assert not [name for name in before if states("cluster_failover")[name]["Type"] == "Wait"]


@pytest.mark.parametrize("machine", MACHINES)
def test_a_failure_says_what_happened(machine: str) -> None:
    for name, state in states(machine).items():
        if state["Type"] == "Fail":
            assert state["Error"], name
            # A time-out has no Cause: whoever can come here by one tells the whole error.
            assert state["CausePath"].startswith("$.") or state["CausePath"] == "States.JsonToString($.error)", name


@pytest.mark.parametrize("machine", MACHINES)
def test_functions_are_named_by_substitution_only(machine: str) -> None:
    text = documents.STATE_MACHINES[machine].read_text()
    assert "arn:" not in text
    resources = re.findall(r"^ +Resource: (.+)$", text, re.MULTILINE)
    assert len(resources) == len(
        [state for _, state in documents.states_with_branches(machine) if state["Type"] == "Task"]
    )
    assert [each for each in resources if not documents.PLACEHOLDER.fullmatch(each)] == []


@pytest.mark.parametrize("machine", MACHINES)
def test_the_template_fills_in_exactly_what_the_file_asks_for(machine: str) -> None:
    asked = documents.PLACEHOLDER.findall(documents.STATE_MACHINES[machine].read_text())
    assert set(asked) == set(documents.substitutions(machine))


def test_every_state_machine_is_in_the_template() -> None:
    assert len(documents.resources("AWS::StepFunctions::StateMachine")) == len(MACHINES)


INPUTS: dict[str, type[BaseModel]] = {
    "adopt_config": AdoptInput,
    "sync_config": SyncInput,
    "fleet_release": ReleaseInput,
    "cluster_failover": ExecutionInput,
    "traffic_shift": ShiftInput,
    "cluster_recovery": RecoveryInput,
    "assess": AssessInput,
    "register_model": RegisterInput,
    "replicate_model": ReplicateInput,
    "pull_model": PullInput,
    "rolling_update": RollingInput,
    "backup": BackupInput,
    "restore": RestoreInput,
    "restore_rehearsal": RehearsalInput,
    "blue_green_deployment": DeploymentInput,
    "region_failover": RegionMoveInput,
}
EXAMPLES = sorted((documents.ROOT / "statemachines/examples").glob("*.json"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_an_input_that_is_accepted(example: Path) -> None:
    accepted = INPUTS[example.name.split(".")[0]]
    assert accepted.model_validate(json.loads(example.read_text()))


def test_every_machine_has_an_example() -> None:
    assert {example.name.split(".")[0] for example in EXAMPLES} == set(MACHINES) == set(INPUTS)


def test_every_mode_has_an_example() -> None:
    for machine, given in (("cluster_failover", ExecutionInput), ("region_failover", RegionMoveInput)):
        modes = set(given.model_json_schema()["properties"]["mode"]["enum"])
        asked = [json.loads(example.read_text()) for example in EXAMPLES if example.name.startswith(machine)]
        assert {each["mode"] for each in asked} == modes


def test_a_recovery_looks_at_the_nodes_anew_after_each_rung_and_before_the_role_changes() -> None:
    """From a remedy, no way leads to the end that does not pass by a new look."""
    graph = states("cluster_recovery")
    without = {name: state for name, state in graph.items() if name != "ListNodes"}
    left, found = ["ApplyRemedy"], set()
    while left:
        name = left.pop()
        if name in without and name not in found:
            found.add(name)
            left += onward(without[name])
    assert found == {"ApplyRemedy", "WaitForRemedy", "CheckRemedy", "HasRemedyEnded"}
    assert onward(graph["HasRemedyEnded"]) == {"ListNodes", "WaitForRemedy"}


def test_a_recovery_ends_by_its_own_deadline_before_it_times_out() -> None:
    longest = RecoveryRules.model_json_schema()["properties"]["deadline_seconds"]["maximum"]
    assert documents.machine("cluster_recovery")["TimeoutSeconds"] > longest + 960


def test_whatever_s3_does_with_a_model_it_is_verified_here_before_it_is_whole() -> None:
    way = states("pull_model")
    assert onward(way["PlanPull"]) == {"IsLeftToS3"}
    assert onward(way["IsLeftToS3"]) == {"CopyInBatches", "WatchS3"}
    assert onward(way["WatchS3"]) == {"HasS3Ended"}
    assert onward(way["HasS3Ended"]) == {"CopyInBatches", "WaitForS3"}
    assert onward(way["CopyInBatches"]) == {"VerifyModel"}


def test_a_replication_outlives_the_pulls_that_it_waits_for() -> None:
    assert TIME_OUTS["pull_model"] < TIME_OUTS["replicate_model"]


def test_a_region_that_fails_ends_as_the_others_do() -> None:
    """Every error of a Region's way leads to a result, so that no Region stops the Map that the others are in."""
    graph = states("replicate_model/ReplicateToRegions/0")
    assert [name for name, state in graph.items() if state["Type"] in ("Succeed", "Fail")] == ["RegionEnded"]
    assert {name for name, state in graph.items() if state["Type"] == "Task"} == {"StartPull", "CheckPull"}


def test_quotas_are_asked_for_in_a_preflight_only() -> None:
    graph = states("cluster_failover")
    assert {name for name, state in graph.items() if "LookAtQuotas" in onward(state)} == {"IsChangeAllowed"}
    (choice,) = [each for each in graph["IsChangeAllowed"]["Choices"] if each["Next"] == "LookAtQuotas"]
    assert (choice["Variable"], choice["StringEquals"]) == ("$.mode", "preflight")


def test_what_was_in_flight_is_resumed_after_traffic_was_proven_to_have_moved_and_only_from_a_failed_cluster() -> None:
    graph = states("cluster_failover")
    assert {name for name, state in graph.items() if "ResumeRequests" in onward(state)} == {"IsSourceWell"}
    assert onward(graph["RecordRoles"]) == {"IsSourceWell"}
    assert onward(graph["ResumeRequests"]) == caught(graph["ResumeRequests"]) == {"CheckDrain"}


def test_a_failover_does_not_wait_for_the_recovery_that_it_starts() -> None:
    assert onward(states("cluster_failover")["StartRecovery"]) == {"ReleaseLease"}
    assert states("cluster_failover")["StartRecovery"]["ResultPath"] == "$.recovery"
