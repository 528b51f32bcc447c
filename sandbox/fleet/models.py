"""Tiny llama models with random weights: real GGUF files of some 500 kB, byte for byte the same for a seed.

Another seed is another model version, with other golden tokens. The vocabulary is bytes and printable characters;
greedy decoding gives printable tokens only and never the end-of-sequence token. Attention is weak on purpose: what
comes next depends on the last token far more than on what stood before, so that a nonce in front of a canary's prompt
leaves the first token as it is, and moves its logprob by less than 0.2.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import gguf
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

EMBEDDING: Final = 64
HEADS: Final = 4
LAYERS: Final = 2
FEED_FORWARD: Final = 128
CONTEXT: Final = 4096
_RECIPE: Final = 1  # part of the file's name: raise it with every change of the bytes
_FIRST_PRINTABLE: Final = 3 + 256  # after three control tokens and all bytes
_PRINTABLE: Final = ("\u2581", *(chr(code) for code in range(33, 127)))  # U+2581 is SentencePiece's space
_CHAT_TEMPLATE: Final = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"


@dataclass(frozen=True, slots=True)
class Model:
    """A model file. `version` names it in `/v1/models`."""

    seed: int
    version: str
    path: Path


def model_version(seed: int) -> str:
    """The name under which a replica serves the model of this seed, such as `tiny-llama-v7`."""
    return f"tiny-llama-v{seed}"


def tiny_model(seed: int, directory: Path) -> Model:
    """The model of this seed, written to a folder of its own unless it is there. Safe for several processes at once.

    The folder is called as the version, which an engine says with the path that it has loaded.
    """
    path = directory / model_version(seed) / f"tiny.r{_RECIPE}.gguf"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.part")
        _write(unfinished, seed)
        unfinished.replace(path)
    return Model(seed, model_version(seed), path)


def _write(path: Path, seed: int) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    _add_metadata(writer, seed)
    for name, tensor in _tensors(seed).items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_metadata(writer: Any, seed: int) -> None:
    writer.add_name(model_version(seed))
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(EMBEDDING)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(EMBEDDING // HEADS)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    control, byte, normal = gguf.TokenType.CONTROL, gguf.TokenType.BYTE, gguf.TokenType.NORMAL
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{number:02X}>" for number in range(256)), *_PRINTABLE]
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list([token.encode() for token in tokens])
    writer.add_token_scores([0.0] * _FIRST_PRINTABLE + [-float(rank + 1) for rank in range(len(_PRINTABLE))])
    writer.add_token_types([gguf.TokenType.UNKNOWN, control, control] + [byte] * 256 + [normal] * len(_PRINTABLE))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(_CHAT_TEMPLATE)


def _tensors(seed: int) -> dict[str, npt.NDArray[np.float32]]:
    generator = np.random.default_rng(seed)

    def noise(rows: int, columns: int, scale: float) -> npt.NDArray[np.float32]:
        return (generator.standard_normal((rows, columns)) * scale).astype(np.float32)

    vocabulary = _FIRST_PRINTABLE + len(_PRINTABLE)
    embedding = noise(vocabulary, EMBEDDING, 1.0)
    embedding[:, 0] = 4.0  # a constant feature: column 0 of the output acts as a bias
    output = noise(vocabulary, EMBEDDING, 0.5)
    output[:, 0] = -8.0
    output[_FIRST_PRINTABLE:, 0] = 4.0  # so only printable tokens are ever likely
    ones = np.ones(EMBEDDING, np.float32)
    tensors = {"token_embd.weight": embedding, "output_norm.weight": ones, "output.weight": output}
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        tensors[block + "attn_norm.weight"] = ones
        tensors[block + "ffn_norm.weight"] = ones
        for name in ("attn_q", "attn_k", "attn_v"):
            tensors[f"{block}{name}.weight"] = noise(EMBEDDING, EMBEDDING, 0.1)
        tensors[block + "attn_output.weight"] = noise(EMBEDDING, EMBEDDING, 0.005)
        tensors[block + "ffn_gate.weight"] = noise(FEED_FORWARD, EMBEDDING, 0.1)
        tensors[block + "ffn_up.weight"] = noise(FEED_FORWARD, EMBEDDING, 0.1)
        tensors[block + "ffn_down.weight"] = noise(EMBEDDING, FEED_FORWARD, 0.1)
    return tensors
