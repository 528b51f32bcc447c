"""What a person sees while a scenario runs: a live view in a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from standfast.errors import StandfastError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from sandbox.fleet.load import Load
    from sandbox.fleet.nodes import Nodes
    from sandbox.region import SandboxRegion
    from standfast.ports import View as StateView

REFRESHES_PER_SECOND = 4
LINES = 12
RATE_SECONDS = 2.0
_COLOURS = {
    "healthy": "green",
    "degraded": "yellow",
    "unhealthy": "red",
    "unknown": "magenta",
    "active": "bold green",
    "standby": "cyan",
    "draining": "yellow",
    "quarantined": "red",
}


class Story(Protocol):
    """Where a run's progress is told."""

    def say(self, text: str) -> None:
        """One line of progress."""
        ...

    def heard(self, region: str, function: str, line: str) -> None:
        """One line of a function's log."""
        ...

    def watch(self, region: SandboxRegion, load: Load) -> None:
        """From now on there is something to look at."""
        ...

    def close(self) -> None:
        """The end."""
        ...


def story() -> Story:
    """A live view where there is a terminal, plain lines where there is none."""
    return LiveStory() if sys.stdout.isatty() else PlainStory()


def decision_in(line: str) -> str | None:
    """The sentence in a function's log line, when Standfast itself said it; None for anything else."""
    try:
        entry = json.loads(line)
        logger, message = str(entry.get("logger", "")), str(entry.get("message", ""))
    except (ValueError, AttributeError):
        return None
    return message if logger.startswith("standfast") else None


class PlainStory:
    """A line each, with the seconds since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Print it."""
        with self._lock:
            print(f"{time.monotonic() - self._began:7.1f} s  {text}", flush=True)

    def heard(self, region: str, function: str, line: str) -> None:
        """Print what Standfast decided."""
        if sentence := decision_in(line):
            self.say(f"  {region} {function}: {sentence}")

    def watch(self, region: SandboxRegion, load: Load) -> None:
        """Plain lines tell what happens, not how it looks."""

    def close(self) -> None:
        """Nothing is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class LiveStory:
    """Clusters, weights, verdicts, request rate and the last decisions, redrawn four times a second."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lines: deque[str] = deque(maxlen=LINES)
        self._region: SandboxRegion | None = None
        self._load: Load | None = None
        self._state: StateView | None = None
        self._ended = threading.Event()
        self._live = Live(self._draw(), refresh_per_second=REFRESHES_PER_SECOND, console=Console(), transient=True)
        self._live.start()
        self._thread = threading.Thread(target=self._refresh, name="live view", daemon=True)
        self._thread.start()

    def say(self, text: str) -> None:
        """Add it to the last lines, and keep it above the view."""
        self._lines.append(f"{time.monotonic() - self._began:6.1f} s  {text}")

    def heard(self, region: str, function: str, line: str) -> None:
        """Add what Standfast decided."""
        if sentence := decision_in(line):
            self.say(f"{region} {function}: {sentence}")

    def watch(self, region: SandboxRegion, load: Load) -> None:
        """Show this Region from now on."""
        self._region, self._load = region, load

    def close(self) -> None:
        """Take the view away."""
        self._ended.set()
        self._thread.join(timeout=2)
        self._live.stop()

    def _refresh(self) -> None:
        while not self._ended.wait(1 / REFRESHES_PER_SECOND):
            if self._region is not None:
                try:
                    self._state = self._region.view()
                except StandfastError:
                    self._state = None
            self._live.update(self._draw())

    def _draw(self) -> RenderableType:
        parts: list[RenderableType] = []
        if self._region is not None and self._state is not None:
            parts += [_clusters(self._state, self._region, self._region.nodes), _traffic(self._load)]
        parts.append(Panel(Text("\n".join(self._lines)), title="what happens", border_style="dim"))
        return Group(*parts)


def _clusters(state: StateView, region: SandboxRegion, nodes: Nodes) -> Table:
    table = Table(title=f"{state.scope.scope_id}   switch: {state.switch.automation}   token {state.scope.lease.token}")
    for heading in ("cluster", "role", "wanted", "at the entry", "processes", "verdict", "because"):
        table.add_column(heading)
    at_entry = region.rule_changes[-1].weights if region.rule_changes else {}
    for cluster_id, role in sorted(state.scope.desired.roles.items()):
        assessment = state.assessments.get(cluster_id)
        verdict = str(assessment.verdict) if assessment else "unknown"
        alive = sum(node.replica.alive for node in nodes.nodes(cluster_id))
        table.add_row(
            cluster_id,
            Text(str(role), style=_COLOURS[str(role)]),
            str(state.scope.desired.weights.get(cluster_id, 0)),
            str(at_entry.get(cluster_id, 0)),
            f"{alive} alive",
            Text(verdict, style=_COLOURS[verdict]),
            assessment.reason if assessment else "",
        )
    return table


def _traffic(load: Load | None) -> Text:
    if load is None:
        return Text("no load yet")
    records = load.records()
    since = time.time() - RATE_SECONDS
    recent = [record for record in records[-500:] if record.ended_at >= since]
    failed = sum(not record.ok for record in recent)
    style = "red" if failed else "green"
    rate = f"{len(recent) / RATE_SECONDS:5.1f} requests/s, {failed / RATE_SECONDS:5.1f} failing/s"
    return Text(f"{rate}   {len(records)} in all, {sum(not record.ok for record in records)} failed", style=style)


ORIGINAL = {"recovery_seconds": "8 s (< 10 s)"}
_ROWS = (
    ("recovery_seconds", "first failed to last client served"),
    ("detection_seconds", "fault to decision"),
    ("decision_to_traffic_seconds", "decision to weights written"),
    ("own_seconds", "recovery less AWS's latencies"),
    ("failed_requests", "requests failed"),
    ("requests", "requests seen"),
    ("failed_after_recovery", "failed in the 10 s after"),
    ("zero_weight_moments", "moments without any weight"),
)


def figures_table(names: Sequence[str], figures: Sequence[dict[str, object]]) -> Table:
    """The figures of some scenarios beside what the original design published."""
    table = Table(title="figures (seconds, unless counts)")
    table.add_column("figure")
    for name in names:
        table.add_column(name, justify="right")
    table.add_column("original design", justify="right")
    for key, meaning in _ROWS:
        cells = [_cell(found.get(key)) for found in figures]
        table.add_row(f"{key}\n[dim]{meaning}[/dim]", *cells, ORIGINAL.get(key, "-"))
    return table


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return f"{_cell(value['median'])} median\n{_cell(value['worst'])} worst"
    if isinstance(value, float):
        return f"{value:.2f}" if value != int(value) else str(int(value))
    return "-" if value is None else str(value)
