"""The end of a cloud: what ran in it does not go on in the next one of the same process."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from sandbox.aws.cloud import Cloud
from sandbox.aws.latency import Latencies
from tests.sandbox.conftest import ROOT, Bench, wait_for

RETRIED = {
    "StartAt": "Work",
    "States": {
        "Work": {
            "Type": "Task",
            "Resource": "arn:aws:lambda:us-west-2:123456789012:function:fails",
            "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 60, "BackoffRate": 1}],
            "End": True,
        }
    },
}


def opened(folder: Path, *regions: str) -> Cloud:
    python = ROOT / ".venv-runtime" / "bin" / "python"
    return Cloud(regions=regions, latencies=Latencies.none(), log_directory=folder / "logs", runtime_python=python)


def test_an_execution_of_a_closed_cloud_calls_nothing_any_more(tmp_path: Path, monkeypatch: Any) -> None:
    died: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    with opened(tmp_path / "first", "us-east-1", "us-west-2") as first:
        may = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}
        role = Bench(first).role("machine", may)
        states = first.client("stepfunctions", "us-west-2")
        machine = states.create_state_machine(name="m", definition=json.dumps(RETRIED), roleArn=role)["stateMachineArn"]
        arn = states.start_execution(stateMachineArn=machine)["executionArn"]
        wait_for("a retry", lambda: len(states.get_execution_history(executionArn=arn)["events"]) > 5)
    with opened(tmp_path / "second", "us-east-1") as second:
        threading.Event().wait(1.5)  # the next retry would be due
        assert not second.denials()
    assert not died
