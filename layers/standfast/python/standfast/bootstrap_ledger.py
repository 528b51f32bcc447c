"""The ledger's ports and their adapters: as `bootstrap`, which holds those that other functions use too."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from standfast import bootstrap

if TYPE_CHECKING:
    from standfast.ledger_ports import Counters, LedgerStore, ReportStore


@cache
def counters() -> Counters:
    """CloudWatch, as far as requests and canaries are counted."""
    from standfast.aws.ledger_metrics import LedgerMetrics

    return LedgerMetrics(bootstrap.settings().fleet, bootstrap.settings().region)


@cache
def ledger_table() -> LedgerStore:
    """The hours, in the state table."""
    from standfast.aws.ledger_table import LedgerTable

    return LedgerTable(bootstrap.settings().table, bootstrap.settings().region)


@cache
def ledger_bucket() -> ReportStore:
    """The reports, in the bucket of each Region."""
    from standfast.aws.ledger_bucket import LedgerBucket

    return LedgerBucket(bootstrap.settings().ledger_bucket, bootstrap.settings().region)
