"""The header of a safetensors file: 8 bytes of length, little-endian, then JSON, then nothing but the tensors.

Format and limits: https://github.com/huggingface/safetensors#format (README, "Format"): the offsets leave no hole,
begin at 0 and end where the file ends, and a header has at most 100 MB.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from standfast.errors import ModelDamagedError

if TYPE_CHECKING:
    from collections.abc import Mapping

LENGTH_BYTES = 8
MOST_HEADER_BYTES = 100_000_000
_METADATA = "__metadata__"
_BITS = {
    # safetensors/src/tensor.rs, Dtype::bitsize
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E5M2FNUZ", "F8_E4M3FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
}


def header_length(first: bytes, size: int, name: str) -> int:
    """Bytes of the JSON that follows the first eight. `size` is the file's. Raises ModelDamagedError."""
    if len(first) < LENGTH_BYTES:
        raise ModelDamagedError(f"{name} has {len(first)} bytes, too few for a safetensors file")
    length = int.from_bytes(first[:LENGTH_BYTES], "little")
    if length > MOST_HEADER_BYTES or length < len("{}"):
        raise ModelDamagedError(f"{name} is no safetensors file: it says that its header has {length} bytes")
    if LENGTH_BYTES + length > size:
        raise ModelDamagedError(f"{name} is cut off: its header alone has {length} bytes, the file has {size}")
    return length


def tensor_names(header: bytes, size: int, name: str) -> tuple[str, ...]:
    """The tensors of a file of `size` bytes, in their order in it. `header` is the whole JSON.

    Raises ModelDamagedError where they overlap, leave a hole, or do not end where the file ends.
    """
    try:
        document = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise ModelDamagedError(f"{name}: its header is no JSON ({type(error).__name__})") from error
    if not isinstance(document, dict):
        raise ModelDamagedError(f"{name}: its header is no JSON object")
    spans = sorted((*_span(tensor, given, name), tensor) for tensor, given in document.items() if tensor != _METADATA)
    ends = [0, *(end for _, end, _ in spans)]
    for end, (begin, _, tensor) in zip(ends, spans, strict=False):
        if begin != end:
            raise ModelDamagedError(f"{name}: {tensor} begins at {begin}, the tensor before it ends at {end}")
    expected = LENGTH_BYTES + len(header) + ends[-1]
    if expected != size:
        wrong = "is cut off" if expected > size else "has more than its header tells of"
        raise ModelDamagedError(f"{name} {wrong}: its tensors end at {expected}, the file at {size}")
    return tuple(tensor for _, _, tensor in spans)


def _span(tensor: str, given: Any, name: str) -> tuple[int, int]:
    """Where a tensor lies, counted from the end of the header, checked against its shape."""
    if not isinstance(given, dict):
        raise ModelDamagedError(f"{name}: {tensor} is not described as a tensor")
    shape, offsets, bits = _counts(given.get("shape")), _counts(given.get("data_offsets")), _bits(given)
    if shape is None or offsets is None or len(offsets) != len(("begin", "end")):
        raise ModelDamagedError(f"{name}: {tensor} has no shape or no data_offsets that can be read")
    begin, end = offsets
    if begin > end:
        raise ModelDamagedError(f"{name}: {tensor} ends at {end}, before it begins at {begin}")
    if bits is not None and (end - begin) * 8 != math.prod(shape) * bits:
        raise ModelDamagedError(f"{name}: {tensor} has {end - begin} bytes, which do not fit its shape and dtype")
    return begin, end


def _bits(given: Mapping[str, Any]) -> int | None:
    """Bits of one element; None for a dtype that is younger than this table."""
    dtype = given.get("dtype")
    return _BITS.get(dtype) if isinstance(dtype, str) else None


def _counts(value: Any) -> list[int] | None:
    """A list of whole numbers from 0 on; None for anything else. JSON's true is no number."""
    return value if isinstance(value, list) and all(type(each) is int and each >= 0 for each in value) else None
