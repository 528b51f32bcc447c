"""The ledger: fold what was counted into hours every five minutes, and make reports every hour or on demand."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from standfast import bootstrap, bootstrap_ledger, ledger_periods
from standfast.fleet import parse_input
from standfast.ledger_keeping import LedgerKeeper

DUE = "due"


class LedgerInput(BaseModel):
    """`report`: none, those that are `due`, or that of a day (2026-11-25) or a month (2026-11), UTC."""

    model_config = ConfigDict(extra="forbid")

    report: str | None = None


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer how many hours were written and how fast the budget burns; with `report` the objects that were written.

    Asked for a day or a month, the Region's report itself too. Raises InvalidInputError for a period that is none.
    """
    asked = parse_input(LedgerInput, event, "the input")
    wanted = None if asked.report in (None, DUE) else ledger_periods.period(str(asked.report))
    region, now = bootstrap.settings().region, bootstrap.clock().now()
    keeper = LedgerKeeper(
        region,
        bootstrap.cluster_table(),
        bootstrap_ledger.counters(),
        bootstrap_ledger.ledger_table(),
        bootstrap.incident_log(),
        bootstrap_ledger.ledger_bucket(),
        bootstrap.metrics(),
    )
    folded = keeper.fold(now)
    answer: dict[str, Any] = {"hours": folded.hours, "rates": folded.rates}
    if asked.report == DUE:
        return {**answer, "written": keeper.report_due(now)}
    if wanted is None:
        return answer
    report, written = keeper.report(wanted, now)
    bucket = bootstrap.settings().ledger_bucket(region)
    return {**answer, "written": [f"s3://{bucket}/{key}" for key in written], "report": report.model_dump(mode="json")}
