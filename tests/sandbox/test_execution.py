"""Lambda's seam: functions that moto keeps run under AWS's own runtime client, and answer as they do on AWS."""

from __future__ import annotations

import io
import json
import os
import queue
import signal
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.awslambda.models import lambda_backends
from moto.server import ThreadedMotoServer

from sandbox import processes
from sandbox.aws import execution
from sandbox.aws.network import Network

ROOT = Path(__file__).resolve().parents[2]
RUNTIME_PYTHON = ROOT / ".venv-runtime" / "bin" / "python"
ACCOUNT, REGION = "123456789012", "us-east-1"
WAIT_SECONDS = 20.0
ONCE = Config(retries={"total_max_attempts": 1})

HANDLER = """
import logging, os, time
import greeting

logging.getLogger().setLevel(logging.INFO)

class SpecialError(Exception):
    pass

def handler(event, context):
    match event.get("do"):
        case "fail":
            raise SpecialError("as asked")
        case "exit":
            os._exit(7)
        case "sleep":
            logging.getLogger().info("sleeping")
            time.sleep(event["seconds"])
        case "wait":
            logging.getLogger().info("waiting")
            while not os.path.exists(event["gate"]):
                time.sleep(0.01)
        case "identity":
            import boto3
            return boto3.client("sts").get_caller_identity()["Arn"]
        case "log":
            logging.getLogger().info("a line of %s", event["of"])
    return {
        "pid": os.getpid(),
        "remaining_ms": context.get_remaining_time_in_millis(),
        "request_id": context.aws_request_id,
        "arn": context.invoked_function_arn,
        "greeting": greeting.TEXT,
        "from_layer": greeting.__file__,
        "environment": {name: os.environ.get(name) for name in event.get("names", ())},
    }
"""


