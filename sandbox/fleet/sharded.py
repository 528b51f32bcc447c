"""A tiny model as a folder of safetensors shards: headers, an index, a tokenizer; byte for byte the same for a seed."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

INDEX: Final = "model.safetensors.index.json"
TENSORS_EACH: Final = 3
GOLDEN: Final = {"nonce": "0f3a", "prompt": "The capital of France is", "first_token": "Q", "logprob": -0.25}


def shard_name(number: int, shards: int) -> str:
    """As Hugging Face calls them, from 1 on."""
    return f"model-{number:05}-of-{shards:05}.safetensors"


def sharded_model(seed: int, shards: int, *, bytes_each: int = 24_000) -> Mapping[str, bytes]:
    """Path -> content. A shard has some `bytes_each` bytes."""
    chance = random.Random(seed)
    elements = bytes_each // TENSORS_EACH // 2
    files: dict[str, bytes] = {}
    weight_map: dict[str, str] = {}
    for number in range(1, shards + 1):
        header: dict[str, object] = {"__metadata__": {"format": "pt"}}
        for tensor in range(TENSORS_EACH):
            name = f"layers.{number}.w{tensor}"
            begin = tensor * elements * 2
            header[name] = {"dtype": "BF16", "shape": [elements], "data_offsets": [begin, begin + elements * 2]}
            weight_map[name] = shard_name(number, shards)
        text = json.dumps(header).encode()
        data = chance.randbytes(TENSORS_EACH * elements * 2)
        files[shard_name(number, shards)] = len(text).to_bytes(8, "little") + text + data
    total = sum(len(each) for each in files.values())
    files[INDEX] = json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}).encode()
    files["config.json"] = json.dumps({"architectures": ["TinyForCausalLM"], "seed": seed}).encode()
    files["tokenizer.json"] = json.dumps({"version": "1.0", "model": {"type": "BPE", "vocab": {}}}).encode()
    described = {"engine": "vllm", "engine_flags": ["--max-model-len=4096"], "golden": [GOLDEN]}
    files["standfast.json"] = json.dumps(described).encode()
    return files
