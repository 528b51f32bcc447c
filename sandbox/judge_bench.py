"""False aborts of good releases and missed bad ones, of our judge and of those that are commonly used.

Every judge is shown the same releases, of which `releases.py` says what they are made of. Nothing is booted: the judge
is pure, and is given samples as the functions would give them.
"""

from __future__ import annotations

from dataclasses import asdict
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from rich.progress import Progress
from rich.table import Table
from scipy import stats

from sandbox.judges import BAKE_SECONDS, JUDGES, OURS, STAGES, Fate, Outcome, run_release
from sandbox.releases import GOOD, Effect
from standfast.rollout_rules import RolloutRules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

SEED: Final = 7
GOOD_RELEASES, BAD_RELEASES = 1_000, 200
MOST_FALSE_ABORTS: Final = 0.01
EFFECTS: Final = (
    Effect("errors +1 point", errors=0.01),
    Effect("errors +2 points", errors=0.02),
    Effect("errors +3 points", errors=0.03),
    Effect("errors +5 points", errors=0.05),
    Effect("errors +20 points", errors=0.2),
    Effect("first token 1.25 times", first_token=1.25),
    Effect("first token 1.5 times", first_token=1.5),
    Effect("first token 2 times", first_token=2.0),
    Effect("first token 2 times, long only", first_token=2.0, long_only=True),
    Effect("first token 4 times", first_token=4.0),
    Effect("token to token 1.15 times", between_tokens=1.15),
    Effect("token to token 1.3 times", between_tokens=1.3),
    Effect("token to token 1.6 times", between_tokens=1.6),
    Effect("wrong answers +5 points", wrong=0.05),
    Effect("wrong answers +10 points", wrong=0.1),
    Effect("wrong answers, all", wrong=1.0),
    Effect("stalls +10 points", stalls=0.1),
)


def run_judge(console: Console) -> dict[str, Any]:
    """Simulate, print both tables, and return the figures: shares from 0 to 1, seconds are medians."""
    rules = RolloutRules()
    cases = [(GOOD, GOOD_RELEASES), *((effect, BAD_RELEASES) for effect in EFFECTS)]
    found: dict[str, list[dict[str, Outcome]]] = {}
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("releases", total=sum(count for _, count in cases))
        for effect, count in cases:
            progress.update(task, description=effect.name)
            found[effect.name] = []
            for number in range(count):
                found[effect.name].append(run_release(effect, rules, number, SEED))
                progress.advance(task)
    good = {name: _good(found[GOOD.name], name) for name in JUDGES}
    bad = {
        effect.name: {
            "effect": {key: value for key, value in asdict(effect).items() if key != "name"},
            **{name: _bad(found[effect.name], name) for name in JUDGES},
        }
        for effect in EFFECTS
    }
    console.print(_good_table(good))
    console.print(_bad_table(bad))
    aborted = good[OURS]["false_aborts"]
    console.print(
        f"seed {SEED}; {STAGES} stages of {BAKE_SECONDS:g} s at the least; false aborts of {OURS}: "
        f"{aborted:.1%}, at most {MOST_FALSE_ABORTS:.0%} wanted"
    )
    return {
        "seed": SEED,
        "stages": STAGES,
        "bake_seconds": BAKE_SECONDS,
        "rules": rules.model_dump(mode="json"),
        "good": good,
        "bad": bad,
        "passed": aborted <= MOST_FALSE_ABORTS,
    }


def _good(outcomes: Sequence[dict[str, Outcome]], judge: str) -> dict[str, float]:
    ended = [each[judge] for each in outcomes]
    aborted = sum(outcome.fate is Fate.ABORTED for outcome in ended)
    interval = stats.binomtest(aborted, len(ended)).proportion_ci(method="exact")
    return {
        "releases": len(ended),
        "false_aborts": aborted / len(ended),
        "false_aborts_low": float(interval.low),
        "false_aborts_high": float(interval.high),
        "asked": sum(outcome.fate is Fate.ASKED for outcome in ended) / len(ended),
        "seconds": median(outcome.seconds for outcome in ended),
    }


def _bad(outcomes: Sequence[dict[str, Outcome]], judge: str) -> dict[str, float | None]:
    ended = [each[judge] for each in outcomes]
    stopped = [outcome.seconds for outcome in ended if outcome.fate is not Fate.PROMOTED]
    return {
        "releases": len(ended),
        "missed": sum(outcome.fate is Fate.PROMOTED for outcome in ended) / len(ended),
        "asked": sum(outcome.fate is Fate.ASKED for outcome in ended) / len(ended),
        "at_first_stage": sum(outcome.fate is not Fate.PROMOTED and outcome.stage == 1 for outcome in ended)
        / len(ended),
        "seconds_to_stop": median(stopped) if stopped else None,
    }


def _good_table(good: dict[str, dict[str, float]]) -> Table:
    table = Table(title=f"{GOOD_RELEASES:,} good releases")
    for heading in ("judge", "aborted", "95 % interval", "a person asked", "seconds, median"):
        table.add_column(heading, justify="left" if heading == "judge" else "right")
    for name, row in good.items():
        interval = f"{row['false_aborts_low']:.1%} to {row['false_aborts_high']:.1%}"
        aborted, asked = f"{row['false_aborts']:.1%}", f"{row['asked']:.1%}"
        table.add_row(name, aborted, interval, asked, f"{row['seconds']:.0f}")
    return table


def _bad_table(bad: dict[str, dict[str, Any]]) -> Table:
    said = (
        f"{BAD_RELEASES} releases of each kind: missed (promoted through all stages) by each judge; then, of {OURS}'s,"
    )
    table = Table(title=f"{said} where a person was asked, what was stopped at stage 1, and after how many seconds")
    table.add_column("what is worse", no_wrap=True)
    for heading in (*JUDGES, "asked", "stage 1", "seconds"):
        table.add_column(heading, justify="right")
    for kind, row in bad.items():
        ours = row[OURS]
        seconds = "" if ours["seconds_to_stop"] is None else f"{ours['seconds_to_stop']:.0f}"
        missed = [f"{row[name]['missed']:.1%}" for name in JUDGES]
        table.add_row(kind, *missed, f"{ours['asked']:.1%}", f"{ours['at_first_stage']:.1%}", seconds)
    return table