def archive(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as written:
        for name, text in files.items():
            written.writestr(name, text)
    return buffer.getvalue()


class Place:
    """Moto with the seam in place, and what its functions wrote."""

    def __init__(self, environments: execution.ExecutionEnvironments, logs: Path) -> None:
        self.environments = environments
        self.logs = logs
        self.lines: queue.Queue[tuple[str, str]] = queue.Queue()
        self.role = ""
        self.layer = ""
        self.session: Any = boto3.Session(region_name=REGION)
        self.client = self.session.client("lambda")
        self.sqs = self.session.client("sqs")

    def function(self, name: str, *, code: str = HANDLER, **configuration: Any) -> str:
        """Makes a function whose module is in a folder without __init__.py, as Standfast's are."""
        configuration.setdefault("Timeout", 10)
        made = self.client.create_function(
            FunctionName=name, Runtime="python3.13", Role=self.role, Handler="work.answer.handler", Layers=[self.layer],
            Code={"ZipFile": archive({"work/answer.py": code})}, **configuration,
        )  # fmt: skip
        return str(made["FunctionArn"])

    def queue(self, name: str) -> tuple[str, str]:
        """The URL and the ARN of a new queue."""
        return self.sqs.create_queue(QueueName=name)["QueueUrl"], f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"

    def invoke(self, name: str, **event: Any) -> Any:
        """The payload of a good answer."""
        answer = self.client.invoke(FunctionName=name, Payload=json.dumps(event))
        payload = json.load(answer["Payload"])
        assert answer.get("FunctionError") is None, payload
        return payload

    def error(self, name: str, **event: Any) -> Any:
        """The payload of an answer that is an error."""
        answer = self.client.invoke(FunctionName=name, Payload=json.dumps(event))
        assert answer["FunctionError"] == "Unhandled"
        return json.load(answer["Payload"])

    def message(self, url: str) -> Any:
        """The first message of a queue, as soon as there is one."""
        return until(lambda: self.sqs.receive_message(QueueUrl=url).get("Messages"))[0]

    def wait_for_line(self, name: str, text: str) -> None:
        """Waits until the function has written this."""
        writer, line = "", ""
        while writer != name or text not in line:
            writer, line = self.lines.get(timeout=WAIT_SECONDS)


def until(condition: Callable[[], Any]) -> Any:
    """Waits for something true and gives it."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
    return found


def in_background(work: Callable[[], Any]) -> Callable[[], Any]:
    """Starts work in a thread; the result waits for its answer."""
    answers: queue.Queue[Any] = queue.Queue()
    threading.Thread(target=lambda: answers.put(work()), daemon=True).start()
    return lambda: answers.get(timeout=WAIT_SECONDS)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("execution")
    logs = folder / "logs"
    logs.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.setenv("AWS_ACCOUNT_ID_ENDPOINT_MODE", "disabled")
        with mock_aws():
            server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
            server.start()
            host, port = server.get_host_and_port()
            environments = execution.ExecutionEnvironments(
                endpoint_url=f"http://{host}:{port}",
                python=RUNTIME_PYTHON,
                log_directory=logs,
                cache_directory=folder / "code",
                on_log=lambda _, name, line: opened.lines.put((name, line)),
                network=Network((REGION,)),
                retry_seconds=(0.05, 0.05),
            )
            opened = Place(environments, logs)
            take_back = execution.install(environments)
            iam = opened.session.client("iam")
            opened.role = iam.create_role(RoleName="worker", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
            opened.layer = opened.client.publish_layer_version(
                LayerName="greeting", Content={"ZipFile": archive({"python/greeting.py": "TEXT = 'hello'"})}
            )["LayerVersionArn"]
            try:
                opened.function("worker")
                yield opened
            finally:
                environments.close()
                take_back()
                server.stop()


def test_a_function_runs_with_its_layer_and_answers(place: Place) -> None:
    answer = place.invoke("worker")
    assert answer["greeting"] == "hello"
    assert answer["from_layer"].endswith("/python/greeting.py")
    assert answer["arn"].endswith(":function:worker")
    assert place.environments.pids("worker") == [answer["pid"]]


def test_a_second_call_finds_the_environment_warm(place: Place) -> None:
    assert place.invoke("worker")["pid"] == place.invoke("worker")["pid"]


def test_a_function_has_its_environment_and_nothing_of_ours(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_PARENT", "secret")
    place.function("configured", Environment={"Variables": {"COLOUR": "blue"}}, MemorySize=256)
    names = ["COLOUR", "OF_THE_PARENT", "AWS_REGION", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
    assert place.invoke("configured", names=names)["environment"] == {
        "COLOUR": "blue",
        "OF_THE_PARENT": None,
        "AWS_REGION": REGION,
        "AWS_LAMBDA_FUNCTION_NAME": "configured",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
    }


def test_a_function_calls_aws_as_its_role(place: Place) -> None:
    assert place.invoke("worker", do="identity") == f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/worker"


def test_an_exception_keeps_its_class(place: Place) -> None:
    error = place.error("worker", do="fail")
    assert (error["errorType"], error["errorMessage"]) == ("SpecialError", "as asked")
    assert error["stackTrace"]


def test_lines_go_to_the_log_as_json(place: Place) -> None:
    place.invoke("worker", do="log", of="today")
    place.wait_for_line("worker", "a line of today")
    line = next(
        line for line in (place.logs / REGION / "worker.log").read_text().splitlines() if "a line of today" in line
    )
    assert json.loads(line)["level"] == "INFO"


def test_a_function_may_ask_for_plain_log_lines(place: Place) -> None:
    place.function("plain")
    lambda_backends[ACCOUNT][REGION].get_function("plain").logging_config = {"LogFormat": "Text"}
    assert place.invoke("plain", names=["AWS_LAMBDA_LOG_FORMAT"])["environment"] == {"AWS_LAMBDA_LOG_FORMAT": "Text"}


def test_the_remaining_time_is_the_time_out_less_what_has_passed(place: Place) -> None:
    place.function("patient", Timeout=130)
    # The first call is a cold start: its time is not the invocation's.
    assert 120_000 < place.invoke("patient")["remaining_ms"] <= 130_000
    assert 120_000 < place.invoke("patient", do="sleep", seconds=0.5)["remaining_ms"] <= 129_500


def test_two_calls_at_once_run_in_two_environments(place: Place, tmp_path: Path) -> None:
    place.function("parallel")
    gate = tmp_path / "gate"
    calls = [in_background(lambda: place.invoke("parallel", do="wait", gate=str(gate))) for _ in range(2)]
    place.wait_for_line("parallel", "waiting")
    place.wait_for_line("parallel", "waiting")
    gate.touch()
    assert len({call()["pid"] for call in calls}) == 2


def test_a_call_that_takes_too_long_ends_its_environment(place: Place) -> None:
    place.function("slow", Timeout=1)
    before = place.invoke("slow")["pid"]
    error = place.error("slow", do="sleep", seconds=60)
    assert error["errorType"] == "Sandbox.Timedout"
    assert error["errorMessage"].endswith(" Task timed out after 1.00 seconds")
    assert place.environments.pids("slow") == []
    assert place.invoke("slow")["pid"] != before


def test_a_cold_start_does_not_spend_the_time_out(place: Place) -> None:
    place.function("heavy", Timeout=1, code="import time; time.sleep(1.2)\n" + HANDLER)
    assert place.invoke("heavy")["greeting"] == "hello"


def test_an_exit_in_mid_invocation_is_an_error(place: Place) -> None:
    error = place.error("worker", do="exit")
    assert error["errorType"] == "Runtime.ExitError"
    assert error["errorMessage"].endswith("exit status 7")
    assert place.invoke("worker")["greeting"] == "hello"


def test_a_killed_idle_process_is_replaced(place: Place) -> None:
    before = place.invoke("worker")["pid"]
    os.kill(before, signal.SIGKILL)
    until(lambda: before not in place.environments.pids("worker"))
    assert place.invoke("worker")["pid"] != before


def test_a_module_that_cannot_be_imported_is_the_calls_error_each_time(place: Place) -> None:
    place.function("broken", code="import nowhere_to_be_found")
    for _ in range(2):
        error = place.error("broken")
        assert error["errorType"] == "Runtime.ImportModuleError"
        assert "nowhere_to_be_found" in error["errorMessage"]
    assert place.environments.pids("broken") == []


def test_new_code_replaces_the_environments(place: Place) -> None:
    place.function("changing")
    before = place.invoke("changing")["pid"]
    code = archive({"work/answer.py": "def handler(event, context): return 'new'"})
    place.client.update_function_code(FunctionName="changing", ZipFile=code)
    assert place.invoke("changing") == "new"
    assert before not in place.environments.pids("changing")


def test_reserved_concurrency_throttles(place: Place, tmp_path: Path) -> None:
    place.function("reserved")
    place.client.put_function_concurrency(FunctionName="reserved", ReservedConcurrentExecutions=1)
    gate = tmp_path / "gate"
    first = in_background(lambda: place.invoke("reserved", do="wait", gate=str(gate)))
    place.wait_for_line("reserved", "waiting")
    with pytest.raises(ClientError) as caught:
        place.session.client("lambda", config=ONCE).invoke(FunctionName="reserved")
    assert caught.value.response["Error"]["Code"] == "TooManyRequestsException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    gate.touch()
    assert first()["greeting"] == "hello"
    assert place.invoke("reserved")["greeting"] == "hello"


def test_an_idle_environment_makes_room_and_one_at_work_never_does(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    place.environments.stop()
    monkeypatch.setattr(execution, "MOST_ENVIRONMENTS", 2)
    for name in ("one", "two", "three"):
        place.function(name)
    one = place.invoke("one")["pid"]
    two = in_background(lambda: place.invoke("two", do="wait", gate=str(gate)))
    place.wait_for_line("two", "waiting")
    place.invoke("three")
    assert place.environments.pids("one") == []
    assert not _exists(one)
    gate.touch()
    assert two()["greeting"] == "hello"


def test_an_event_is_accepted_at_once_and_tried_three_times_before_it_is_undelivered(place: Place) -> None:
    url, destination = place.queue("undelivered")
    arn = place.function("asked-later")
    place.client.put_function_event_invoke_config(
        FunctionName="asked-later", DestinationConfig={"OnFailure": {"Destination": destination}}
    )
    event = {"do": "fail"}
    answer = place.client.invoke(FunctionName="asked-later", InvocationType="Event", Payload=json.dumps(event))
    assert answer["StatusCode"] == 202
    record = json.loads(place.message(url)["Body"])
    assert record["requestContext"]["functionArn"] == f"{arn}:$LATEST"
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["requestPayload"] == event
    assert record["responsePayload"]["errorType"] == "SpecialError"


def test_an_event_without_retries_goes_to_the_dead_letter_queue(place: Place) -> None:
    url, arn = place.queue("dead-letters")
    place.function("once")
    lambda_backends[ACCOUNT][REGION].get_function("once").dead_letter_config = {"TargetArn": arn}
    place.client.put_function_event_invoke_config(FunctionName="once", MaximumRetryAttempts=0)
    place.client.invoke(FunctionName="once", InvocationType="Event", Payload='{"do": "fail"}')
    assert json.loads(place.message(url)["Body"]) == {"do": "fail"}


def test_an_event_that_is_handled_reaches_the_destination_of_success(place: Place) -> None:
    url, destination = place.queue("handled")
    place.function("handling")
    place.client.put_function_event_invoke_config(
        FunctionName="handling", DestinationConfig={"OnSuccess": {"Destination": destination}}
    )
    place.client.invoke(FunctionName="handling", InvocationType="Event", Payload="{}")
    record = json.loads(place.message(url)["Body"])
    assert record["requestContext"]["condition"] == "Success"
    assert record["responsePayload"]["greeting"] == "hello"


def test_warm_environments_wait_for_calls_and_stop_ends_them(place: Place) -> None:
    place.function("warmed")
    place.environments.warm("warmed", 2)
    pids = place.environments.pids("warmed")
    assert len(pids) == 2
    place.environments.warm("warmed", 2)  # they are there already
    assert place.environments.pids("warmed") == pids
    assert place.invoke("warmed")["pid"] in pids
    place.environments.stop("warmed")
    assert not any(_exists(pid) for pid in pids)


def test_a_stop_of_active_environments_ends_the_call(place: Place) -> None:
    place.function("stopped")
    call = in_background(lambda: place.error("stopped", do="sleep", seconds=60))
    place.wait_for_line("stopped", "sleeping")
    place.environments.stop("stopped")
    assert len(place.environments.pids("stopped")) == 1  # it is at work
    place.environments.stop("stopped", active=True)
    assert call()["errorType"] == "Runtime.ExitError"


def test_nothing_is_left_after_close(place: Place, tmp_path: Path) -> None:
    threads, children = set(threading.enumerate()), set(processes.living())
    environments = execution.ExecutionEnvironments(
        endpoint_url="http://127.0.0.1:9",
        python=RUNTIME_PYTHON,
        log_directory=tmp_path,
        cache_directory=tmp_path / "c",
        network=Network((REGION,)),
    )
    function = lambda_backends[ACCOUNT][REGION].get_function("worker")
    is_error, _ = environments.invoke(function, b"{}")
    assert not is_error
    environments.invoke_async(function, b'{"do": "sleep", "seconds": 60}')
    until(lambda: "sleeping" in (tmp_path / REGION / "worker.log").read_text())
    pids = environments.pids("worker")
    environments.close()
    environments.close()
    assert not any(_exists(pid) for pid in pids)
    assert set(processes.living()) <= children
    until(lambda: not [one for one in set(threading.enumerate()) - threads if one.is_alive()])
    with pytest.raises(execution.ThrottledError):
        environments.invoke(function, b"{}")


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
