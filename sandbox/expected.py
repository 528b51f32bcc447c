"""python -m sandbox availability: what to expect of a fleet. The calculator is the function's own."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from standfast.availability_input import answer
from standfast.availability_words import in_words
from standfast.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WRONG_INPUT = 2


def run_availability(fleet: Path | None, assume: Sequence[str], figures: Path | None) -> int:
    """Print the report of the fleet in a file (without one, of the default fleet), and write its figures as JSON.

    `assume` are NAME=VALUE and outweigh the file's assumptions. Answers the exit status: 0, or 2 for a wrong input.
    """
    try:
        asked = _read(fleet)
        given = {**asked.get("assumptions", {}), **dict(_assumption(each) for each in assume)}
        report = answer({**asked, "assumptions": given})
    except InvalidInputError as error:
        print(error, file=sys.stderr)
        return WRONG_INPUT
    print("\n".join(in_words(report)))
    if figures:
        figures.parent.mkdir(parents=True, exist_ok=True)
        figures.write_text(json.dumps(report.document(), indent=2) + "\n", encoding="utf-8")
    return 0


def _read(fleet: Path | None) -> dict[str, Any]:
    if fleet is None:
        return {}
    try:
        asked = json.loads(fleet.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInputError(f"--input {fleet}: {error.strerror}; give a file that can be read") from error
    except ValueError as error:
        raise InvalidInputError(f"--input {fleet} is no JSON: {error}") from error
    if not isinstance(asked, dict) or not isinstance(asked.get("assumptions", {}), dict):
        raise InvalidInputError(f"--input {fleet} is no fleet; see docs/examples/calculate_availability.json")
    return asked


def _assumption(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise InvalidInputError(f"--assume {text}: give NAME=VALUE, such as --assume beta=0.05") from None
