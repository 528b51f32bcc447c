"""python -m sandbox: run Standfast, whole, on this machine."""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.scenarios import Report
    from sandbox.view import Story

CLIENTS = 8
REQUESTS_PER_SECOND = 24.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with the exit status: 0 when it passed, 1 when it did not, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the scenarios, a line each")
    commands.add_parser("schema", help="the JSON Schema of FleetConfig")
    bench = commands.add_parser("bench", help="cold starts and a watch pass, measured")
    bench.add_argument("--json", type=Path, metavar="FILE")
    run = commands.add_parser("run", help="run a scenario")
    run.add_argument("scenario")
    run.add_argument("--runs", type=_positive, default=1, metavar="N", help="how often (default 1)")
    run.add_argument("--seed", type=int, default=0, metavar="N", help="arrivals, prompts, choice of the fault's moment")
    run.add_argument("--json", type=Path, metavar="FILE", help="write the report here")
    run.add_argument("--baseline", action="store_true", help="the same fault with Standfast off, 60 s at most")
    run.add_argument("--cold", action="store_true", help="end the failover's functions before each fault")
    run.add_argument("--keep", type=Path, metavar="FOLDER", help="keep all logs in this folder")
    given = parser.parse_args(arguments)
    try:
        return _COMMANDS[given.command](given)
    except KeyboardInterrupt:
        print("stopped; nothing is left running", file=sys.stderr)
        return 130


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("give a number from 1 on")
    return value


def _list(_: argparse.Namespace) -> int:
    from sandbox.scenarios import TITLES

    for name, title in TITLES.items():
        print(f"{name:18} {title}")
    return 0


def _schema(_: argparse.Namespace) -> int:
    from standfast.fleet import FleetConfig

    print(json.dumps(FleetConfig.model_json_schema(), indent=2))
    return 0


def _bench(given: argparse.Namespace) -> int:
    from sandbox.bench import run_bench

    document = run_bench(Console())
    if given.json:
        given.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0


def _run(given: argparse.Namespace) -> int:
    from sandbox.scenarios import TITLES, TOUR

    if given.scenario not in TITLES:
        print(f"no scenario is called {given.scenario!r}; there are {', '.join(TITLES)}", file=sys.stderr)
        return 2
    if given.baseline and given.scenario != "cluster-failover":
        print("--baseline measures cluster-failover; run it as `run cluster-failover --baseline`", file=sys.stderr)
        return 2
    logging.getLogger("moto").setLevel(logging.ERROR)
    with ExitStack() as stack:
        folder = given.keep or Path(tempfile.mkdtemp(prefix="standfast-"))
        if not given.keep:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        reports = _reports(given, folder, tour=given.scenario == TOUR)
    _print(reports)
    document = reports[0].document() if len(reports) == 1 else _tour_document(reports)
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0 if document["passed"] else 1


def _reports(given: argparse.Namespace, folder: Path, *, tour: bool) -> list[Report]:
    from sandbox import processes
    from sandbox.fleet.load import Load, Plan
    from sandbox.region import SandboxRegion
    from sandbox.scenarios import SCENARIOS, run_baseline, run_scenario
    from sandbox.view import story

    processes.close_children_on_signals()
    with ExitStack() as stack:
        told: Story = story()
        stack.callback(told.close)
        region = stack.enter_context(SandboxRegion(folder, seed=given.seed, say=told.say, on_log=told.heard))
        region.start()
        plan = Plan(clients=CLIENTS, rate_per_second=REQUESTS_PER_SECOND, seed=given.seed, model=region.model.version)
        load = stack.enter_context(Load(plan))
        load.start(region.door.url)
        told.watch(region, load)
        if given.baseline:
            return [run_baseline(region, load, say=told.say)]
        reports: list[Report] = []
        for name in SCENARIOS if tour else [given.scenario]:
            if reports:
                told.say("mending what was broken, and moving the traffic back")
                region.restore()
            told.say(SCENARIOS[name].title)
            reports.append(
                run_scenario(
                    SCENARIOS[name], region, load, runs=given.runs, seed=given.seed, cold=given.cold, say=told.say
                )
            )
        return reports


def _print(reports: Sequence[Report]) -> None:
    from sandbox.view import figures_table

    console = Console(width=None if sys.stdout.isatty() else 110)
    for report in reports:
        console.print(
            f"\n[bold]{report.scenario}[/bold]: what happened in the slowest run"
            if report.runs > 1
            else f"\n[bold]{report.scenario}[/bold]: what happened"
        )
        for moment in report.timeline:
            console.print(f"  {moment.at:8.2f} s  {moment.event:22} {moment.detail}", highlight=False)
    plain = [report for report in reports if "recovery_seconds" in report.figures]
    if plain:
        console.print(figures_table([report.scenario for report in plain], [dict(report.figures) for report in plain]))
    for report in reports:
        if report not in plain:
            console.print_json(json.dumps(dict(report.figures)))
        verdict = "[green]passed[/green]" if report.passed else "[red]did not pass[/red]"
        console.print(f"{report.scenario}: {verdict}")
        for fault in report.faults:
            console.print(f"  - {fault}", highlight=False)


def _tour_document(reports: Sequence[Report]) -> dict[str, object]:
    return {
        "scenario": "tour",
        "passed": all(report.passed for report in reports),
        "runs": reports[0].runs,
        "figures": {report.scenario: dict(report.figures) for report in reports},
        "timeline": [moment for report in reports for moment in report.document()["timeline"]],
    }


_COMMANDS = {"list": _list, "schema": _schema, "bench": _bench, "run": _run}

if __name__ == "__main__":
    sys.exit(main())
