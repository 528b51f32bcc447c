"""Texts that share a room: the short ones whole, the long ones cut to the same length, and no more than fit."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LEAST: Final = 100
"""Bytes that every long text has: fewer say too little."""
LEFT_OUT: Final = "(left out: too many have something to say)"
_REST: Final = "..."


def shortened(texts: Iterable[str], room: int) -> Mapping[str, str]:
    """Text -> what is said of it, so that all of `texts`, each as often as it comes, take up `room` bytes of JSON.

    What is shorter than LEFT_OUT is said in any case, and takes no room.
    """
    times = Counter(texts)
    said = {text: text if _bytes(text) <= _bytes(LEFT_OUT) else LEFT_OUT for text in times}
    lengths: list[int] = []
    kept: list[str] = []
    for text in (text for text, its in said.items() if its is LEFT_OUT):
        if len(lengths) + times[text] <= room // LEAST:
            kept.append(text)
            lengths += [_bytes(text)] * times[text]
    most = _share(lengths, room)
    return {**said, **{text: _cut(text, most) for text in kept}}


def _share(lengths: Sequence[int], room: int) -> int:
    """How long a text may be so that all fit."""
    for position, length in enumerate(sorted(lengths)):
        share = room // (len(lengths) - position)
        if length > share:
            return share
        room -= length
    return max(lengths, default=0)


def _cut(text: str, most: int) -> str:
    if _bytes(text) <= most:
        return text
    kept, room = 0, most - len(_REST)
    for character in text:
        room -= _bytes(character)
        if room < 0:
            break
        kept += 1
    return text[:kept] + _REST


def _bytes(text: str) -> int:
    """As JSON that escapes everything that is not ASCII."""
    return len(json.dumps(text)) - 2
