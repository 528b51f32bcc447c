"""Walks a state machine's definition with the template's own handlers, in this process: as far as our machines go.

JSONPath of names only. A Task's Retry is not played: a handler that raises goes straight to its Catch. What comes of a
Parallel state the test says itself, in `instead`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import pytest

from standfast import bootstrap
from tests.template import documents

MOST_STATES = 3000


class _KilledError(Exception):
    """The execution is gone: no Catch runs."""


@dataclass
class Context:
    """What handlers ask of Lambda's context."""

    aws_request_id: str = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return 14_000


@dataclass
class Walk:
    """One execution. `instead` gives some tasks another handler; `wait` is called with the seconds of each Wait.

    Behind the state `stop_after` it is gone, as when it is killed; `state` is what it had then.
    """

    machine: str
    execution_arn: str
    wait: Callable[[float], None]
    instead: Mapping[str, Callable[[dict[str, Any]], Any]] = field(default_factory=dict)
    visited: list[str] = field(default_factory=list)
    error: str = ""
    cause: str = ""
    item: Any = None
    stop_after: str = ""
    state: dict[str, Any] = field(default_factory=dict)

    def run(self, given: dict[str, Any]) -> dict[str, Any]:
        """From StartAt to its end. `error` and `cause` are those of a Fail; the state as it was then is answered."""
        try:
            return self._walk(documents.machine(self.machine), given)
        except _KilledError:
            return self.state

    def _walk(self, document: documents.Document, data: dict[str, Any]) -> dict[str, Any]:
        name = document["StartAt"]
        for _ in range(MOST_STATES):
            self.visited.append(name)
            state = document["States"][name]
            match state["Type"]:
                case "Succeed":
                    return data
                case "Fail":
                    self.error, self.cause = state["Error"], str(_read(data, state["CausePath"]))
                    return data
                case "Choice":
                    name = next((c["Next"] for c in state["Choices"] if _holds(data, c)), state.get("Default"))
                    continue
                case "Wait":
                    self.wait(state["Seconds"] if "Seconds" in state else _read(data, state["SecondsPath"]))
                case "Pass":
                    given = _read(data, state.get("InputPath", "$"))
                    made = self._made(state["Parameters"], given) if "Parameters" in state else given
                    data = _put(data, state.get("ResultPath", "$"), made)
                case "Parallel":
                    data = _put(data, state["ResultPath"], self.instead[name](data))
                case "Map":
                    data = _put(
                        data, state["ResultPath"], [self._item(state, data, item) for item in self._items(state, data)]
                    )
                case "Task":
                    name, data = self._task(name, state, data)
                    continue
            name = state["Next"]
        raise AssertionError(f"{self.machine} does not come to an end: {self.visited[-20:]}")

    def _items(self, state: documents.Document, data: dict[str, Any]) -> list[Any]:
        found: list[Any] = _read(data, state["ItemsPath"])
        return found

    def _item(self, state: documents.Document, data: dict[str, Any], item: Any) -> dict[str, Any]:
        """One item's way; the items go one after the other."""
        self.item = item
        return self._walk(state["ItemProcessor"], self._made(state["ItemSelector"], data))

    def _task(self, name: str, state: documents.Document, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        event = self._made(state["Parameters"], data) if "Parameters" in state else data
        self.state = data
        try:
            answer = json.loads(json.dumps(self._handler(name)(json.loads(json.dumps(event)))))
        except Exception as error:
            for catch in state["Catch"]:
                if type(error).__name__ in catch["ErrorEquals"]:
                    cause = json.dumps({"errorMessage": str(error), "errorType": type(error).__name__})
                    caught = {"Error": type(error).__name__, "Cause": cause}
                    return catch["Next"], _put(data, catch["ResultPath"], caught)
            raise
        if name == self.stop_after:
            raise _KilledError
        return state["Next"], _put(data, state["ResultPath"], answer)

    def _handler(self, name: str) -> Callable[[dict[str, Any]], Any]:
        if name in self.instead:
            return self.instead[name]
        handler = documents.source()["Resources"][f"{name}Function"]["Properties"]["Handler"]
        module, _, attribute = handler.rpartition(".")
        found = getattr(import_module(module), attribute)
        return lambda event: found(event, Context())

    def _made(self, parameters: Mapping[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        found = {}
        for key, value in parameters.items():
            if value in ("$$.Execution.Id", "$$.Execution.Name", "$$.Map.Item.Value", "$$.State.RetryCount"):
                name = self.execution_arn.rpartition(":")[2]
                context = {
                    "$$.Execution.Id": self.execution_arn,
                    "$$.Execution.Name": name,
                    "$$.Map.Item.Value": self.item,
                }
                found[key.removesuffix(".$")] = context.get(value, 0)
            elif key.endswith(".$"):
                found[key.removesuffix(".$")] = _read(data, value)
            elif isinstance(value, dict):
                found[key] = self._made(value, data)
            else:
                found[key] = value
        return found


def _read(data: Any, path: str) -> Any:
    if path.startswith("States.JsonToString("):
        return json.dumps(_read(data, path.removeprefix("States.JsonToString(").removesuffix(")")))
    for part in path.removeprefix("$").strip(".").split("."):
        data = data[part] if part else data
    return data


def _put(data: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    return value if path == "$" else {**data, path.removeprefix("$."): value}


def _holds(data: dict[str, Any], choice: Mapping[str, Any]) -> bool:
    value = _read(data, choice["Variable"])
    return all(value == choice[key] for key in ("BooleanEquals", "StringEquals") if key in choice)


def bind(monkeypatch: pytest.MonkeyPatch, parts: Mapping[str, object]) -> None:
    """Have `bootstrap` answer these: the name of a factory -> what stands for its port."""
    for name, part in parts.items():
        monkeypatch.setattr(bootstrap, name, lambda part=part: part)
