"""S3's CRC64NVME. moto gives CRC32 under its name where AWS's native library is not installed.

CRC-64/NVME (NVM Command Set specification 1.0, "64b CRC"): the checksum of `123456789` is AE8B14860A799888.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from typing import TYPE_CHECKING, Any, Final

from moto.s3 import models, responses, utils

if TYPE_CHECKING:
    from collections.abc import Callable

_POLYNOMIAL: Final = 0x9A6C9329AC4BC9B5  # AD93D23594C93659 with its bits in reverse
_ONES: Final = (1 << 64) - 1
_MODULES: Final = (models, responses, utils)


@functools.cache
def _table() -> tuple[int, ...]:
    found = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        found.append(value)
    return tuple(found)


def crc64nvme(body: bytes) -> bytes:
    """The checksum, 8 bytes. Of bytes that were seen before it is known."""
    return _known(hashlib.sha256(body).digest(), body)


_seen: dict[bytes, bytes] = {}


def _known(digest: bytes, body: bytes) -> bytes:
    if digest not in _seen:
        table, value = _table(), _ONES
        for byte in body:
            value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
        _seen[digest] = (value ^ _ONES).to_bytes(8, "big")
    return _seen[digest]


def install() -> Callable[[], None]:
    """Have moto compute it. The result takes it back."""
    original = utils.compute_checksum

    def compute(body: bytes, algorithm: str, encode_base64: bool = True) -> bytes:
        if algorithm != "CRC64NVME":
            return bytes(original(body, algorithm, encode_base64))
        found = crc64nvme(body)
        return base64.b64encode(found) if encode_base64 else found

    def put(function: Any) -> None:
        for module in _MODULES:
            module.compute_checksum = function

    put(compute)
    return lambda: put(original)
