"""Forks: processes that begin with their libraries, and with nothing else of the server's."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox import forking
from sandbox.forking import ForkServer
from sandbox.processes import Child

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(not forking.AVAILABLE, reason="this system has no forks for us")

MODULE = """
import json, os, sys
print("ready", json.dumps({
    "imported": "fractions" in sys.modules, "environment": dict(os.environ), "arguments": sys.argv[1:],
    "directory": os.getcwd(), "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd"))[:3],
    "first": sys.path[:2], "group": os.getpgid(0) == os.getpid(),
}), flush=True)
for line in sys.stdin:
    match line.strip():
        case "fail":
            raise ValueError("as asked")
        case "exit":
            sys.exit(7)
        case said:
            print("heard", said, flush=True)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    made = ForkServer(Path(sys.executable), ["fractions"])
    yield made
    made.close()


def child(server: ForkServer, folder: Path, *arguments: str, heard: list[str] | None = None) -> Child:
    (folder / "told.py").write_text(MODULE)
    return Child(
        "told",
        [sys.executable, "-m", "told", *arguments],
        environment={"PATH": os.environ["PATH"], "PYTHONPATH": "/somewhere", "OWN": "1"},
        directory=folder,
        log=folder / "log",
        on_line=None if heard is None else heard.append,
        forks=server,
    )


def test_a_fork_has_its_libraries_and_what_it_was_given(server: ForkServer, tmp_path: Path) -> None:
    with child(server, tmp_path, "one", "two") as made:
        told = json.loads(made.wait_until_ready())
    assert told["imported"]
    assert told["environment"] == {"PATH": os.environ["PATH"], "PYTHONPATH": "/somewhere", "OWN": "1"}
    assert told["arguments"] == ["one", "two"]
    assert told["directory"] == str(tmp_path)
    assert told["descriptors"] == [0, 1, 2]
    assert told["first"] == [str(tmp_path), "/somewhere"]
    assert told["group"]


def test_a_fork_hears_and_says_lines(server: ForkServer, tmp_path: Path) -> None:
    heard: list[str] = []
    with child(server, tmp_path, heard=heard) as made:
        made.wait_until_ready()
        made.send("hello")
        deadline = time.monotonic() + 10
        while not heard and time.monotonic() < deadline:
            time.sleep(0.01)
    assert heard == ["heard hello"]


@pytest.mark.parametrize(("line", "status"), [("fail", 1), ("exit", 7)])
def test_the_end_of_a_fork_is_known_by_its_status(server: ForkServer, tmp_path: Path, line: str, status: int) -> None:
    with child(server, tmp_path) as made:
        made.wait_until_ready()
        made.send(line)
        assert made.wait(10) == status
        assert not made.alive
    assert ("ValueError: as asked" in (tmp_path / "log").read_text()) == (line == "fail")


def test_a_killed_fork_is_gone_on_return(server: ForkServer, tmp_path: Path) -> None:
    made = child(server, tmp_path)
    made.wait_until_ready()
    made.close()
    assert made.exit_status == -9
    with pytest.raises(ProcessLookupError):
        os.kill(made.pid, 0)


def test_forks_end_with_their_server(tmp_path: Path) -> None:
    server = ForkServer(Path(sys.executable), [])
    made = child(server, tmp_path)
    made.wait_until_ready()
    server.close()
    assert made.wait(10) == -9
    made.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        child(server, tmp_path)


def test_a_fork_runs_modules_only(server: ForkServer, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="it cannot run told"):
        server.start(["told.py"], {}, tmp_path, None)
