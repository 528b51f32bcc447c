"""Runs Python modules in forks of itself: they begin with the libraries that this process has imported already.

Run as a file, by the interpreter that the modules want:

    python fork_server.py CHANNEL_FD LIBRARY...

A request is one message on the channel, a Unix socket of the kind SOCK_SEQPACKET: JSON with `module`, `arguments`,
`environment` (the whole of it) and `directory`, and with it three descriptors: standard input, output and error. Each
is answered by `{"started": pid}`; when a fork ends, `{"ended": pid, "status": status}` follows, a status as
`subprocess` has it. The server ends, and its forks with it, when the other side closes the channel. Linux only.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import site
import socket
import sys
import time
import traceback
from typing import Any, NoReturn

MOST_BYTES = 1 << 17
"""Of a request: an environment, by far the most of it, has at most 4 KB on Lambda."""
PR_SET_PDEATHSIG = 1


def import_libraries(names: list[str]) -> None:
    """What every fork has from its beginning. boto3 is taken as far as its first client: what that reads from the
    service descriptions stays, and no credentials are looked for."""
    for name in names:
        importlib.import_module(name)
    if boto3 := sys.modules.get("boto3"):
        nobody = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nobody"}
        boto3.client("dynamodb", region_name="us-east-1", **nobody)
    gc.collect()
    gc.freeze()  # else the first collection of each fork would copy every page


def serve(channel: socket.socket) -> None:
    """Answer requests until the other side is gone."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(writing)
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([channel.fileno(), reading], [], [])
        if reading in ready:
            os.read(reading, MOST_BYTES)
            tell_of_ends(channel)
        if channel.fileno() in ready:
            message, descriptors, _, _ = socket.recv_fds(channel, MOST_BYTES, 3)
            if not message:
                return
            server = os.getpid()
            if (pid := os.fork()) == 0:
                become(json.loads(message), descriptors, server)
            for descriptor in descriptors:
                os.close(descriptor)
            channel.send(json.dumps({"started": pid}).encode())


def tell_of_ends(channel: socket.socket) -> None:
    """Reap what has ended."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        channel.send(json.dumps({"ended": pid, "status": os.waitstatus_to_exitcode(status)}).encode())


def become(request: dict[str, Any], descriptors: list[int], server: int) -> NoReturn:
    """In the fork: have nothing of the server but its libraries, and run the module as `python -m` does."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        end_with(server)
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        os.closerange(3, 1024)
        run(request)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter does with what nobody catches
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def end_with(server: int) -> None:
    """Have the kernel end this fork when its server ends. Raises OSError where it cannot, or where that has ended."""
    if ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError("the kernel does not promise to end this fork with its server")
    if os.getppid() != server:
        raise OSError("the server ended before the kernel was asked")


def run(request: dict[str, Any]) -> None:
    """The module, with its own environment, directory, arguments and path."""
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.chdir(request["directory"])
    added = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    sys.path[:] = [request["directory"], *added, *sys.path[1:]]
    site.execsitecustomize()
    sys.argv = [request["module"], *request["arguments"]]
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    import_libraries(sys.argv[2:])
    serve(socket.socket(fileno=int(sys.argv[1])))
