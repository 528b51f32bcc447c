"""ListModel: what lies in a model's folder, and in which batches it is hashed."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, registering
from standfast.fleet import parse_input
from standfast.replication_steps import RegisterInput, TaskInput


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the plan. Raises InvalidInputError, and ModelDamagedError where files that belong together are missing."""
    task = parse_input(TaskInput, event, "the task")
    asked = parse_input(RegisterInput, task.input, "the execution's input")
    store = bootstrap.model_store(bootstrap.settings().region)
    return registering.plan(asked, task.execution_name, store).model_dump(mode="json")
