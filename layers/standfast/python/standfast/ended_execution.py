"""The event of Step Functions that says that an execution ended: a time-out or a stop of one runs no Catch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from standfast.fleet import parse_input

if TYPE_CHECKING:
    from collections.abc import Mapping


class EndedExecution(BaseModel):
    """The `detail` of a "Step Functions Execution Status Change" event, as far as it is used."""

    execution_arn: str = Field(alias="executionArn")
    status: str
    error: str | None = None


def ended_in(event: Mapping[str, Any]) -> EndedExecution | None:
    """What ended, where the event says that something did. Raises InvalidInputError for one that is malformed."""
    if event.get("source") != "aws.states":
        return None
    return parse_input(EndedExecution, event["detail"], "the event's detail")
