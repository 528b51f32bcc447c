"""What was deployed of a Lambda function, as its processes see it: code, layers, variables and its role."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tempfile
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from moto.awslambda import models as lambda_models
from moto.sts.models import sts_backends

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NETWORK: Final = Path(__file__).with_name("worker_network")


class Archives:
    """Zip archives, each unpacked once for each content. `python` compiles what is in them."""

    def __init__(self, folder: Path, python: Path) -> None:
        self._folder = folder
        self._python = python
        self._lock = threading.Lock()

    def unpacked(self, archive: bytes) -> Path:
        """A folder with the archive's files and their bytecode."""
        folder = self._folder / hashlib.sha256(archive).hexdigest()[:24]
        with self._lock:
            if not folder.exists():
                self._folder.mkdir(parents=True, exist_ok=True)
                building = Path(tempfile.mkdtemp(dir=self._folder, prefix="building-"))
                with zipfile.ZipFile(io.BytesIO(archive)) as files:
                    files.extractall(building)
                command = [str(self._python), "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "."]
                subprocess.run(command, cwd=building, check=False, capture_output=True)
                building.rename(folder)
        return folder


def version(function: Any) -> str:
    """Differs when anything differs that a process has from its start: an update replaces the processes."""
    parts = [
        function.code_sha_256,
        [layer["Arn"] for layer in function.layers],
        function.environment_vars,
        function.handler,
        function.role,
        function.memory_size,
        function.run_time,
        _logging(function),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def layer_archives(function: Any) -> Sequence[bytes]:
    """The archives of a function's layers, in their order."""
    backend = lambda_models.lambda_backends[function.account_id][function.region]
    return [backend.layers_versions_by_arn(layer["Arn"]).code_bytes for layer in function.layers]


def variables(
    function: Any, code: Path, layers: Sequence[Path], endpoint_url: str, attachment: Mapping[str, str]
) -> dict[str, str]:
    """The whole environment of a process: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html.

    `attachment`: what attaches it to its Region's network, no part of AWS.
    """
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        "_HANDLER": function.handler,
        "LAMBDA_TASK_ROOT": str(code),
        # As on Lambda: /var/task, then /opt/python.
        "PYTHONPATH": os.pathsep.join([str(code), *(str(layer / "python") for layer in layers), str(_NETWORK)]),
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.run_time}",
        "AWS_REGION": function.region,
        "AWS_DEFAULT_REGION": function.region,
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_LAMBDA_FUNCTION_NAME": function.function_name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.function_name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "sandbox",
        **_logging(function),
        **_credentials(function),
        **function.environment_vars,
        **attachment,
    }


def _logging(function: Any) -> dict[str, str]:
    # moto has no place for it: whoever creates the function may set `logging_config`. Without it, JSON, which the
    # template's Globals ask for; a template test holds that they do.
    config = getattr(function, "logging_config", None) or {"LogFormat": "JSON"}
    if config.get("LogFormat") != "JSON":
        return {"AWS_LAMBDA_LOG_FORMAT": "Text"}
    return {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": config.get("ApplicationLogLevel", "INFO")}


def _credentials(function: Any) -> dict[str, str]:
    assumed = sts_backends[function.account_id][function.partition].assume_role(
        region_name=function.region,
        role_session_name=function.function_name,
        role_arn=function.role,
        policy=None,
        duration=43_200,
        external_id=None,
    )
    return {
        "AWS_ACCESS_KEY_ID": assumed.access_key_id,
        "AWS_SECRET_ACCESS_KEY": assumed.secret_access_key,
        "AWS_SESSION_TOKEN": assumed.session_token,
    }
