"""python -m sandbox simulate: fleet-years in simulated time, printed as they come out."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from sandbox.simulation import against, chart, rates, settings, shape, words
from sandbox.simulation.study import study
from sandbox.simulation.year import STANDFAST, Setting
from standfast.errors import InvalidInputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from sandbox.simulation.rates import Rates
    from standfast.fleet import FleetConfig

WRONG_INPUT = 2


def run_simulation(given: argparse.Namespace) -> int:
    """Run what is asked for. Answers the exit status: 0, 1 where a comparison fails, 2 for a wrong input."""
    try:
        config, values = shape.read_config(given.config), rates.rates(dict(_assumption(each) for each in given.assume))
        if given.against:
            return _against(given.against, config, values, given.seed)
    except InvalidInputError as error:
        print(error, file=sys.stderr)
        return WRONG_INPUT
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return WRONG_INPUT
    base = Setting(STANDFAST, config, values)
    if given.settings:
        return _settings(given, base)
    began = time.monotonic()
    tallies = study(settings.policies(base), given.years, given.seed, given.processes, _say)
    wall = time.monotonic() - began
    print("\n".join(words.report(tallies, rates.sources(values), wall, given.seed)))
    _write(given.json, words.figures(tallies, wall))
    return 0


def _settings(given: argparse.Namespace, base: Setting) -> int:
    tallies = study(settings.variants(base), given.years, given.seed, given.processes, _say)
    print("\n".join(words.settings_table(tallies)))
    found = words.differences(tallies)
    if given.chart:
        given.chart.write_text(chart.chart(found, tallies[settings.DEFAULT].minutes[0]), encoding="utf-8")
    _write(given.json, {name: {"minutes_more": more, "half_interval": half} for name, (more, half) in found.items()})
    return 0


def _against(files: Sequence[Path], config: FleetConfig, values: Rates, seed: int) -> int:
    compared = []
    for file in files:
        document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        print(f"{document['scenario']}: medians in seconds, simulated against the sandbox's")
        for each in against.compare(document, config, values, seed):
            verdict = "within" if each.holds else "NOT WITHIN"
            print(f"  {each.name:30}{each.simulated:8.2f}{each.measured:8.2f}  {verdict} {against.WITHIN:.0%}")
            compared.append(each)
    return 0 if all(each.holds for each in compared) else 1


def _assumption(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise InvalidInputError(f"--assume {text}: give NAME=VALUE, such as --assume beta=0.05") from None


def _write(file: Path | None, document: dict[str, Any]) -> None:
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
