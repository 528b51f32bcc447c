"""Any number of cheap engines in one process, for measurements of scale: `python stand_in_engines.py`.

Each speaks as much of llama.cpp's server as a prober asks for, under a path of its own (`/<name>/v1/completions`), and
computes nothing. It is well, unless its name begins with `late`: then it takes a second to its first token. Prints its
port, and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, Final

MODEL: Final = "stand-in"
VERSION: Final = "/models/stand-in.gguf"
FIRST_SECONDS, LATE_SECONDS, BETWEEN_SECONDS = 0.05, 1.0, 0.01
_TOKENS: Final = (" one", " two", " three", " four")
_PAGES: Final = {
    "/health": json.dumps({"status": "ok"}),
    "/props": json.dumps({"model_path": VERSION, "is_sleeping": False}),
    "/slots": json.dumps([{"id": 0, "is_processing": False}]),
    "/v1/models": json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model", "meta": {}}]}),
    "/metrics": "".join(
        f"# HELP llamacpp:{name} {name}.\n# TYPE llamacpp:{name} {kind}\nllamacpp:{name} {value}\n"
        for name, kind, value in (
            ("prompt_tokens_total", "counter", 4711),
            ("tokens_predicted_total", "counter", 815),
            ("n_decode_total", "counter", 900),
            ("n_busy_slots_per_decode", "counter", 1),
            ("predicted_tokens_seconds", "gauge", 33.5),
            ("requests_processing", "gauge", 0),
            ("requests_deferred", "gauge", 0),
        )
    ),
}


def _event(text: str, **more: Any) -> bytes:
    logprobs = {"content": [{"token": text, "logprob": -0.1, "top_logprobs": []}]} if text else None
    choice = {"text": text, "index": 0, "logprobs": logprobs, "finish_reason": None, **more}
    return b"data: " + json.dumps({"model": MODEL, "object": "text_completion", "choices": [choice]}).encode() + b"\n\n"


async def _complete(name: str, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
    await asyncio.sleep(LATE_SECONDS if name.startswith("late") else FIRST_SECONDS)
    for token in _TOKENS:
        writer.write(_event(token))
        await writer.drain()
        await asyncio.sleep(BETWEEN_SECONDS)
    writer.write(_event("", finish_reason="length") + b"data: [DONE]\n\n")


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One request a connection: a prober reuses none."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        _, name, path = head.split(" ")[1].split("/", 2)
        if path == "v1/completions":
            await _complete(name, writer)
        else:
            page = _PAGES.get(f"/{path}")
            body = (page or "").encode()
            status = "200 OK" if page else "404 Not Found"
            answer = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            writer.write(answer.encode() + body)
        await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        return  # whoever asked has gone
    finally:
        writer.close()


async def main() -> None:
    """Serve until whoever started this closes our standard input."""
    server = await asyncio.start_server(_serve, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
