"""No child outlives its parent, however the parent ends, and whatever state the child is in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sandbox.processes import ROOT, Child, ChildError, inherited_environment, living

SLEEPER = "import time; print('ready', flush=True); time.sleep(60)"
ECHO = "import sys; print('ready 7', flush=True); [print('got', line.strip(), flush=True) for line in sys.stdin]"

BUSY = """
import threading
def spin():
    while True:
        pass
for _ in range(4):
    threading.Thread(target=spin, daemon=True).start()
print("ready", flush=True)
spin()
"""

PARENT = """
import os, sys, time
from sandbox.processes import Child, close_children_on_signals
close_children_on_signals()
child = Child("c", (sys.executable, "-c", {sleeper!r}), kernel_lifeline={kernel})
child.wait_until_ready()
child.stop()
print(child.pid, flush=True)
{ending}
"""


def python(source: str) -> tuple[str, str, str]:
    return sys.executable, "-c", source


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")


def gone(pid: int, within_seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        if not exists(pid):
            return True
        time.sleep(0.02)
    return False


def start_parent(ending: str, *, kernel: bool) -> tuple[subprocess.Popen[str], int]:
    source = PARENT.format(sleeper=SLEEPER, kernel=kernel, ending=ending)
    parent = subprocess.Popen(python(source), stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        return parent, int(parent.stdout.readline())


def test_a_child_says_that_it_is_ready_and_answers_lines() -> None:
    lines: list[str] = []
    arrived = threading.Event()

    def take(line: str) -> None:
        lines.append(line)
        arrived.set()

    with Child("echo", python(ECHO), on_line=take) as child:
        assert child.wait_until_ready() == "7"
        child.send("hello")
        assert arrived.wait(5)
    assert lines == ["got hello"]
    assert not child.alive
    assert child not in living()


def test_a_child_that_ends_before_it_is_ready_is_an_error_with_its_log(tmp_path: Path) -> None:
    child = Child("broken", python("raise SystemExit('no model here')"), log=tmp_path / "log")
    with pytest.raises(ChildError, match=r"broken: ended with status 1.*no model here"):
        child.wait_until_ready()
    assert child not in living()


def test_a_child_that_is_never_ready_is_killed() -> None:
    child = Child("slow", python("import time; time.sleep(60)"))
    with pytest.raises(ChildError, match=r"slow: not ready within 0\.1 s"):
        child.wait_until_ready(0.1)
    assert not exists(child.pid)


def test_a_stopped_child_is_closed() -> None:
    child = Child("sleeper", python(SLEEPER))
    child.wait_until_ready()
    child.stop()
    assert child.alive
    child.close()
    child.close()
    assert child.exit_status == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
def test_a_child_has_stopped_when_stop_returns_each_time() -> None:
    with Child("busy", python(BUSY)) as child:
        child.wait_until_ready()
        for _ in range(20):
            child.stop()
            child.stop()
            tasks = Path(f"/proc/{child.pid}/task").glob("*/stat")
            assert {task.read_text().rpartition(")")[2].split()[0] for task in tasks} == {"T"}
            child.resume()
    child.stop()  # nothing to stop any more


def test_a_child_that_ignores_sigterm_is_killed_when_the_grace_is_over() -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    )
    with Child("stubborn", python(stubborn)) as child:
        child.wait_until_ready()
        child.terminate(grace_seconds=0.1)
        assert child.exit_status == -signal.SIGKILL


def test_a_child_started_by_a_thread_outlives_the_thread() -> None:
    children: list[Child] = []
    thread = threading.Thread(target=lambda: children.append(Child("sleeper", python(SLEEPER))))
    thread.start()
    thread.join()
    with children[0] as child:
        child.wait_until_ready()
        with pytest.raises(TimeoutError):
            child.wait(0.2)


@pytest.mark.parametrize(
    "kernel", [pytest.param(True, marks=pytest.mark.skipif(sys.platform != "linux", reason="Linux only")), False]
)
def test_a_stopped_child_dies_when_its_parent_is_killed(kernel: bool) -> None:
    parent, child_pid = start_parent("time.sleep(60)", kernel=kernel)
    parent.kill()
    parent.wait()
    assert gone(child_pid)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)])
def test_a_signal_closes_the_children_before_the_parent_ends(number: int, status: int) -> None:
    parent, child_pid = start_parent("time.sleep(60)", kernel=False)
    parent.send_signal(number)
    assert parent.wait(10) == status
    assert not exists(child_pid)


def test_children_are_closed_when_the_parent_ends_by_itself() -> None:
    parent, child_pid = start_parent("", kernel=False)
    assert parent.wait(10) == 0
    assert not exists(child_pid)


def test_no_credentials_are_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    assert "AWS_SECRET_ACCESS_KEY" not in inherited_environment()
    assert "PATH" in inherited_environment()
