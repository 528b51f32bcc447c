"""Step Functions: moto's engine with what it lacks, and every machine under its own role.

Each wrapped method is one gap of moto 5.2.5: names when none is given, one start at a time, the role, the start time in
the context, the error name of a Lambda call that never reached the function, error and cause of a stop, an end that
does not wait for the task at work, what is described of an end, the history of what has not begun, child executions,
and the wait at each state.
"""

from __future__ import annotations

import functools
import json
import sys
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import moto.stepfunctions.parser.api as engine_api
import moto.stepfunctions.parser.models as engine
from botocore.exceptions import ClientError
from moto.core import DEFAULT_ACCOUNT_ID
from moto.stepfunctions.parser.api import HistoryEventType, LambdaFunctionFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_sfn import (
    StateTaskServiceSfn,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task_lambda import StateTaskLambda
from moto.stepfunctions.parser.asl.component.state.state import CommonStateField
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication, Execution
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.responses import StepFunctionResponse

from sandbox.aws.latency import STATE_TRANSITION
from sandbox.aws.roles import RoleClients

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.aws.latency import LatencyInjector
    from sandbox.aws.network import Network

_PARSER: Final = "moto.stepfunctions.parser"
_STARTED_BY: Final = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"
_BEGIN_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.002


@dataclass(frozen=True, slots=True)
class ExecutionStatus:
    """One change of an execution's status. Times are seconds since the epoch; what is not there yet is None."""

    execution_arn: str
    machine_arn: str
    name: str
    status: str
    input: str
    started_at: float
    ended_at: float | None = None
    output: str | None = None
    error: str | None = None
    cause: str | None = None


def install(
    injector: LatencyInjector, on_status: Callable[[ExecutionStatus], None], network: Network
) -> Callable[[], None]:
    """Put every seam in place. The result takes them away again.

    `on_status` is called on the thread that changed the status, and must not block for long.
    In a Region that is lost no execution enters a state before it is back.
    """
    undo = [
        _replace(engine.StepFunctionsParserBackend, "start_execution", _named),
        _replace(Execution, "get_start_execution_details", _with_a_start_time),
        _replace(StepFunctionResponse, "stop_execution", _keeping_error_and_cause),
        _replace(StepFunctionResponse, "describe_execution", _describing_every_end),
        _replace(Execution, "stop", _at_once),
        _replace(Execution, "to_history_output", _empty_until_it_begins),
        _replace(ExecutionWorker, "_get_evaluation_environment", _knowing_whom_to_tell),
        _replace(Environment, "set_timed_out", _timed_out_at_once),
        _replace(Execution, "start", functools.partial(_telling_the_start, on_status)),
        _replace(
            BaseExecutionWorkerCommunication,
            "_reflect_execution_status",
            functools.partial(_telling_the_end, on_status),
        ),
        _replace(CommonStateField, "_eval_body", functools.partial(_waiting, injector, network)),
        _replace(StateTaskLambda, "_from_error", _with_lambdas_own_errors),
        _replace(StateTaskServiceSfn, "_normalise_parameters", _spelt_for_the_api),
        _replace(StateTaskServiceSfn, "_normalise_response", _spelt_for_the_machine),
        _replace(Execution, "stop", _with_its_children),
        *_under_roles(),
    ]

    def take_away() -> None:
        for one in undo:
            one()

    return take_away


def stop_executions() -> None:
    """End every execution, for the end of a sandbox: its thread would go on, and call what the next one has."""
    for backend in tuple(engine.stepfunctions_parser_backends[DEFAULT_ACCOUNT_ID].values()):
        for machine in tuple(backend.state_machines):
            for execution in tuple(machine.executions):
                if execution.status == "RUNNING":
                    execution.stop(datetime.now(UTC), None, "the sandbox ends")


def _replace(owner: Any, name: str, wrap: Callable[[Any], Any]) -> Callable[[], None]:
    original = getattr(owner, name)
    setattr(owner, name, wrap(original))
    return lambda: setattr(owner, name, original)


def _under_roles() -> list[Callable[[], None]]:
    clients = RoleClients("step-functions")

    def client(region: str, service: str, state_credentials: Any = None) -> Any:
        return clients.client(region, service, str(state_credentials.role_arn))

    modules = [module for name, module in sys.modules.items() if name.startswith(_PARSER)]
    users = [module for module in modules if hasattr(module, "boto_client_for")]
    if not users:
        raise RuntimeError("moto's engine has no boto_client_for any more: machines would run without their role")
    return [_replace(module, "boto_client_for", lambda _: client) for module in users]


def _empty_until_it_begins(original: Any) -> Any:
    """moto knows an execution before there is a worker to ask for its history."""

    @functools.wraps(original)
    def to_history_output(self: Any) -> Any:
        return original(self) if self.exec_worker is not None else engine_api.GetExecutionHistoryOutput(events=[])

    return to_history_output


def _named(original: Any) -> Any:
    """moto looks whether the name is taken and takes it afterwards: two callers at once could both have it."""
    one_at_a_time = threading.Lock()

    def start_execution(
        self: Any, state_machine_arn: str, name: Any = None, execution_input: Any = None, trace_header: Any = None
    ) -> Any:
        with one_at_a_time:
            return original(self, state_machine_arn, name or str(uuid.uuid4()), execution_input, trace_header)

    return start_execution


def _with_a_start_time(original: Any) -> Any:
    def get_start_execution_details(self: Any) -> Any:
        details = original(self)
        details.start_time = self.start_date.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        return details

    return get_start_execution_details


def _keeping_error_and_cause(original: Any) -> Any:
    """moto's handler passes neither on to the backend. An execution that ended keeps its own."""

    def stop_execution(self: Any) -> Any:
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        if execution.status == "RUNNING":
            execution.error, execution.cause = self._get_param("error"), self._get_param("cause")
        return original(self)

    return stop_execution


def _describing_every_end(original: Any) -> Any:
    """moto leaves out when an execution timed out, and takes an output that is text for JSON."""

    def describe_execution(self: Any) -> Any:
        described = original(self)
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        if execution.stop_date is not None:
            described.result["stopDate"] = execution.stop_date
        if execution.status == "SUCCEEDED":
            described.result["output"] = json.dumps(execution.output)
        return described

    return describe_execution


def _at_once(original: Any) -> Any:
    """moto ends a stopped execution when the task at work returns, and stops none that has not begun yet."""

    def stop(self: Any, stop_date: Any, error: str | None, cause: str | None) -> None:
        deadline = time.monotonic() + _BEGIN_SECONDS
        while self.exec_worker.env is None or self.exec_worker.env.program_state() is None:
            if time.monotonic() >= deadline:
                raise RuntimeError(f"{self.exec_arn} does not begin")
            time.sleep(_POLL_SECONDS)
        original(self, stop_date, error, cause)
        self.exec_worker._execution_communication.terminated()

    return stop


def _knowing_whom_to_tell(original: Any) -> Any:
    def get_evaluation_environment(self: Any) -> Any:
        environment = original(self)
        environment.sandbox_tell_the_end = self._execution_communication.terminated
        return environment

    return get_evaluation_environment


def _timed_out_at_once(original: Any) -> Any:
    """As with a stop: the execution's time does not wait for the task at work."""

    def set_timed_out(self: Any) -> None:
        original(self)
        if tell := getattr(self, "sandbox_tell_the_end", None):
            tell()

    return set_timed_out


def _telling_the_start(on_status: Callable[[ExecutionStatus], None], original: Any) -> Any:
    def start(self: Any) -> None:
        # Before the engine's thread is there: a short execution would be over before it is told to run.
        self.exec_status = engine_api.ExecutionStatus.RUNNING
        on_status(_status(self, "RUNNING"))
        original(self)

    return start


def _telling_the_end(on_status: Callable[[ExecutionStatus], None], original: Any) -> Any:
    """An execution ends once: what the engine's thread finds after a stop or a timeout changes nothing."""
    one_at_a_time = threading.Lock()

    def reflect(self: Any) -> None:
        with one_at_a_time:
            if self.execution.stop_date is not None:
                return
            original(self)
        on_status(_status(self.execution, self.execution.status))

    return reflect


def _status(execution: Any, status: str) -> ExecutionStatus:
    ended = status != "RUNNING"
    return ExecutionStatus(
        execution_arn=execution.exec_arn,
        machine_arn=execution.state_machine.arn,
        name=execution.name,
        status=status,
        input=json.dumps(execution.input_data),
        started_at=execution.start_date.timestamp(),
        ended_at=execution.stop_date.timestamp() if ended and execution.stop_date else None,
        output=json.dumps(execution.output) if status == "SUCCEEDED" else None,
        error=execution.error if ended else None,
        cause=execution.cause if ended else None,
    )


def _waiting(injector: LatencyInjector, network: Network, original: Any) -> Any:
    def eval_body(self: Any, env: Any) -> None:
        context = env.states.context_object.context_object_data
        detail = f"{context['Execution']['Name']}/{self.name}"
        region = context["StateMachine"]["Id"].split(":")[3]
        network.wait_while_lost(region)
        injector.sleep(STATE_TRANSITION, caller=context["StateMachine"]["Name"], detail=detail, region=region)
        original(self, env)

    return eval_body


def _with_lambdas_own_errors(original: Any) -> Any:
    """A call that Lambda refused is an error `Lambda.<code>` (Step Functions guide, Lambda service exceptions)."""

    def from_error(self: Any, env: Any, ex: Exception) -> Any:
        if not isinstance(ex, ClientError):
            return original(self, env, ex)
        refused = ex.response["Error"]
        code = refused["Code"]
        error = f"Lambda.{code}" if code == "TooManyRequestsException" else "Lambda.AWSLambdaException"
        details = LambdaFunctionFailedEventDetails(error=error, cause=refused.get("Message", code))
        return FailureEvent(
            env=env,
            error_name=CustomErrorName(error),
            event_type=HistoryEventType.LambdaFunctionFailed,
            event_details=EventDetails(lambdaFunctionFailedEventDetails=details),
        )

    return from_error


_CHILD_FIELDS: Final = {"Input": "input", "Name": "name", "StateMachineArn": "stateMachineArn"}


def _spelt_for_the_api(original: Any) -> Any:
    """A machine spells the parameters of `states:startExecution` with capitals, the API does not."""

    def normalise(self: Any, parameters: Any, *arguments: Any, **named: Any) -> None:
        original(self, parameters, *arguments, **named)
        for capital, plain in _CHILD_FIELDS.items():
            if capital in parameters:
                parameters[plain] = parameters.pop(capital)

    return normalise


def _spelt_for_the_machine(original: Any) -> Any:
    """The other way round with what the API answers; moments are numbers, milliseconds since the epoch."""

    def normalise(self: Any, response: Any, *arguments: Any, **named: Any) -> None:
        original(self, response, *arguments, **named)
        for name in list(response):
            value = response.pop(name)
            moment = round(value.timestamp() * 1000) if isinstance(value, datetime) else value
            response[name[0].upper() + name[1:]] = moment

    return normalise


def _with_its_children(original: Any) -> Any:
    """A parent that waits for its child (`.sync`) takes it along when it is stopped."""

    def stop(self: Any, stop_date: Any, error: str | None, cause: str | None) -> None:
        original(self, stop_date, error, cause)
        for backend in tuple(engine.stepfunctions_parser_backends[DEFAULT_ACCOUNT_ID].values()):
            for machine in tuple(backend.state_machines):
                for execution in tuple(machine.executions):
                    begun_by = isinstance(execution.input_data, dict) and execution.input_data.get(_STARTED_BY)
                    if begun_by == self.exec_arn and execution.status == "RUNNING":
                        execution.stop(datetime.now(UTC), None, f"its parent {self.name} was stopped")

    return stop
