"""Slow replicas: they serve, at a fraction of their speed, and are as fast as before afterwards."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

from sandbox.fleet.models import tiny_model
from sandbox.fleet.replica import Replica
from sandbox.fleet.slowness import FOLLOW_SECONDS, Slowness

if TYPE_CHECKING:
    from pathlib import Path


def free_port(address: str) -> int:
    """One that no other test run uses at this moment."""
    with socket.create_server((address, 0)) as free:
        port: int = free.getsockname()[1]
        return port


LOOK_SECONDS = 4.0
"""What a replica used too much while the rationer had no processor is repaid within this."""


def ask(replica: Replica, seconds: float = 0.0) -> None:
    until = time.monotonic() + seconds
    with httpx.Client(base_url=replica.url, trust_env=False, timeout=20) as client:
        while True:
            client.post("/v1/completions", json={"prompt": "why", "max_tokens": 16}).raise_for_status()
            if time.monotonic() >= until:
                return


def share_used(replica: Replica) -> float:
    """What part of one processor the replica used while it answered, one request after the other."""
    assert replica.pid is not None
    clock = (~replica.pid << 3) | 2  # the clock id of another process's processor time, as clock_getcpuclockid(3)
    used, began = time.clock_gettime(clock), time.monotonic()
    ask(replica, LOOK_SECONDS)
    return (time.clock_gettime(clock) - used) / (time.monotonic() - began)


@pytest.mark.long
def test_a_slow_replica_uses_its_share_of_a_processor_however_busy_the_machine(tmp_path: Path) -> None:
    replica = Replica("127.15.1.10", free_port("127.15.1.10"), tiny_model(1, tmp_path)).start()
    try:
        ask(replica)
        with Slowness([replica], 0.05):
            assert share_used(replica) < 0.15  # 0.3 to 0.5 when it may run freely
        ask(replica)
    finally:
        replica.close()


def test_a_replica_that_is_started_anew_is_slow_again_where_that_is_wanted(tmp_path: Path) -> None:
    model = tiny_model(1, tmp_path)
    replica = Replica("127.15.1.11", free_port("127.15.1.11"), model).start()
    try:
        with Slowness([replica], 0.05, again=lambda: [replica]):
            replica.restart()
            ask(replica, 2 * FOLLOW_SECONDS)
            assert share_used(replica) < 0.15
        ask(replica)
    finally:
        replica.close()


@pytest.mark.long
def test_many_requests_at_once_are_as_slow_as_one_where_each_has_a_share_of_its_own(tmp_path: Path) -> None:
    replica = Replica("127.15.1.12", free_port("127.15.1.12"), tiny_model(1, tmp_path)).start()
    try:
        ask(replica)
        with Slowness([replica], 0.02, idle_requests=1), ThreadPoolExecutor(4) as pool:
            alone = share_used(replica)
            others = [pool.submit(ask, replica, 2 * LOOK_SECONDS) for _ in range(3)]
            together = share_used(replica)
            for each in others:
                each.result()
        assert alone < 0.08  # twice 0.02, and what it used while the rationer had no processor
        assert 1.3 * alone < together < 5 * alone
    finally:
        replica.close()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="is no share of a processor"):
        Slowness([], share)
