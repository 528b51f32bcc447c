"""register_model: a folder becomes a manifest, or is refused with what is wrong with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest

from sandbox.fleet.models import tiny_model
from sandbox.fleet.sharded import INDEX, shard_name, sharded_model
from standfast import registering
from standfast.errors import ConflictError, CorruptStateError, InvalidInputError, ModelDamagedError
from standfast.fleet import parse_input
from standfast.manifest import Manifest, manifest_key, parse_manifest
from standfast.replication_steps import BatchEnd, RegisterInput
from tests.model_fakes import FakeModelStore, checksum
from tests.unit.test_gguf import MODELS

PREFIX = "models/tiny/v1/"
FILES = sharded_model(1, 3)


def bucket(files: Mapping[str, bytes] = FILES) -> FakeModelStore:
    return FakeModelStore({PREFIX + path: body for path, body in files.items()})


def register(store: FakeModelStore, version: str = "v1", prefix: str = PREFIX) -> Manifest:
    """All steps in their order, as the machine runs them."""
    asked = parse_input(RegisterInput, {"model": "tiny", "version": version, "prefix": prefix}, "the input")
    plan = registering.plan(asked, f"run-{version}", store)
    ends = []
    for batch in plan.batches:
        registering.hash_batch(plan, batch, store, "here")
        ends.append(BatchEnd())
    return registering.write_manifest(plan, ends, store)


def test_a_whole_folder_becomes_a_manifest_of_every_file() -> None:
    store = bucket()
    manifest = register(store)
    assert {each.path for each in manifest.objects} == set(FILES)
    for each in manifest.objects:
        body = FILES[each.path]
        assert (each.size, each.sha256) == (len(body), hashlib.sha256(body).hexdigest())
        assert each.crc64nvme == checksum(body)
    assert [each.tensors for each in manifest.objects if each.path.endswith(".safetensors")] == [3, 3, 3]
    assert (manifest.format, manifest.index, manifest.engine) == ("safetensors", INDEX, "vllm")
    assert manifest.engine_flags == ("--max-model-len=4096",)
    assert len(manifest.tokenizer_sha256) == 64
    assert [golden.first_token for golden in manifest.golden] == ["Q"]
    written = store.objects[manifest_key("tiny", "v1")]
    assert parse_manifest(written.decode(), "v1") == manifest


def test_a_gguf_file_becomes_a_manifest_with_its_tokenizers_hash() -> None:
    store = bucket({"tiny.gguf": tiny_model(1, MODELS).path.read_bytes()})
    manifest = register(store)
    assert (manifest.format, manifest.index) == ("gguf", "")
    assert manifest.objects[0].tensors == 21
    assert len(manifest.tokenizer_sha256) == 64


def test_an_object_without_a_checksum_of_the_whole_is_copied_onto_itself_first() -> None:
    store = bucket()
    store.plain = {PREFIX + "config.json"}
    assert all(each.crc64nvme for each in register(store).objects)
    assert store.copied == [PREFIX + "config.json"]


def test_the_same_model_again_changes_nothing_and_another_by_its_name_is_refused() -> None:
    store = bucket()
    manifest = register(store)
    assert register(store) == manifest
    store.objects[PREFIX + "config.json"] += b" "
    with pytest.raises(InvalidInputError, match=r"tiny v1 is registered already.*1 objects differ.*config\.json"):
        register(store)
    assert register(store, version="v2").version == "v2"


def test_what_was_written_for_the_console_is_no_file_of_the_model() -> None:
    store = bucket()
    store.objects[PREFIX] = b""
    assert len(register(store).objects) == len(FILES)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({shard_name(2, 3): None}, f"{shard_name(2, 3)} named and missing"),
        ({INDEX: None}, "3 shards and no"),
        ({shard_name(1, 3): FILES[shard_name(1, 3)][:-1]}, f"{shard_name(1, 3)} is cut off"),
        ({INDEX: FILES[INDEX].replace(b"layers.1.w0", b"layers.9.w0")}, "layers.9.w0 not in the shard"),
        ({INDEX: b"{}"}, "the index cannot be read"),
        ({"tiny.gguf": b"GGUF"}, "safetensors and GGUF files both"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused_and_nothing_is_written(change: dict[str, Any], said: str) -> None:
    files = {path: body for path, body in {**FILES, **change}.items() if body is not None}
    store = bucket(files)
    with pytest.raises(ModelDamagedError, match=said):
        register(store)
    assert not [key for key in store.objects if key.startswith("manifests/")]


def test_an_empty_folder_says_where_to_upload() -> None:
    with pytest.raises(InvalidInputError, match="models/none/ is empty; upload the model there"):
        register(bucket(), prefix="models/none")


@pytest.mark.parametrize("prefix", ["elsewhere/tiny/", "models/", "models", "/models/tiny"])
def test_a_folder_outside_of_models_is_refused_by_field(prefix: str) -> None:
    with pytest.raises(InvalidInputError, match="prefix - is no folder under models/"):
        register(bucket(), prefix=prefix)


def test_a_file_that_no_function_can_read_in_its_time_is_refused_with_the_mend() -> None:
    class Vast(FakeModelStore):
        def list_folder(self, prefix: str) -> Mapping[str, int]:
            return {PREFIX + "model.safetensors": 41_000_000_000}

    with pytest.raises(InvalidInputError, match="split the file into shards"):
        register(Vast())


def test_a_batch_that_failed_is_told_and_no_manifest_is_written() -> None:
    store = bucket()
    asked = parse_input(RegisterInput, {"model": "tiny", "version": "v1", "prefix": PREFIX}, "the input")
    plan = registering.plan(asked, "run", store)
    cause = json.dumps({"errorType": "ModelDamagedError", "errorMessage": "a.safetensors is cut off"})
    failed = BatchEnd.model_validate({"error": {"Error": "ModelDamagedError", "Cause": cause}})
    with pytest.raises(ModelDamagedError, match=r"read from end to end: a\.safetensors is cut off$"):
        registering.write_manifest(plan, [failed], store)


def test_notes_that_were_forgotten_meanwhile_are_told() -> None:
    store = bucket()
    asked = parse_input(RegisterInput, {"model": "tiny", "version": "v1", "prefix": PREFIX}, "the input")
    plan = registering.plan(asked, "run", store)
    with pytest.raises(CorruptStateError, match="start once more"):
        registering.write_manifest(plan, [BatchEnd()], store)


def test_a_folder_that_changes_while_it_is_read_is_told() -> None:
    store = bucket()
    asked = parse_input(RegisterInput, {"model": "tiny", "version": "v1", "prefix": PREFIX}, "the input")
    plan = registering.plan(asked, "run", store)
    del store.objects[PREFIX + "config.json"]
    with pytest.raises(ConflictError, match=r"config\.json was deleted meanwhile"):
        registering.hash_batch(plan, plan.batches[0], store, "here")
