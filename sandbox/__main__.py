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

from sandbox.plan import REGIONS, SandboxError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.scenario import Report
    from sandbox.view import Story


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with the exit status: 0 when it passed, 1 when it did not, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the scenarios, a line each")
    commands.add_parser("schema", help="the JSON Schema of FleetConfig")
    availability = commands.add_parser("availability", help="what availability to expect of a fleet, and from what")
    availability.add_argument(
        "--input", type=Path, metavar="FILE", help="the fleet, as calculate-availability takes it"
    )
    availability.add_argument(
        "--assume", action="append", default=[], metavar="NAME=VALUE", help="an assumption of your own; may be repeated"
    )
    availability.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    simulate = commands.add_parser("simulate", help="fleet-years in simulated time, on faults at published rates")
    simulate.add_argument("--config", type=Path, metavar="FILE", help="your FleetConfig (default: the example's)")
    simulate.add_argument("--years", type=_positive, default=2000, metavar="N", help="fleet-years (default 2000)")
    simulate.add_argument("--seed", type=int, default=0, metavar="N", help="of all chance")
    simulate.add_argument("--processes", type=_positive, metavar="N", help="how many at once (default: one a core)")
    simulate.add_argument(
        "--assume", action="append", default=[], metavar="NAME=VALUE", help="an assumption of your own; may be repeated"
    )
    simulate.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    simulate.add_argument("--settings", action="store_true", help="instead: what one thing otherwise would change")
    simulate.add_argument("--chart", type=Path, metavar="FILE", help="with --settings: write its chart (SVG) here")
    simulate.add_argument(
        "--against", type=Path, action="append", metavar="FILE", help="instead: compare with a scenario's JSON"
    )
    bench = commands.add_parser("bench", help="cold starts and a watch pass, measured")
    bench.add_argument("--json", type=Path, metavar="FILE")
    bench.add_argument("--scale", action="store_true", help="one assessment of 10, 100 and 1,000 replicas instead")
    bench.add_argument(
        "--objects", type=_positive, metavar="N", help="a model of N objects to two more Regions instead"
    )
    bench.add_argument("--judge", action="store_true", help="the judge of releases, on simulated ones, instead")
    bench.add_argument(
        "--partitions",
        type=_positive,
        metavar="N",
        help="the decision core of Regions under N random partitions instead",
    )
    journal = commands.add_parser("journal-cost", help="what journalling a million requests costs, from list prices")
    journal.add_argument("--prompt-bytes", type=_positive, default=4000, metavar="N", help="(default 4000)")
    journal.add_argument("--tokens", type=_positive, default=500, metavar="N", help="of an answer (default 500)")
    journal.add_argument("--seconds", type=_positive, default=10, metavar="N", help="of an answer (default 10)")
    journal.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    run = commands.add_parser("run", help="run a scenario")
    run.add_argument("scenario")
    run.add_argument("--region", choices=REGIONS, help=f"where it happens (default {REGIONS[0]}); the tour has its own")
    run.add_argument("--runs", type=_positive, default=1, metavar="N", help="how often (default 1)")
    run.add_argument("--seed", type=int, default=0, metavar="N", help="arrivals, prompts, choice of the fault's moment")
    run.add_argument("--json", type=Path, metavar="FILE", help="write the report here")
    run.add_argument("--baseline", action="store_true", help="the same fault with Standfast off, 60 s at most")
    run.add_argument("--cold", action="store_true", help="end the failover's functions before each fault")
    run.add_argument("--keep", type=Path, metavar="FOLDER", help="keep all logs in this folder")
    run.add_argument("--built", type=Path, metavar="FOLDER", help="run on the layers that `sam build` built there")
    given = parser.parse_args(arguments)
    try:
        return _COMMANDS[given.command](given)
    except KeyboardInterrupt:
        print("stopped; nothing is left running", file=sys.stderr)
        return 130
    except SandboxError as error:
        print(f"the sandbox gave up: {error}", file=sys.stderr)
        return 1


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


def _availability(given: argparse.Namespace) -> int:
    from sandbox.expected import run_availability

    return run_availability(given.input, given.assume, given.json)


def _simulate(given: argparse.Namespace) -> int:
    from sandbox.simulate import run_simulation

    return run_simulation(given)


