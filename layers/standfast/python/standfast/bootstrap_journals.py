"""The ports of both journals and their adapters: a cached factory a port, as in bootstrap."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from standfast import bootstrap
from standfast.bootstrap import settings

if TYPE_CHECKING:
    from standfast.aws.request_table import RequestTable
    from standfast.fleet import FleetConfig
    from standfast.journal_ports import Completer, RequestCopies, Resumptions, StateJournal


@cache
def state_journal() -> StateJournal:
    """This Region's state journal, in its backup bucket."""
    from standfast.aws.journal_bucket import JournalBucket

    region = settings().region
    return JournalBucket(settings().backup_bucket(region), settings().fleet, region)


@cache
def requests() -> RequestTable:
    """RequestJournal: the table that the gateways write."""
    from standfast.aws.request_table import RequestTable

    here = settings()
    return RequestTable(here.request_table(here.region), here.region)


@cache
def copies_in(region: str) -> RequestCopies:
    """The request table of another Region, for this one's copies."""
    from standfast.aws.request_copies import RequestTableElsewhere

    here = settings()
    return RequestTableElsewhere(here.request_table(region), region, here.region)


@cache
def resumptions() -> Resumptions:
    """The function that has requests answered."""
    from standfast.aws.resumptions import AnsweringFunction

    return AnsweringFunction(f"{settings().fleet}-answer-requests")


def completer(fleet: FleetConfig, region: str) -> Completer:
    """The Region's entry, asked as users ask, for one event loop."""
    from standfast.probes.completer import HttpCompleter

    url, secret = fleet.region(region).entry.url, fleet.model.api_key_secret_arn
    return HttpCompleter(url, api_key=bootstrap.secrets().read(secret) if secret else None)
