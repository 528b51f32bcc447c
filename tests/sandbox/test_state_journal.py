"""The state journal as it deploys: what is written to the state tables can be put back to each moment."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.aws.cloud import Cloud
from sandbox.aws.latency import Latencies
from sandbox.control import ControlStack
from sandbox.plan import FLEET
from standfast.aws.journal_bucket import JournalBucket
from standfast.state_at import state_at
from standfast.state_journal import ItemKey, Snapshot
from tests.sandbox.conftest import ROOT, wait_for

if TYPE_CHECKING:
    from pathlib import Path

REGION, ACCOUNT = "us-east-1", "123456789012"
BUCKET = f"{FLEET}-backups-{ACCOUNT}-{REGION}"


def scanned(cloud: Cloud, table: str) -> dict[ItemKey, Any]:
    items = cloud.client("dynamodb").scan(TableName=table, ConsistentRead=True)["Items"]
    return {ItemKey("regions", item["pk"]["S"], item["sk"]["S"]): item for item in items}


@pytest.mark.long
def test_what_was_written_can_be_put_back_to_each_moment(tmp_path: Path) -> None:
    with Cloud(
        latencies=Latencies(),
        log_directory=tmp_path / "logs",
        runtime_python=ROOT / ".venv-runtime" / "bin" / "python",
    ) as cloud:
        stack = ControlStack(cloud, REGION)
        stack.deploy({"FleetName": FLEET})
        empty = Snapshot({}, time.time() - 1, time.time())
        moments: list[tuple[float, dict[ItemKey, Any]]] = []
        for automation in ("observe", "run", "off"):
            stack.invoke("set-switch", {"automation": automation, "reason": "a test", "set_by": "a test"})
            time.sleep(1.1)  # a moment has whole seconds
            moments.append((time.time(), scanned(cloud, f"{FLEET}-regions")))
            time.sleep(1.1)
        journal = JournalBucket(BUCKET, FLEET, REGION, client=cloud.client("s3"))

        def whole() -> bool:
            return state_at(time.time(), empty, journal).items == moments[-1][1]

        wait_for("the last change to be in the bucket", whole, 30.0)
        for moment, items in moments:
            replayed = state_at(moment, empty, journal)
            assert replayed.items == items
            assert replayed.gaps == ()
        assert not [denial for denial in cloud.denials() if "journal" in denial.role]
