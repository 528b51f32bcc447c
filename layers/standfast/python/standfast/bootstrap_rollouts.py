"""The ports of releases and their adapters: a cached factory a port, as in bootstrap."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from standfast.bootstrap import settings

if TYPE_CHECKING:
    from standfast.judge_store import JudgeStore


@cache
def judge_table() -> JudgeStore:
    """What the judge found so far, in the state table."""
    from standfast.aws.judge_table import JudgeTable

    return JudgeTable(settings().table, settings().region)
