"""A model of many objects to two more Regions, and once more: seconds, calls, and what is copied again.

Standfast's stacks alone, with AWS's latencies as far as the sandbox knows them. S3 is this machine's memory: the
figures are of what Standfast does and of how many calls that takes, not of how fast AWS copies.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from sandbox import model_desk
from sandbox.aws.cloud import Cloud
from sandbox.aws.latency import Latencies
from sandbox.control import ControlStack
from sandbox.fleet.sharded import sharded_model
from sandbox.plan import FLEET, REGIONS, ROOT, WATCHER, SandboxError

if TYPE_CHECKING:
    from rich.console import Console

MODEL: Final = {"model": "many-objects", "version": "v1"}
PREFIX: Final = "models/many-objects/v1/"
BESIDE_SHARDS: Final = 4
"""The index, two configurations and the tokenizer."""
SHARD_BYTES: Final = 600
LIMIT_SECONDS: Final = 900.0


def run_replication(console: Console, objects: int) -> dict[str, Any]:
    """Measure, print a table, and return the figures. Fails when an object is copied a second time."""
    regions = (*REGIONS, WATCHER)
    with (
        tempfile.TemporaryDirectory(prefix="standfast-") as folder,
        Cloud(
            regions=regions,
            latencies=Latencies(),
            log_directory=Path(folder) / "logs",
            runtime_python=ROOT / ".venv-runtime" / "bin" / "python",
        ) as cloud,
    ):
        home, *others = (ControlStack(cloud, region) for region in regions)
        for stack in (home, *others):
            stack.deploy({"FleetName": FLEET, "PrimaryRegion": home.name, "StateRegions": ",".join(regions)})
        model_desk.upload(home, PREFIX, sharded_model(0, objects - BESIDE_SHARDS, bytes_each=SHARD_BYTES))
        asked = {**MODEL, "regions": [stack.name for stack in others]}
        registered, hashing = _run(home, "register-model", {**MODEL, "prefix": PREFIX})
        (first, copying), (second, looking) = (_run(home, "replicate-model", asked) for _ in range(2))
        denied = cloud.denials()
    if denied:
        raise SandboxError(f"a role lacks a permission: {denied[0]}")
    copies = objects * len(others)
    figures = {
        "objects": objects,
        "regions": len(others),
        "copied": first["copied"],
        "copied_again": second["copied"],
        "api_calls_per_object": round(first["api_calls"] / copies, 2),
        "api_calls_per_object_again": round(second["api_calls"] / copies, 2),
        "api_calls_per_object_registered": round(sum(each["api_calls"] for each in registered) / objects, 2),
        "objects_per_second": round(first["copied"] / copying, 1),
        "seconds_to_register": round(hashing, 1),
        "seconds_to_replicate": round(copying, 1),
        "seconds_to_look_again": round(looking, 1),
    }
    table = Table("figure", "value", title=f"a model of {objects} objects to {len(others)} Regions")
    for name, value in figures.items():
        table.add_row(name, f"{value:,g}")
    console.print(table)
    if figures["copied"] != copies or figures["copied_again"]:
        raise SandboxError(f"{figures['copied']} of {copies} objects were copied, then {figures['copied_again']} again")
    return figures


def _run(home: ControlStack, machine: str, payload: dict[str, Any]) -> tuple[Any, float]:
    """What it answered of its batches or Regions, and how long it took."""
    began = time.monotonic()
    execution = model_desk.run(home, machine, payload, LIMIT_SECONDS)
    seconds = time.monotonic() - began
    if execution["status"] != "SUCCEEDED":
        raise SandboxError(f"{machine}: {execution.get('cause')}")
    answered = model_desk.output(execution)
    return answered["hashed" if machine == "register-model" else "replication"], seconds
