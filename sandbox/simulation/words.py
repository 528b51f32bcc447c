"""The report of a study: lines for people, and its figures as JSON."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any, Final

from sandbox.simulation.front import FALSE_MOVE
from sandbox.simulation.peers import PEERS
from sandbox.simulation.referee import FALSE, LATE, LATE_SECONDS, MISSED, RIGHT, USELESS
from sandbox.simulation.region_moves import CALLED, EVACUATED, RETURNED
from sandbox.simulation.script import YEAR
from sandbox.simulation.settings import DEFAULT
from sandbox.simulation.year import STANDFAST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.simulation.study import Tally
    from standfast.fault_rates import Rate

GOAL: Final = 0.99995
FALSE_GOAL: Final = 1.0
_MINUTES: Final = YEAR / 60
_TITLES: Final = {STANDFAST: "Standfast"} | PEERS
LEFT_OUT: Final = (
    "the loss of quality that answers, the load of a day (it is constant), streams under way, shedding, planned events",
    "of releases: the nodes that one takes, what a watch sees of a canary, a failover meanwhile; slow is no loss",
    "a watcher's own failures: the Region that only watches is always there",
    "the alarms as a second way in: without the watch nothing is started until the next run of it begins",
)


def figures(tallies: Mapping[str, Tally], wall_seconds: float) -> dict[str, Any]:
    """The keys that are tracked, then everything else."""
    ours = tallies[STANDFAST]
    minutes, half = ours.minutes
    return {
        "availability": 1 - minutes / _MINUTES,
        "availability_low": 1 - (minutes + half) / _MINUTES,
        "availability_high": 1 - (minutes - half) / _MINUTES,
        "fleet_years": len(ours.outcomes),
        "false_failovers_per_year": ours.counted(FALSE),
        "missed_per_year": ours.counted(MISSED),
        "wall_seconds": round(wall_seconds, 1),
        "minutes_per_year_by_cause": ours.minutes_by_cause(),
        "policies": {name: policy_figures(tally) for name, tally in tallies.items()},
    }


def policy_figures(tally: Tally) -> dict[str, float]:
    """One row of the table."""
    minutes, half = tally.minutes
    counted = {name: tally.counted(name) for name in (RIGHT, LATE, MISSED, FALSE, USELESS, FALSE_MOVE)}
    return {"minutes_per_year": minutes, "half_interval": half, "availability": 1 - minutes / _MINUTES, **counted}


def report(tallies: Mapping[str, Tally], rows: Sequence[Rate], wall_seconds: float, seed: int) -> list[str]:
    """The report in lines."""
    ours = tallies[STANDFAST]
    found = figures(tallies, wall_seconds)
    years = found["fleet_years"]
    lines = [
        f"{years:,} fleet-years, seed {seed}, in {wall_seconds:.0f} s",
        "",
        f"availability {_percent(found['availability'])} (95 % interval {_percent(found['availability_low'])} to "
        f"{_percent(found['availability_high'])}); wanted {_percent(GOAL)}: "
        + _verdict(found["availability_low"] >= GOAL, found["availability_high"] < GOAL),
        f"false failovers {found['false_failovers_per_year']:.2f} a fleet-year; wanted fewer than {FALSE_GOAL:g}: "
        + ("met" if found["false_failovers_per_year"] < FALSE_GOAL else "MISSED"),
        f"missed {found['missed_per_year']:.2f} a fleet-year",
        "",
        "Standfast: minutes of the whole service a year, by cause",
    ]
    lines += [f"  {minutes:8.2f}  {cause}" for cause, minutes in found["minutes_per_year_by_cause"].items()]
    whole = ours.mean(lambda each: each.down / 60)[0]
    lines += [f"  {ours.minutes[0]:8.2f}  in all, of which {whole:.2f} with no user served anywhere", ""]
    lines += _failovers(ours)
    lines += ["", "Every policy, on the same faults", ""]
    lines += [
        f"{'':40}{'available':>11}{'min/year':>16}{'right':>7}{'late':>7}{'missed':>8}{'false':>7}{'useless':>9}",
    ]
    lines += [_row(_TITLES[name], tally) for name, tally in tallies.items()]
    lines += [
        "",
        f"right: at most {LATE_SECONDS:g} s after another cluster could help; late: after that, or when it was over;",
        "missed: it could have helped for longer and nothing moved; false: from a cluster that served; useless: to one",
        f"that did not. A Region that served was left {ours.counted(FALSE_MOVE):.2f} times a year.",
        "",
        "Left out",
        *(f"- {each}" if not each.startswith(" ") else each for each in LEFT_OUT),
        "",
        "What is taken for granted",
    ]
    lines += [
        f"- {row.name} = {row.value:g} {row.unit}: {row.about}. {row.basis.capitalize()}: {row.source}." for row in rows
    ]
    return lines


def settings_table(tallies: Mapping[str, Tally]) -> list[str]:
    """What each setting costs or saves against the default, year by year on the same faults."""
    base = tallies[DEFAULT]
    lines = [
        f"What one thing otherwise would change, {len(base.outcomes):,} fleet-years of each, on the same faults",
        "",
        f"{'':42}{'min/year':>10}{'against the default':>24}{'false':>8}{'missed':>8}",
    ]
    for name, (more, half) in differences(tallies).items():
        tally = tallies[name]
        lines.append(
            f"{name:42}{tally.minutes[0]:10.1f}{more:+15.1f} ± {half:6.1f}"
            f"{tally.counted(FALSE):8.2f}{tally.counted(MISSED):8.2f}"
        )
    return lines


def differences(tallies: Mapping[str, Tally]) -> dict[str, tuple[float, float]]:
    """Setting -> minutes a year more than the default, and half of the 95 % interval of that."""
    base = tallies[DEFAULT]
    return {name: tally.minus(base, lambda each: each.lost_seconds / 60) for name, tally in tallies.items()}


def _failovers(ours: Tally) -> list[str]:
    seconds = sorted(each for _, found in ours.outcomes.values() for each in found.move_seconds)
    names = ("failovers begun", "failovers given up", "recoveries", "recoveries given up", "pages")
    lines = ["Standfast: a fleet-year", "  " + ", ".join(f"{name} {ours.counted(name):.1f}" for name in names)]
    lines.append("  " + ", ".join(f"{name} {ours.counted(name):.2f}" for name in (EVACUATED, RETURNED, CALLED)))
    if seconds:
        worst = seconds[int(0.99 * (len(seconds) - 1))]
        lines.append(
            f"  from the death of a cluster to its traffic elsewhere, when right: median {median(seconds):.2f} s, "
            f"99th percentile {worst:.2f} s, of {len(seconds):,}"
        )
    return lines


def _row(title: str, tally: Tally) -> str:
    found = policy_figures(tally)
    return (
        f"{title:40}{_percent(found['availability']):>11}"
        f"{found['minutes_per_year']:9.1f} ± {found['half_interval']:4.1f}"
        f"{found[RIGHT]:7.2f}{found[LATE]:7.2f}{found[MISSED]:8.2f}{found[FALSE]:7.2f}{found[USELESS]:9.2f}"
    )


def _verdict(met: bool, missed: bool) -> str:
    return "met" if met else "MISSED" if missed else "not decided by so many years"


def _percent(share: float) -> str:
    return f"{share * 100:.4f} %"
