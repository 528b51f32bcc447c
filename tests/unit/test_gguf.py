"""A GGUF header, held against files that the format's own library wrote."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.fleet.models import tiny_model
from standfast import gguf
from standfast.errors import ModelDamagedError

MODELS = Path(__file__).parents[2] / "build" / "models"


@cache
def tiny() -> bytes:
    return tiny_model(1, MODELS).path.read_bytes()


def test_a_file_of_the_formats_own_library_is_read() -> None:
    header = gguf.read_header(tiny(), len(tiny()), "tiny.gguf")
    assert header is not None
    assert {"token_embd.weight", "output.weight", "blk.1.ffn_down.weight"} <= set(header.tensors)
    assert len(header.tensors) == 21
    assert len(header.tokenizer_sha256) == 64


def test_more_is_asked_for_until_the_header_is_whole() -> None:
    file = tiny()
    lengths = [length for length in range(0, len(file), 512) if gguf.read_header(file[:length], len(file), "x") is None]
    assert lengths[0] == 0
    assert lengths == [number * 512 for number in range(len(lengths))]
    assert lengths[-1] < 40_000


def test_a_file_that_was_cut_is_refused_wherever_it_was_cut() -> None:
    file = tiny()
    for length in (3, 20, 2_000, len(file) // 2, len(file) - 300):
        with pytest.raises(ModelDamagedError, match="is cut off"):
            gguf.read_header(file[:length], length, "x.gguf")


@pytest.mark.parametrize(
    ("at", "change", "said"),
    [
        (0, b"GGML", "no GGUF file"),
        (4, (1).to_bytes(4, "little"), "version 1"),
        (4, (3).to_bytes(4, "big"), "version 50331648"),
        (8, (2**60).to_bytes(8, "little"), "more than fit into it"),
        (16, (2**63).to_bytes(8, "little"), "more than fit into it"),
        (24 + 8 + len("general.architecture"), (77).to_bytes(4, "little"), "the type 77"),
    ],
)
def test_a_header_that_lies_is_refused(at: int, change: bytes, said: str) -> None:
    file = tiny()
    with pytest.raises(ModelDamagedError, match=said):
        gguf.read_header(file[:at] + change + file[at + len(change) :], len(file), "x.gguf")


def test_arrays_within_arrays_without_end_are_refused() -> None:
    nested = (
        b"GGUF" + (3).to_bytes(4, "little") + bytes(8) + (1).to_bytes(8, "little") + (1).to_bytes(8, "little") + b"k"
    )
    nested += (9).to_bytes(4, "little") + ((9).to_bytes(4, "little") + (1).to_bytes(8, "little")) * 5000
    with pytest.raises(ModelDamagedError, match="the type 9"):
        gguf.read_header(nested, len(nested), "x.gguf")


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    for head in (data, b"GGUF" + (3).to_bytes(4, "little") + data):
        try:
            gguf.read_header(head, len(head), "x.gguf")
        except ModelDamagedError:
            continue


@settings(max_examples=200)
@given(st.integers(0, 12_000), st.binary(min_size=1, max_size=9))
def test_no_change_of_a_real_header_raises_anything_else(at: int, change: bytes) -> None:
    file = tiny()[:12_000]
    broken = file[:at] + change + file[at + len(change) :]
    try:
        gguf.read_header(broken, len(tiny()), "x.gguf")
    except ModelDamagedError:
        return
