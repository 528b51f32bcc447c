"""A safetensors header is believed only where it fits the file to the byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast import safetensors
from standfast.errors import ModelDamagedError

TWO = {
    "__metadata__": {"format": "pt"},
    "b": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [4, 16]},
    "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
}


def written(document: Any, data: int = 16) -> bytes:
    header = json.dumps(document).encode()
    return len(header).to_bytes(8, "little") + header + bytes(data)


def names(file: bytes) -> tuple[str, ...]:
    length = safetensors.header_length(file[:8], len(file), "x.safetensors")
    return safetensors.tensor_names(file[8 : 8 + length], len(file), "x.safetensors")


def test_tensors_are_told_in_their_order_in_the_file() -> None:
    assert names(written(TWO)) == ("a", "b")
    assert names(written({}, 0)) == ()


def test_a_dtype_that_is_younger_than_we_are_is_held_against_its_offsets_only() -> None:
    assert names(written({"a": {"dtype": "F2", "shape": [9], "data_offsets": [0, 16]}})) == ("a",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 5]}}, "do not fit its shape"),
        (
            {"a": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}},
            "b begins at 4, the tensor before it ends at 0",
        ),
        ({"b": {"dtype": "BF16", "shape": [2, 4], "data_offsets": [0, 16]}}, "begins at 0"),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}, "before it begins"),
        ({"a": {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}}, "cannot|can be read"),
        ({"a": {"dtype": "F32", "shape": [1]}}, "no data_offsets"),
        ({"a": 7}, "not described as a tensor"),
        ({"c": {"dtype": "F32", "shape": [1], "data_offsets": [16, 20]}}, "is cut off: its tensors end at"),
    ],
)
def test_a_header_that_lies_is_refused_by_tensor(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelDamagedError, match=said):
        names(written({**TWO, **change}))


def test_a_file_that_was_cut_or_grew_is_refused() -> None:
    whole = written(TWO)
    with pytest.raises(ModelDamagedError, match="is cut off"):
        names(whole[:-1])
    with pytest.raises(ModelDamagedError, match="has more than its header tells of"):
        names(whole + b"\0")
    with pytest.raises(ModelDamagedError, match="its header alone has"):
        names(whole[:40])
    with pytest.raises(ModelDamagedError, match="too few"):
        names(whole[:7])


def test_what_is_no_safetensors_file_is_called_so() -> None:
    with pytest.raises(ModelDamagedError, match="no safetensors file"):
        names(b"GGUF" * 10)
    with pytest.raises(ModelDamagedError, match="no JSON"):
        names((4).to_bytes(8, "little") + b"[[[[")
    with pytest.raises(ModelDamagedError, match="no JSON object"):
        names((2).to_bytes(8, "little") + b"[]")
    with pytest.raises(ModelDamagedError, match="its header is no JSON"):
        names((200_000).to_bytes(8, "little") + b"[" * 200_000)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    with pytest.raises(ModelDamagedError):
        names(data + b"\xff" * 8)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
_TENSOR = st.fixed_dictionaries(
    {"dtype": st.sampled_from(["F32", "U8", "X"]) | _JSON, "shape": _JSON, "data_offsets": _JSON}
)


@given(st.dictionaries(st.sampled_from(["a", "b", "__metadata__"]), _TENSOR | _JSON), st.integers(0, 40))
def test_no_header_raises_anything_else(document: dict[str, Any], data: int) -> None:
    try:
        found = names(written(document, data))
    except ModelDamagedError:
        return
    assert set(found) == set(document) - {"__metadata__"}


@given(st.lists(st.integers(0, 6), max_size=6), st.data())
def test_any_change_of_an_offset_is_found(sizes: list[int], data: st.DataObject) -> None:
    document: dict[str, Any] = {}
    end = 0
    for number, size in enumerate(sizes):
        document[f"t{number}"] = {"dtype": "U8", "shape": [size], "data_offsets": [end, end + size]}
        end += size
    assert set(names(written(document, end))) == set(document)
    if sizes:
        victim, side = data.draw(st.sampled_from(sorted(document))), data.draw(st.integers(0, 1))
        document[victim]["data_offsets"][side] += data.draw(st.integers(-3, 3).filter(bool))
        with pytest.raises(ModelDamagedError):
            names(written(document, end))
