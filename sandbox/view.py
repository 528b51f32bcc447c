"""What a person sees while a scenario runs: a live view in a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import sys
import textwrap
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sandbox.plan import FLEET
from standfast.errors import StandfastError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import RenderableType

    from sandbox.fleet.load import Load
    from sandbox.region import SandboxRegion
    from sandbox.world import Sandbox
    from standfast.brake import Switch
    from standfast.stores import Sight, View

REFRESHES_PER_SECOND = 2
LINES = 8  # with two Regions the whole view has 23 lines
RATE_SECONDS = 2.0
_PREFIX = f"{FLEET}-"
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

    def watch(self, sandbox: Sandbox) -> None:
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
            self.say(f"  {region} {function.removeprefix(_PREFIX)}: {sentence}")

    def watch(self, sandbox: Sandbox) -> None:
        """Plain lines tell what happens, not how it looks."""

    def close(self) -> None:
        """Nothing is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Seen:
    """What is drawn: all that was read at one moment."""

    sandbox: Sandbox
    states: Mapping[str, View]
    switch: Switch
    sights: Sequence[Sight]


class LiveStory:
    """Each Region's clusters, weights, verdicts and requests, what the watcher sees, and the last decisions."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lines: deque[str] = deque(maxlen=LINES)
        self._sandbox: Sandbox | None = None
        self._seen: Seen | None = None
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
            self.say(f"{region} {function.removeprefix(_PREFIX)}: {sentence}")

    def watch(self, sandbox: Sandbox) -> None:
        """Show this sandbox from now on."""
        self._sandbox = sandbox

    def close(self) -> None:
        """Take the view away."""
        self._ended.set()
        self._thread.join(timeout=2)
        self._live.stop()

    def _refresh(self) -> None:
        while not self._ended.wait(1 / REFRESHES_PER_SECOND):
            if self._sandbox is not None:
                try:
                    self._seen = _look(self._sandbox)
                except StandfastError:
                    self._seen = None
            self._live.update(self._draw())

    def _draw(self) -> RenderableType:
        return drawing(self._seen, self._lines)


def drawing(seen: Seen | None, lines: Iterable[str]) -> RenderableType:
    """All that is shown: the Regions, as far as anything is known of them, and the last lines."""
    parts: list[RenderableType] = []
    if seen is not None:
        for name, region in seen.sandbox.regions.items():
            parts += [_clusters(seen.states[name], region), _traffic(region.load)]
        parts.append(_fleet(seen))
    told = Text("\n".join(lines), no_wrap=True, overflow="ellipsis")
    return Group(*parts, Panel(told, title="what happens", border_style="dim"))


def _look(sandbox: Sandbox) -> Seen:
    states = {name: region.view() for name, region in sandbox.regions.items()}
    return Seen(sandbox, states, sandbox.switch(), sandbox.sights())


def _clusters(state: View, region: SandboxRegion) -> Table:
    title = f"{region.name}   token {state.scope.lease.token}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, expand=True)
    for heading in ("cluster", "role", "wanted", "at entry", "running", "verdict"):
        table.add_column(heading)
    table.add_column("because", ratio=1, no_wrap=True, overflow="ellipsis")  # what is left of the width
    at_entry = region.rule_changes[-1].weights if region.rule_changes else {}
    for cluster_id, role in sorted(state.scope.desired.roles.items()):
        assessment = state.assessments.get(cluster_id)
        verdict = str(assessment.verdict) if assessment else "unknown"
        alive = sum(node.replica.alive for node in region.nodes.nodes(cluster_id))
        table.add_row(
            cluster_id,
            Text(str(role), style=_COLOURS[str(role)]),
            str(state.scope.desired.weights.get(cluster_id, 0)),
            str(at_entry.get(cluster_id, 0)),
            str(alive),
            Text(verdict, style=_COLOURS[verdict]),
            assessment.reason if assessment else "",
        )
    return table


def _fleet(seen: Seen) -> Text:
    """The switch, and how the Regions look from the one that only watches."""
    text = Text(f"switch: {seen.switch.automation}")
    if seen.sandbox.watcher is None:
        return text
    text.append(f"   from {seen.sandbox.watcher.name}:")
    for name in seen.sandbox.regions:
        sight = next((sight for sight in seen.sights if sight.region == name), None)
        verdict = str(sight.verdict) if sight else "unknown"
        text.append(f" {name} ").append(verdict, style=_COLOURS[verdict])
    return text


def _traffic(load: Load | None) -> Text:
    if load is None:
        return Text("no load yet")
    records = load.records()
    since = time.time() - RATE_SECONDS
    recent = [record for record in records[-500:] if record.ended_at >= since]
    failed = sum(record.failed for record in recent)
    style = "red" if failed else "green"
    rate = f"{len(recent) / RATE_SECONDS:5.1f} requests/s, {failed / RATE_SECONDS:5.1f} failing/s"
    shed = sum(record.shed for record in records)
    told = f", {shed} told to come back" if shed else ""
    return Text(f"{rate}   {len(records)} in all, {sum(record.failed for record in records)} failed{told}", style=style)


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


REASON_CHARACTERS = 110  # the whole reasons are in the JSON


def faults_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The rows of `sandbox.fault_table`: each fault, what plain /health sees of it, and what Standfast does."""
    table = Table(title="faults, one by one", show_lines=True)
    for heading in ("fault", "plain\n/health sees", "we see", "action"):
        table.add_column(heading)
    table.add_column("seconds to\nverdict", justify="right")
    for row in rows:
        found, action, wanted = row["seconds"] is not None, str(row["action"]), str(row["wanted_action"])
        reason = textwrap.shorten(str(row["reason"]), REASON_CHARACTERS, placeholder="…")
        verdict = Text(str(row["verdict"]), style=_COLOURS.get(str(row["verdict"]), ""))
        right = not found or action == wanted
        calls_for = Text(action or "-") if right else Text(f"{action or '-'}, not {wanted or '-'}", style="red")
        sees = verdict.append(f": {reason}", style="default") if reason else verdict
        seconds = Text(f"{row['seconds']:.1f}") if found else Text("not found", style="red")
        table.add_row(Text(str(row["fault"])), Text(str(row["plain_health"])), sees, calls_for, seconds)
    return table


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return f"{_cell(value['median'])} median\n{_cell(value['worst'])} worst"
    if isinstance(value, float):
        return f"{value:.2f}" if value != int(value) else str(int(value))
    return "-" if value is None else str(value)
