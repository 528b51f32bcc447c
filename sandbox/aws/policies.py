"""IAM's policy language, as far as the templates use it: actions, resources and conditions of a role's policies.

What is not known here does not hold, so it denies.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


def _values(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@lru_cache(maxsize=4096)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def _like(pattern: str, text: str) -> bool:
    return _pattern(pattern).fullmatch(text) is not None


_OPERATORS: Final[Mapping[str, Callable[[str, list[str]], bool]]] = {
    "StringEquals": lambda value, wanted: value in wanted,
    "StringNotEquals": lambda value, wanted: value not in wanted,
    "StringLike": lambda value, wanted: any(_like(pattern, value) for pattern in wanted),
    "ArnEquals": lambda value, wanted: any(_like(pattern, value) for pattern in wanted),
    "ArnLike": lambda value, wanted: any(_like(pattern, value) for pattern in wanted),
    "Bool": lambda value, wanted: value.lower() in [pattern.lower() for pattern in wanted],
}


def _conditions_hold(conditions: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    """A key that is not in the context, or an operator that is not known, does not hold: it denies."""
    return all(
        key in context
        and operator in _OPERATORS
        and _OPERATORS[operator](context[key], [str(x) for x in _values(wanted)])
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def is_allowed(documents: Iterable[Any], action: str, resource: str, context: Mapping[str, str]) -> bool:
    """Whether the policies allow the action: some statement does, and none denies."""
    return _effects(documents, action, resource, context) == {"Allow"}


def is_denied(documents: Iterable[Any], action: str, resource: str, context: Mapping[str, str]) -> bool:
    """Whether some statement denies the action."""
    return "Deny" in _effects(documents, action, resource, context)


def _effects(documents: Iterable[Any], action: str, resource: str, context: Mapping[str, str]) -> set[str]:
    """The effects of all statements that speak of the action."""
    found = set()
    for document in documents:
        for statement in _values(document["Statement"]):
            actions = _values(statement.get("Action", statement.get("NotAction", [])))
            named = any(_like(pattern.lower(), action.lower()) for pattern in actions)
            if named != ("Action" in statement):
                continue
            if not any(_like(pattern, resource) for pattern in _values(statement.get("Resource", "*"))):
                continue
            if _conditions_hold(statement.get("Condition", {}), context):
                found.add(str(statement["Effect"]))
    return found


@lru_cache(maxsize=1024)
def _parsed(document: str) -> Any:
    return json.loads(document)


def role_documents(account: str, role: str) -> list[Any]:
    """All policy documents of a role, inline and attached; none for a role that is gone."""
    backend = iam_backends[account]["aws"]
    try:
        documents = [backend.get_role_policy(role, name)[1] for name in backend.list_role_policies(role)]
        documents += [
            next(version.document for version in policy.versions if version.is_default)
            for policy in backend.list_attached_role_policies(role)[0]
        ]
    except NotFoundException:
        return []
    return [_parsed(document) if isinstance(document, str) else document for document in documents]
