"""One Region for a file of workflow tests: booted once, without AWS's latencies, brought back by each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.aws.latency import Latencies
from sandbox.region import SandboxRegion


@pytest.fixture(scope="module")  # not for the session: a process has one cloud, and other files want theirs
def booted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxRegion]:
    with SandboxRegion(tmp_path_factory.mktemp("region"), latencies=Latencies.none()) as region:
        yield region.start()


@pytest.fixture
def region(booted: SandboxRegion) -> Iterator[SandboxRegion]:
    """The Region in its first state. A test that broke something mends it, or `restore` does."""
    booted.messages()
    before = len(booted.cloud.denials())
    yield booted
    booted.invoke("set-switch", {"automation": "run", "reason": "the next test", "set_by": "test"})
    booted.restore()
    unexpected = booted.cloud.denials()[before:]
    assert not unexpected, f"a template role lacks a permission: {unexpected}"
