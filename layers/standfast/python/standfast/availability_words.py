"""The availability report as lines of text, for a terminal and for the Lambda console alike. Pure."""

from __future__ import annotations

import math
import textwrap
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from standfast.availability import MINUTES_PER_YEAR
from standfast.availability_report import OF_A_REPLICA, counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from standfast.availability_report import AvailabilityReport
    from standfast.fault_rates import Rate

WIDTH = 112


def percent(unavailability: float) -> str:
    """The availability in percent, with as many nines as there are and two digits of what is missing: 99.99995 %."""
    if unavailability <= 0:
        return "100 %"
    missing = Decimal(unavailability) * 100
    digits = max(0, 1 - missing.adjusted())
    shown = (100 - missing).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)
    text = f"{shown:f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def minutes(unavailability: float) -> str:
    """Minutes down in a year of 365 days, with three digits at the most; smaller ones to one digit."""
    down = unavailability * MINUTES_PER_YEAR
    if down == 0:
        return "0"
    if down >= 100:
        return f"{down:,.0f}"
    if down >= 0.1:
        return f"{down:.{2 if down < 10 else 1}f}"
    return f"{down:.{max(0, -math.floor(math.log10(down)))}f}" if down >= 0.0001 else f"{down:.0e}"


def in_words(report: AvailabilityReport) -> list[str]:
    """The whole report, a line each."""
    return [
        *_headed("What the original design states, and what its own formulas give"),
        *_table(
            ("", "stated", "min/year", "by its formula", "min/year"),
            [(claim.what, *_known(claim.stated), *_known(claim.by_formula)) for claim in report.original],
        ),
        "",
        *_listed(
            (claim.what, f"{claim.formula}: {claim.remark}" if claim.formula else claim.remark)
            for claim in report.original
        ),
        "",
        *_headed(f"This fleet: {_fleet(report)}"),
        *_table(
            ("", "available", "min/year"),
            [
                (figure.name, percent(figure.unavailability), minutes(figure.unavailability))
                for figure in report.figures
            ],
        ),
        "",
        *_listed(
            (figure.name, f"{figure.formula}. From {_named(figure.assumes, report)}.") for figure in report.figures
        ),
        "",
        *_headed(f"Where the {minutes(report.result.unavailability)} minutes a year come from"),
        *_table(("", "min/year"), [(cause.name, minutes(cause.unavailability)) for cause in report.result.causes]),
        "",
        *_headed("The whole fleet, if one thing were otherwise"),
        *_table(
            ("", "available", "min/year"),
            [(each.change, percent(each.unavailability), minutes(each.unavailability)) for each in report.what_if],
        ),
        "",
        *_headed("What is assumed, and where it is from"),
        *(line for rate in report.assumptions for line in _assumption(rate)),
        "",
        *textwrap.wrap(
            "Rates are constant, repairs independent, back to the active cluster costs nothing. Load is not in it: a "
            "cluster with half of its replicas counts as up. A judgement may be wrong by a factor of several: look at "
            "what it would change, above, and give your own.",
            WIDTH,
        ),
    ]


def _fleet(report: AvailabilityReport) -> str:
    clusters = " and ".join(
        f"{counted(each.gpus, 'GPU')} as {counted(each.replicas, 'replica')} ({each.needed} needed)"
        for each in report.shape.clusters
    )
    return f"{counted(report.shape.regions, 'Region')}, each with {clusters}"


def _named(assumes: Sequence[str], report: AvailabilityReport) -> str:
    if len(assumes) == len(report.assumptions):
        return "every assumption below"
    if assumes[: len(OF_A_REPLICA)] == OF_A_REPLICA and len(assumes) > len(OF_A_REPLICA):
        assumes = ("those of a replica", *assumes[len(OF_A_REPLICA) :])
    return ", ".join(assumes)


def _known(unavailability: float | None) -> tuple[str, str]:
    return ("-", "-") if unavailability is None else (percent(unavailability), minutes(unavailability))


def _assumption(rate: Rate) -> list[str]:
    share = f" ({rate.value * 100:g} %)" if rate.unit == "share" else ""
    unit = "" if rate.unit == "share" else " " + (rate.unit.removesuffix("s") if rate.value == 1 else rate.unit)
    return _item(
        f"{rate.name} = {rate.value:,g}{unit}{share}", f"{rate.about}. {rate.basis.capitalize()}: {rate.source}."
    )


def _headed(title: str) -> list[str]:
    return [title, "-" * len(title)]


def _listed(items: Iterable[tuple[str, str]]) -> list[str]:
    return [line for name, text in items for line in _item(name, text)]


def _item(name: str, text: str) -> list[str]:
    return textwrap.wrap(
        f"{name}: {text}", WIDTH, initial_indent="- ", subsequent_indent="    ", break_on_hyphens=False
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[at]) for row in (heads, *rows)) for at in range(len(heads))]
    return [
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (heads, *rows)
    ]
