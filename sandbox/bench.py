"""Cold starts and the watch: what an import costs beside `import boto3` and one client, and what a pass costs.

Times of two machines do not compare; ratios of one run do. Each measurement is a new process of the interpreter that
the workers use, with bytecode, as the layers ship it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.table import Table

from sandbox.fleet.models import tiny_model
from sandbox.fleet.replica import Replica

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 7
PLAIN_LIMIT, PROBING_LIMIT = 1.6, 2.0
PROBING = frozenset(
    {
        "watch_endpoints",
        "watch_regions",
        "handle_alarm",
        "probe_endpoints",
        "probe_standbys",
        "verify_serving",
        "check_drain",
    }
)
REPLICAS = {"use1-a": 4, "use1-b": 2}
REFERENCE = "import boto3 + one client"
_REFERENCE_CODE = "import boto3; boto3.client('dynamodb', region_name='us-east-1')"
_TIMED = "import time; t = time.perf_counter(); {code}; print(time.perf_counter() - t)"


def run_bench(console: Console) -> dict[str, Any]:
    """Measure, print a table, and return the figures: milliseconds (median of 7) and ratios to the reference."""
    python = ROOT / ".venv-runtime" / "bin" / "python"
    paths = sorted((ROOT / "functions").glob("*/*.py"))
    codes = {path.stem: f"import {path.parent.name}.{path.stem}; {_FIRST_CLIENT}" for path in paths}
    spent = _milliseconds(python, {REFERENCE: _REFERENCE_CODE, **codes})
    reference = median(spent[REFERENCE])
    table = Table(title=f"cold start: import of a handler, median of {ROUNDS}, against boto3 and one client")
    for heading in ("handler", "ms", "ratio", "at most"):
        table.add_column(heading, justify="left" if heading == "handler" else "right")
    table.add_row(REFERENCE, f"{reference:.0f}", "1.00", "")
    handlers: dict[str, Any] = {}
    for name in codes:
        milliseconds = median(spent[name])
        ratio = median(mine / plain for mine, plain in zip(spent[name], spent[REFERENCE], strict=True))
        limit = PROBING_LIMIT if name in PROBING else PLAIN_LIMIT
        handlers[name] = {"milliseconds": round(milliseconds, 1), "ratio": round(ratio, 2), "limit": limit}
        table.add_row(name, f"{milliseconds:.0f}", f"{ratio:.2f}", f"{limit:.1f}")
    console.print(table)
    watch = _watch_cost(python)
    console.print(
        f"a pass of the watch over {sum(REPLICAS.values())} healthy replicas, a second apart: "
        f"{watch['cpu_milliseconds']:g} ms of processor time (mean of {watch['passes']:g}), "
        f"{watch['megabytes']:g} MB at most"
    )
    return {"reference_milliseconds": round(reference, 1), "handlers": handlers, "watch_pass": watch}


def _watch_cost(python: Path) -> dict[str, float]:
    """What a pass costs, asked of real servers by the real watch in a process of its own."""
    model = tiny_model(1, ROOT / "build" / "models")
    with ExitStack() as stack:
        urls: dict[str, list[str]] = {}
        for cluster_id, count in REPLICAS.items():
            replicas = [Replica("127.0.0.1", port, model) for port in _free_ports(count)]
            for replica in replicas:
                stack.callback(replica.close)
                replica.start()
            urls[cluster_id] = [replica.url for replica in replicas]
        fleet = {"config": _fleet_config(model.version, urls), "replicas": urls}
        command = [str(python), str(ROOT / "sandbox" / "watch_cost.py"), json.dumps(fleet)]
        done = subprocess.run(command, env=function_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _fleet_config(model: str, urls: Mapping[str, list[str]]) -> dict[str, Any]:
    """One Region whose entry is the first replica: here it only answers, and that costs the watch the same."""
    arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012"
    roles = dict(zip(urls, ("active", "standby"), strict=True))
    return {
        "fleet": "bench",
        "model": {"name": model, "engine": "llama.cpp"},
        "regions": {
            "us-east-1": {
                "entry": {"url": next(iter(urls.values()))[0], "listener_rule_arn": f"{arn}:listener-rule/app/a/b/c/d"},
                "clusters": {
                    cluster_id: {
                        "role": roles[cluster_id],
                        "replicas": len(urls[cluster_id]),
                        "target_group_arn": f"{arn}:targetgroup/{cluster_id}/0",
                    }
                    for cluster_id in urls
                },
            }
        },
    }


_FIRST_CLIENT = "from standfast import bootstrap; bootstrap.cluster_table()"


def _milliseconds(python: Path, codes: Mapping[str, str]) -> dict[str, list[float]]:
    """By name, what each code cost in each round. A round runs all of them: what slows the machine slows all alike."""
    environment = function_environment()
    spent: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(ROUNDS + 1):
        for name, code in codes.items():
            command = [str(python), "-c", _TIMED.format(code=code)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{code}\n{done.stderr}")
            spent[name].append(float(done.stdout) * 1000)
    return {name: values[1:] for name, values in spent.items()}  # the first round writes the bytecode


def function_environment() -> dict[str, str]:
    """What a function's environment holds, as far as an import needs it."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT / 'layers/standfast/python'}{os.pathsep}{ROOT / 'functions'}",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        **dict.fromkeys(
            (
                "STANDFAST_FLEET",
                "STANDFAST_TABLE",
                "STANDFAST_REGION_TABLE",
                "STANDFAST_FAILOVER_ARN",
                "STANDFAST_RECOVERY_ARN",
                "STANDFAST_PAGES_ARN",
                "STANDFAST_NOTICES_ARN",
                "STANDFAST_EVENT_BUS",
            ),
            "none",
        ),
    }
