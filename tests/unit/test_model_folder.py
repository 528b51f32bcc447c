"""Whether a folder holds one whole model: every shard, and an index that does not lie."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast import model_folder
from standfast.errors import InvalidInputError, ModelDamagedError
from standfast.golden import Golden
from standfast.model_folder import Shard
from tests.unit.test_safetensors import TWO, written

A, B, INDEX = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"
SHARDS = {A: ("x", "y"), B: ("z",)}


def index(**weight_map: str) -> bytes:
    return json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}).encode()


def test_a_folder_is_of_one_format() -> None:
    assert model_folder.format_of([A, B, INDEX, "config.json"]) == "safetensors"
    assert model_folder.format_of(["tiny.gguf"]) == "gguf"
    with pytest.raises(ModelDamagedError, match="safetensors and GGUF files both"):
        model_folder.format_of([A, "tiny.gguf"])
    with pytest.raises(ModelDamagedError, match="neither"):
        model_folder.format_of(["config.json", "pytorch_model.bin"])


def test_more_than_one_shard_needs_an_index() -> None:
    assert model_folder.index_of([A, B, INDEX]) == INDEX
    assert model_folder.index_of(["model.safetensors"]) == ""
    with pytest.raises(ModelDamagedError, match="2 shards and no"):
        model_folder.index_of([A, B])
    with pytest.raises(ModelDamagedError, match="2 shard indexes"):
        model_folder.index_of([A, INDEX, "other" + INDEX])


def test_an_index_that_fits_its_shards_passes() -> None:
    model_folder.check_index(index(x=A, y=A, z=B), SHARDS, INDEX)
    in_a_folder = {f"sub/{path}": tensors for path, tensors in SHARDS.items()}
    model_folder.check_index(index(x=A, y=A, z=B), in_a_folder, f"sub/{INDEX}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (index(x=A, y=A, z="model-00003-of-00003.safetensors"), "model-00003-of-00003.safetensors named and missing"),
        (index(x=A, y=B, z=B), "y not in the shard that the index names"),
        (index(x=A, y=A), "z not in the index"),
        (index(x=A, y=A, z=B, w=A), "w not in the shard"),
        (b"{", "cannot be read"),
        (b"[]", "cannot be read"),
        (b'{"weight_map": 7}', "cannot be read"),
    ],
)
def test_an_index_that_lies_is_refused_with_what_does_not_fit(text: bytes, said: str) -> None:
    with pytest.raises(ModelDamagedError, match=said):
        model_folder.check_index(text, SHARDS, INDEX)


@given(
    st.binary(max_size=60) | st.recursive(st.none() | st.text(), st.lists, max_leaves=4).map(json.dumps).map(str.encode)
)
def test_no_index_raises_anything_else(text: bytes) -> None:
    assert model_folder.index_faults(text, SHARDS, INDEX)


def test_every_part_of_a_gguf_file_that_was_split_is_there() -> None:
    parts = [f"big-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    model_folder.check_splits([*parts, "config.json"])
    model_folder.check_splits(["tiny.gguf"])
    with pytest.raises(ModelDamagedError, match=r"parts of big are missing: big-00002-of-00003\.gguf"):
        model_folder.check_splits([parts[0], parts[2]])
    with pytest.raises(ModelDamagedError, match="2 models"):
        model_folder.check_splits([*parts, "tiny.gguf"])


def test_a_shard_is_read_by_its_header_alone() -> None:
    file = written(TWO)
    asked: list[tuple[int, int]] = []

    def read(start: int, length: int) -> bytes:
        asked.append((start, length))
        return file[start : start + length]

    assert model_folder.read_shard(read, len(file), A) == Shard(("a", "b"))
    assert asked == [(0, 8), (8, len(file) - 8 - 16)]
    with pytest.raises(ModelDamagedError, match="too few"):
        model_folder.read_shard(read, 0, A)


def test_the_tokenizers_hash_is_over_its_files_wherever_they_lie() -> None:
    one = model_folder.tokenizer_sha256({"tokenizer.json": "a" * 64, A: "b" * 64}, [])
    assert len(one) == 64
    assert one == model_folder.tokenizer_sha256({"tokenizer.json": "a" * 64, A: "c" * 64}, [])
    assert one != model_folder.tokenizer_sha256({"tokenizer.json": "b" * 64}, [])
    assert model_folder.tokenizer_sha256({A: "a" * 64}, [Shard((), ""), Shard((), "d" * 64)]) == "d" * 64
    assert model_folder.tokenizer_sha256({A: "a" * 64}, [Shard(())]) == ""


def test_a_description_says_engine_flags_and_golden_answers() -> None:
    golden = {"nonce": "0f3a", "prompt": "The capital of France is", "first_token": " Paris", "logprob": -1}
    text = json.dumps({"engine": "vllm", "engine_flags": ["--a=1"], "golden": [golden]}).encode()
    found = model_folder.read_description(text)
    assert (found.engine, found.engine_flags) == ("vllm", ("--a=1",))
    assert found.golden == (Golden("0f3a", "The capital of France is", " Paris", -1.0),)
    with pytest.raises(InvalidInputError, match="flags is unknown; remove it"):
        model_folder.read_description(b'{"flags": []}')
    with pytest.raises(InvalidInputError, match="cannot be read"):
        model_folder.read_description(b'{"golden": [{"nonce": "a"}]}')
