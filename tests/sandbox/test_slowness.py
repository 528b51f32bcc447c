"""Slow replicas: they serve, at a fraction of their speed, and are as fast as before afterwards."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from sandbox.fleet.models import tiny_model
from sandbox.fleet.replica import Replica
from sandbox.fleet.slowness import Slowness

if TYPE_CHECKING:
    from pathlib import Path


def free_port(address: str) -> int:
    """One that no other test run uses at this moment."""
    with socket.create_server((address, 0)) as free:
        port: int = free.getsockname()[1]
        return port


def seconds_for(replica: Replica, requests: int) -> float:
    began = time.monotonic()
    with httpx.Client(base_url=replica.url, trust_env=False, timeout=20) as client:
        for _ in range(requests):
            client.post("/v1/completions", json={"prompt": "why", "max_tokens": 16}).raise_for_status()
    return time.monotonic() - began


def test_a_slow_replica_serves_slowly_and_then_quickly_again(tmp_path: Path) -> None:
    replica = Replica("127.15.1.10", free_port("127.15.1.10"), tiny_model(1, tmp_path)).start()
    try:
        fast = seconds_for(replica, 5)
        with Slowness([replica], 0.05):
            slow = seconds_for(replica, 5)
        again = seconds_for(replica, 5)
    finally:
        replica.close()
    assert slow > 4 * fast
    assert again < slow / 2


def test_shares_that_do_not_fit_into_the_period_are_refused(tmp_path: Path) -> None:
    replicas = [Replica("127.15.1.10", 8000, tiny_model(1, tmp_path))] * 4
    for share in (0.0, 0.25):
        with pytest.raises(ValueError, match="4 replicas cannot have"):
            Slowness(replicas, share)
