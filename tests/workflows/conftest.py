"""A fleet of one Region for a file of workflow tests: booted once, without AWS's latencies, mended after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.aws.latency import Latencies
from sandbox.region import SandboxRegion
from sandbox.world import Sandbox

REGION = "us-east-1"


@pytest.fixture(scope="module")  # not for the session: a process has one cloud, and other files want theirs
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("sandbox"), regions=(REGION,), latencies=Latencies.none()) as sandbox:
        yield sandbox.start()


@pytest.fixture
def region(sandbox: Sandbox) -> Iterator[SandboxRegion]:
    """The Region in its first state. A test that broke something mends it, or `restore` does."""
    found = sandbox.regions[REGION]
    found.messages()
    before = len(sandbox.cloud.denials())
    yield found
    sandbox.set_switch("run", "the next test")
    found.restore()
    unexpected = sandbox.cloud.denials()[before:]
    assert not unexpected, f"a template role lacks a permission: {unexpected}"
