"""The header of a GGUF file: magic, version, counts, key-value pairs, then where each tensor lies.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Versions 2 and 3, little-endian.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

from standfast.errors import ModelDamagedError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
MOST_DIMENSIONS = 8
MOST_DEPTH = 4
_STRING, _ARRAY = 8, 9
_WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a value by its type: (u)int8 to (u)int64, float32 and 64, bool."""
_BLOCKS = {
    # ggml type -> (elements a block, bytes a block): GGML_QUANT_SIZES in gguf-py/gguf/constants.py of llama.cpp
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
    23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What is used of it. `tokenizer_sha256` is over the key-value pairs `tokenizer.*`, empty where there are none."""

    tensors: tuple[str, ...]
    tokenizer_sha256: str


class _CutError(Exception):
    """The bytes given end before the header does."""


def read_header(head: bytes, size: int, name: str) -> GgufHeader | None:
    """The header of a file of `size` bytes that begins with `head`; None when `head` is too short: give more of it.

    Raises ModelDamagedError.
    """
    try:
        return _read(_Reader(head), size, name)
    except _CutError:
        if len(head) < size:
            return None
        raise ModelDamagedError(f"{name} is cut off: its header does not end within its {size} bytes") from None


def _read(reader: _Reader, size: int, name: str) -> GgufHeader:
    if reader.take(len(MAGIC)) != MAGIC:
        raise ModelDamagedError(f"{name} is no GGUF file: it does not begin with GGUF")
    version = reader.number(4)
    if version not in VERSIONS:
        raise ModelDamagedError(f"{name} has GGUF version {version}; 2 and 3 little-endian are known")
    tensors, pairs = reader.number(8), reader.number(8)
    if tensors * 24 + pairs * 13 > size:  # the least that each takes
        raise ModelDamagedError(f"{name} says that it has {tensors} tensors and {pairs} keys, more than fit into it")
    alignment, tokenizer_sha256 = _pairs(reader, pairs, name)
    spans = [_tensor(reader, name) for _ in range(tensors)]
    names = tuple(tensor for tensor, _, _ in spans)
    if len(set(names)) < len(names):
        raise ModelDamagedError(f"{name} names a tensor twice")
    data = math.ceil(reader.at / alignment) * alignment
    for tensor, offset, length in spans:
        if offset % alignment:
            raise ModelDamagedError(f"{name}: {tensor} does not begin at a multiple of {alignment}")
        if (end := data + offset + length) > size:
            raise ModelDamagedError(f"{name} is cut off: {tensor} ends at {end}, the file at {size}")
    return GgufHeader(names, tokenizer_sha256)


def _pairs(reader: _Reader, count: int, name: str) -> tuple[int, str]:
    """Of the key-value pairs: the alignment, and the tokenizer's hash."""
    alignment: Any = DEFAULT_ALIGNMENT
    tokenizer = hashlib.sha256()
    has_tokenizer = False
    for _ in range(count):
        begin = reader.at
        key = reader.text(name)
        value = _value(reader, reader.number(4), name, 0)
        if key == "general.alignment":
            alignment = value
        if key.startswith("tokenizer."):
            has_tokenizer = True
            tokenizer.update(reader.data[begin : reader.at])
    if type(alignment) is not int or alignment <= 0 or alignment % 8:
        raise ModelDamagedError(f"{name}: its alignment is no multiple of 8")
    return alignment, tokenizer.hexdigest() if has_tokenizer else ""


def _value(reader: _Reader, kind: int, name: str, depth: int) -> Any:
    """A value; of a string or an array only that it is there. Numbers are read as unsigned, floats as their bits."""
    if kind in _WIDTHS:
        return reader.number(_WIDTHS[kind])
    if kind == _STRING:
        return reader.take(reader.number(8))
    if kind == _ARRAY and depth < MOST_DEPTH:
        inner, count = reader.number(4), reader.number(8)
        if inner in _WIDTHS:
            return reader.take(count * _WIDTHS[inner])
        for _ in range(count):
            _value(reader, inner, name, depth + 1)
        return None
    raise ModelDamagedError(f"{name}: a value has the type {kind}, which GGUF does not have")


def _tensor(reader: _Reader, name: str) -> tuple[str, int, int]:
    """Name, offset from where the data begins, and bytes; of a type that is younger than the table 0 bytes."""
    tensor, dimensions = reader.text(name), reader.number(4)
    if dimensions > MOST_DIMENSIONS:
        raise ModelDamagedError(f"{name}: {tensor} has {dimensions} dimensions")
    elements = math.prod(reader.number(8) for _ in range(dimensions))
    kind, offset = reader.number(4), reader.number(8)
    if kind not in _BLOCKS:
        return tensor, offset, 0
    each, width = _BLOCKS[kind]
    if elements % each:
        raise ModelDamagedError(f"{name}: {tensor} has {elements} elements, no multiple of a block of {each}")
    return tensor, offset, elements // each * width


class _Reader:
    """Bytes from front to back."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        if self.at + count > len(self.data):
            raise _CutError
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "little")

    def text(self, name: str) -> str:
        try:
            return self.take(self.number(8)).decode()
        except UnicodeDecodeError as error:
            raise ModelDamagedError(f"{name}: a name in its header is no text") from error
