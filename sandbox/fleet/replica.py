"""One replica: a real llama.cpp server with a tiny model, as a child process.

It speaks what llama.cpp speaks: /health, /v1/models, /v1/completions (SSE when streaming), /metrics, /slots.
Facts on it, tried with xllamacpp 2026.10: while all slots are busy /health stays 200 and a new completion waits; a
stopped process still accepts connections (the kernel does) and answers nothing; `llamacpp:tokens_predicted_total`
moves only at the end of a request, `llamacpp:n_decode_total` with every token.
"""

from __future__ import annotations

import argparse
import signal
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self

from sandbox.processes import Child

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sandbox.fleet.models import Model

CONTEXT_PER_SLOT: Final = 4096
PREFILL_BATCH: Final = 256
"""Tokens of a prompt in one decode step: engines take a long prompt in pieces, and count each."""
HTTP_THREADS: Final = 64  # a waiting completion holds one, and /health must answer while the slots are full


class Replica:
    """Parent's handle. Nothing runs before `start`. The address is free again when `kill` or `close` returns."""

    def __init__(
        self, address: str, port: int, model: Model, *, slots: int = 4, log: Path | None = None, name: str = ""
    ) -> None:
        self.address = address
        self.port = port
        self.model = model
        self.name = name or f"replica {address}:{port}"
        self._slots = slots
        self._log = log
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """Such as `http://127.11.1.4:8000`."""
        return f"http://{self.address}:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether the process exists; a paused one does."""
        return self._child is not None and self._child.alive

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        return self._child.pid if self._child is not None and self._child.alive else None

    @property
    def serving_pid(self) -> int | None:
        """None until it serves."""
        return self._child.pid if self._child is not None and self._child.is_ready else None

    def load(self, folder: Path) -> None:
        """Serves the model of this folder from its next start on, under the name of before."""
        (path,) = folder.glob("*.gguf")
        self.model = replace(self.model, path=path)

    def begin(self) -> None:
        """Starts the process and does not wait. Does nothing when it runs."""
        if self.alive:
            return
        self.close()
        options = ("--address", self.address, "--port", str(self.port), "--slots", str(self._slots))
        model = ("--model", str(self.model.path), "--alias", self.model.version)
        self._child = Child.of_module(self.name, "sandbox.fleet.replica", *options, *model, log=self._log)

    def wait_until_ready(self, timeout_seconds: float = 20.0) -> None:
        """Returns once it serves. Raises ChildError when it does not."""
        if self._child is None:
            raise RuntimeError(f"{self.name} was never started: call begin() first")
        self._child.wait_until_ready(timeout_seconds)

    def start(self) -> Self:
        """Starts it and returns once it serves."""
        self.begin()
        self.wait_until_ready()
        return self

    def kill(self) -> None:
        """SIGKILL: connections are reset, streams are cut, the port refuses."""
        self.close()

    def pause(self) -> None:
        """SIGSTOP: it connects and never answers."""
        if self._child is not None:
            self._child.stop()

    def resume(self) -> None:
        """SIGCONT: it goes on where it was paused."""
        if self._child is not None:
            self._child.resume()

    def restart(self, model: Model | None = None) -> None:
        """Ends it, paused or not, and starts it again, with another model if one is given."""
        self.close()
        self.model = model or self.model
        self.start()

    def close(self) -> None:
        """Ends it. May be called again."""
        if self._child is not None:
            self._child.close()
            self._child = None


def serve(address: str, port: int, *, model: str, alias: str, slots: int) -> None:
    """Runs the server until SIGTERM, in the process that calls it."""
    import xllamacpp  # here, so that the parent does not load it

    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.model_alias = {alias}
    parameters.hostnames = [address]
    parameters.port = port
    parameters.n_parallel = slots
    parameters.n_ctx = CONTEXT_PER_SLOT * slots
    parameters.n_batch = PREFILL_BATCH
    parameters.n_threads_http = HTTP_THREADS
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = 1
    parameters.endpoint_metrics = True
    parameters.endpoint_slots = True
    parameters.cache_ram_mib = 0  # else every prompt is kept, 8 GiB of them, and each request looks through all
    parameters.warmup = False
    parameters.ui = False
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    server = xllamacpp.Server(parameters)
    print("ready", server.listening_address, flush=True)
    ended.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """`python -m sandbox.fleet.replica`; see `Replica`."""
    parser = argparse.ArgumentParser(description="One llama.cpp server with a tiny model")
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", required=True, help="a GGUF file")
    parser.add_argument("--alias", required=True, help="the name in /v1/models")
    parser.add_argument("--slots", type=int, default=4, help="requests served at once")
    options = parser.parse_args(arguments)
    serve(options.address, options.port, model=options.model, alias=options.alias, slots=options.slots)


if __name__ == "__main__":
    main()
