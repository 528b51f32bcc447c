"""One assessment of 10, 100 and 1,000 replicas: what it costs, how that grows, and how near AWS's limits it comes.

The handlers are the real ones, in the interpreter that the workers use; stand_in_engines answers them and
assessment_cost measures them, each size in a process of its own. One replica in twenty takes too long, so that some are
asked twice.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from sandbox.bench import ROOT, function_environment
from sandbox.plan import SandboxError
from sandbox.stand_in_engines import MODEL, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console

CLUSTERS: Final = (1, 10, 100)
REPLICAS: Final = 10
GPUS: Final = 8
STATE_LIMIT: Final = 262_144
"""Bytes that one state of Step Functions holds: "Service quotas" in its developer guide."""
ITEM_LIMIT: Final = 409_600
"""Bytes of one item: "Service, account, and table quotas" in the DynamoDB developer guide."""
_SPARE: Final = "use1-spare"
"""A standby that is not assessed: no Region may be without one."""
_ARN: Final = "arn:aws:elasticloadbalancing:us-east-1:123456789012"
_HEADER: Final = "index, uuid, name, pci.bus_id, memory.used [MiB], memory.total [MiB]"


def run_scale(console: Console) -> dict[str, Any]:
    """Measure, print a table, and return the figures by number of replicas. Fails past a limit of AWS."""
    python = str(ROOT / ".venv-runtime" / "bin" / "python")
    found: dict[str, Any] = {}
    with _engines() as port:
        for clusters in CLUSTERS:
            command = [python, str(ROOT / "sandbox" / "assessment_cost.py")]
            fleet, environment = json.dumps(_fleet(clusters, port)), function_environment()
            done = subprocess.run(command, input=fleet, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SandboxError(done.stderr)
            found[str(clusters * REPLICAS)] = json.loads(done.stdout.splitlines()[-1])
    console.print(_table(found))
    largest = found[str(max(CLUSTERS) * REPLICAS)]
    for what, limit in (("state_bytes", STATE_LIMIT), ("largest_item_bytes", ITEM_LIMIT)):
        if largest[what] > limit:
            raise SandboxError(f"{what} of {max(CLUSTERS) * REPLICAS} replicas is {largest[what]}, more than {limit}")
    return found


@contextmanager
def _engines() -> Iterator[int]:
    """All engines, on one port, for as long as the block lasts."""
    command = [sys.executable, str(ROOT / "sandbox" / "stand_in_engines.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as engines:
        try:
            yield int(engines.stdout.readline() if engines.stdout else 0)
        finally:
            engines.kill()


def _table(found: Mapping[str, Any]) -> Table:
    table = Table(title=f"one assessment; {os.cpu_count()} cores, {os.getloadavg()[0]:.1f} others at work")
    sizes = list(found)
    table.add_column("replicas")
    for size in sizes:
        table.add_column(size, justify="right")
    for earlier, later in pairwise(sizes):
        table.add_column(f"x {earlier} to {later}", justify="right")
    rows: dict[str, list[float]] = {}
    for task in found[sizes[0]]["tasks"]:
        for what, label in (("seconds", "s"), ("cpu_seconds", "s of processor time"), ("answer_bytes", "bytes")):
            rows[f"{task}: {label}"] = [found[size]["tasks"][task][what] for size in sizes]
    for what in ("state_bytes", "largest_item_bytes", "megabytes"):
        rows[what.replace("_", " ")] = [found[size][what] for size in sizes]
    for label, values in rows.items():
        growth = [f"{later / earlier:.1f}" if earlier else "" for earlier, later in pairwise(values)]
        table.add_row(label, *(f"{value:,g}" if value < 1e6 else f"{value:,.0f}" for value in values), *growth)
    return table


def _fleet(clusters: int, port: int) -> dict[str, Any]:
    """What assessment_cost reads."""
    replicas: dict[str, list[tuple[str, str]]] = {}
    number = 0
    for cluster in range(clusters):
        found = replicas.setdefault(f"use1-{cluster:03}", [])
        for _ in range(REPLICAS):
            number += 1
            name = f"{'well' if number % 20 else 'late'}{number}"
            found.append((f"i-{number:017x}", f"http://127.0.0.1:{port}/{name}"))
    return {"config": _config([*replicas, _SPARE]), "replicas": replicas, "report": _report()}


def _config(names: list[str]) -> dict[str, Any]:
    clusters = {
        name: {
            "role": "standby" if position else "active",
            "replicas": REPLICAS,
            "gpus_per_node": GPUS,
            "target_group_arn": f"{_ARN}:targetgroup/{name}/0123456789abcdef",
        }
        for position, name in enumerate(names)
    }
    entry = {"url": "http://127.0.0.1:1", "listener_rule_arn": f"{_ARN}:listener-rule/app/a/b/c/d"}
    return {
        "fleet": "bench",
        "model": {"name": MODEL, "version": VERSION, "engine": "llama.cpp"},
        "regions": {"us-east-1": {"entry": entry, "clusters": clusters}},
    }


def _report() -> str:
    """A well node of eight GPUs, whose kernel has said much of other things: as long as reports are."""
    uuids = [f"GPU-6ce25ffe-2d0c-4f0f-a4a2-3a5f9cbdc4c{gpu}" for gpu in range(GPUS)]
    rows = [
        f"{gpu}, {uuid}, NVIDIA H100 80GB HBM3, 00000000:{gpu + 16:02X}:00.0, 70730 MiB, 81559 MiB"
        for gpu, uuid in enumerate(uuids)
    ]
    steps = {
        "clock": "1760000000",
        "boot": "7c1f8d52-0f4e-4c7c-9d1e-6f1f0b6f3a55",
        "driver": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue Sep 23 10:00:00 UTC 2025",
        "pci": "\n".join(f"0000:{gpu + 16:02x}:00.0 0302: 10de:2330 (rev a1)" for gpu in range(GPUS)),
        "gpus": "\n".join((_HEADER, *rows)),
        "listed": "\n".join(f"GPU {gpu}: NVIDIA H100 80GB HBM3 (UUID: {uuid})" for gpu, uuid in enumerate(uuids)),
        "apps": "gpu_uuid, pid, process_name, used_gpu_memory [MiB]\n"
        + "\n".join(f"{uuid}, {4711 + gpu}, VLLM::Worker, 70720 MiB" for gpu, uuid in enumerate(uuids)),
        "cuda": "0 8",
        "kernel": "\n".join(
            f"{1760000000 + line}.000000 node kernel: audit: type=1400 {'.' * 60}" for line in range(160)
        ),
    }
    printed = (f"=== {name}\n{said}\n=== {name} exit 0" for name, said in steps.items())
    return "\n".join(["=== standfast-node-report 1", *printed, "=== end", ""])