def _bench(given: argparse.Namespace) -> int:
    from sandbox.bench import run_bench
    from sandbox.scale import run_scale

    if given.objects:
        from sandbox.replication_cost import run_replication

        logging.getLogger("moto").setLevel(logging.ERROR)
        document = run_replication(Console(), given.objects)
    elif given.judge:
        from sandbox.judge_bench import run_judge

        document = run_judge(Console(width=None if sys.stdout.isatty() else 150))
    elif given.partitions:
        from sandbox.region_partitions import run_partitions

        document = run_partitions(Console(), given.partitions)
    else:
        document = run_scale(Console()) if given.scale else run_bench(Console())
    if given.json:
        given.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0 if document.get("passed", True) else 1


def _journal_cost(given: argparse.Namespace) -> int:
    from sandbox.journal_cost import Usual, run_cost

    found = run_cost(Console(), Usual(given.prompt_bytes, given.tokens, float(given.seconds)))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


def _run(given: argparse.Namespace) -> int:
    from sandbox.scenarios import SCENARIOS, TITLES

    if given.scenario not in TITLES:
        print(f"no scenario is called {given.scenario!r}; there are {', '.join(TITLES)}", file=sys.stderr)
        return 2
    measured = [name for name, scenario in SCENARIOS.items() if scenario.baseline]
    if given.baseline and given.scenario not in measured:
        print(f"--baseline measures {', '.join(measured)}; run it as `run {measured[0]} --baseline`", file=sys.stderr)
        return 2
    logging.getLogger("moto").setLevel(logging.ERROR)
    with ExitStack() as stack:
        folder = given.keep or Path(tempfile.mkdtemp(prefix="standfast-"))
        if not given.keep:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        reports = _reports(given, folder)
    _print(reports)
    document = reports[0].document() if len(reports) == 1 else _tour_document(reports)
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0 if document["passed"] else 1


def _reports(given: argparse.Namespace, folder: Path) -> list[Report]:
    from sandbox import processes
    from sandbox.scenario import Stage
    from sandbox.scenarios import SCENARIOS, TOUR, TOUR_STOPS
    from sandbox.view import story
    from sandbox.world import Sandbox

    processes.close_children_on_signals()
    asked = given.region or REGIONS[0]
    stops = TOUR_STOPS if given.scenario == TOUR else ((SCENARIOS[given.scenario], asked),)
    with ExitStack() as stack:
        told: Story = story()
        stack.callback(told.close)
        sandbox = stack.enter_context(
            Sandbox(
                folder,
                regions=(asked,) if stops[0][0].alone else REGIONS,
                seed=given.seed,
                built=given.built,
                cold=given.cold,
                slots=stops[0][0].slots,
                say=told.say,
                on_log=told.heard,
            )
        )
        sandbox.start()
        sandbox.start_load()
        told.watch(sandbox)
        reports: list[Report] = []
        for scenario, region in stops:
            told.say(f"{region}: {scenario.title}")
            stage = Stage(sandbox, region, told.say, runs=given.runs, seed=given.seed, cold=given.cold)
            act = scenario.baseline if given.baseline and scenario.baseline else scenario.run
            reports.append(act(stage))
        return reports


def _print(reports: Sequence[Report]) -> None:
    from sandbox.view import faults_table, figures_table

    console = Console(width=None if sys.stdout.isatty() else 110)
    for report in reports:
        console.print(
            f"\n[bold]{report.scenario}[/bold] in {report.region}: what happened"
            + (" in the slowest run" if report.runs > 1 else "")
        )
        for moment in report.timeline:
            console.print(f"  {moment.at:8.2f} s  {moment.event:22} {moment.detail}", highlight=False)
    plain = [report for report in reports if "own_seconds" in report.figures]
    if plain:
        console.print(
            figures_table(
                [f"{report.scenario}\n{report.region}" for report in plain], [dict(report.figures) for report in plain]
            )
        )
    for report in reports:
        figures = dict(report.figures)
        if table := figures.pop("table", None):
            console.print(faults_table(table))
        if report not in plain:
            console.print_json(json.dumps(figures))
        verdict = "[green]passed[/green]" if report.passed else "[red]did not pass[/red]"
        console.print(f"{report.scenario} in {report.region}: {verdict}")
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


_COMMANDS = {
    "list": _list,
    "schema": _schema,
    "availability": _availability,
    "simulate": _simulate,
    "bench": _bench,
    "journal-cost": _journal_cost,
    "run": _run,
}

if __name__ == "__main__":
    sys.exit(main())
