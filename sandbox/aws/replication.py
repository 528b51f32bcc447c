"""S3's own replication: what is written under a bucket's rule is really copied to the other Regions' buckets.

moto keeps the rules and does nothing about them. What AWS documents (S3 user guide, "Replicating objects within and
across Regions", "Replicating encrypted objects", "Getting replication status information"):

- a rule is refused unless both buckets are versioned and the destination exists;
- an object is taken when it is written, never one that was there before, never a replica; one under KMS only where the
  rule says so, and its replica is encrypted with the rule's key. The copy is made by the rule's role, which needs
  permissions on both buckets and both keys;
- the source says PENDING until all destinations have it, and FAILED, for good, where one was refused; the replica has
  the same version id, checksum and metadata, and says REPLICA.

A copy begins at once and takes no time: on AWS it takes seconds to minutes. Of a rule's filter the prefix is heeded.
"""

from __future__ import annotations

import json
import queue
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from moto.core.responses import ActionResult
from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.s3.exceptions import ReplicationConfigurationNotFoundError, S3ClientError
from moto.s3.models import FakeKey, S3Backend, s3_backends
from moto.s3.responses import S3Response

from sandbox.aws.authorization import Caller
from sandbox.aws.policies import is_allowed, role_documents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sandbox.aws.authorization import Authorizer

PENDING, COMPLETED, FAILED, REPLICA = "PENDING", "COMPLETED", "FAILED", "REPLICA"
_SERVICE: Final = "s3.amazonaws.com"
_STATUS: Final = "x-amz-replication-status"


class Replication:
    """Takes what is written under a rule, and copies it in the background, one object after the other."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer
        self._written = threading.local()
        self._taken: queue.SimpleQueue[tuple[Any, Any, list[Mapping[str, Any]]] | None] = queue.SimpleQueue()
        self._goes_on = threading.Event()
        self._goes_on.set()
        self._failing: list[str] = []
        self._thread = threading.Thread(target=self._run, name="s3-replication", daemon=True)

    @contextmanager
    def failing(self, part: str) -> Iterator[None]:
        """Objects that hold this in their key cannot be replicated meanwhile: they end as FAILED."""
        self._failing.append(part)
        try:
            yield
        finally:
            self._failing.remove(part)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is brought meanwhile, as when the other Region is away: objects stay PENDING."""
        self._goes_on.clear()
        try:
            yield
        finally:
            self._goes_on.set()

    def install(self) -> Callable[[], None]:
        """Have moto's S3 replicate. The result takes it back and ends the thread."""
        put, configure = S3Backend.put_object, S3Backend.put_bucket_replication
        answer, described, told = S3Response._key_response, FakeKey.response_dict, S3Response.get_bucket_replication

        def put_object(backend: Any, bucket_name: str, *args: Any, **named: Any) -> Any:
            key = put(backend, bucket_name, *args, **named)
            self._take(backend.get_bucket(bucket_name), key)
            return key

        def key_response(response: Any, *args: Any, **named: Any) -> Any:
            try:
                return answer(response, *args, **named)
            finally:  # only now the object has all that belongs to it: its checksum is set last
                self._hand_over()

        def put_bucket_replication(backend: Any, bucket_name: str, replication: dict[str, Any]) -> None:
            given = replication["Rule"]
            for rule in given if isinstance(given, list) else [given]:
                _check_destination(backend, bucket_name, rule)
            configure(backend, bucket_name, replication)

        S3Backend.put_object, S3Backend.put_bucket_replication = put_object, put_bucket_replication
        S3Response._key_response, S3Response.get_bucket_replication = key_response, _get_bucket_replication
        FakeKey.response_dict = property(lambda key: {**described.fget(key), **_status(key)})
        self._thread.start()

        def take_back() -> None:
            S3Backend.put_object, S3Backend.put_bucket_replication = put, configure
            S3Response._key_response, S3Response.get_bucket_replication = answer, told
            FakeKey.response_dict = described
            self._taken.put(None)
            self._goes_on.set()
            self._thread.join()

        return take_back

    def _take(self, bucket: Any, key: Any) -> None:
        rules = [rule for rule in _rules(bucket) if _takes(rule, key)]
        if rules:
            key.replication_status = PENDING
            self._written.__dict__.setdefault("keys", []).append((bucket, key, rules))

    def _hand_over(self) -> None:
        for each in self._written.__dict__.pop("keys", ()):
            self._taken.put(each)

    def _run(self) -> None:
        while (taken := self._taken.get()) is not None:
            self._goes_on.wait()
            bucket, key, rules = taken
            brought = [self._bring(bucket, key, rule) for rule in rules]
            key.replication_status = COMPLETED if all(brought) else FAILED

    def _bring(self, bucket: Any, key: Any, rule: Mapping[str, Any]) -> bool:
        account, destination = bucket.account_id, _destination(bucket.account_id, rule)
        role = bucket.replication["Role"].rpartition("/")[2]
        if any(part in key.name for part in self._failing) or destination is None or not _is_trusting(account, role):
            return False
        here, there = f"arn:aws:s3:::{bucket.name}", f"arn:aws:s3:::{destination.name}"
        needed = (
            ("s3:GetReplicationConfiguration", here, bucket),
            ("s3:ListBucket", here, bucket),
            ("s3:GetObjectVersionForReplication", f"{here}/{key.name}", bucket),
            ("s3:GetObjectVersionAcl", f"{here}/{key.name}", bucket),
            ("s3:ReplicateObject", f"{there}/{key.name}", destination),
        )
        for action, resource, where in needed:
            caller = Caller(role, "s3-replication", account, where.region_name)
            context = {"aws:RequestedRegion": where.region_name, "aws:SecureTransport": "true"}
            if self._authorizer.check(caller, action, resource, context) is not None:
                return False
        replica_key = rule["Destination"].get("EncryptionConfiguration", {}).get("ReplicaKmsKeyID", "")
        if key.encryption == "aws:kms" and not (
            _may_use(account, role, bucket.region_name, key.kms_key_id, "kms:Decrypt")
            and _may_use(account, role, destination.region_name, replica_key, "kms:Encrypt")
        ):
            return False
        _write_replica(destination, key, replica_key or None)
        return True


def _rules(bucket: Any) -> list[Mapping[str, Any]]:
    return list((getattr(bucket, "replication", None) or {}).get("Rule", ()))


def _takes(rule: Mapping[str, Any], key: Any) -> bool:
    prefix = (rule.get("Filter") or {}).get("Prefix") or ""
    encrypted = rule.get("SourceSelectionCriteria", {}).get("SseKmsEncryptedObjects", {}).get("Status")
    is_readable = key.encryption != "aws:kms" or encrypted == "Enabled"
    return bool(rule["Status"] == "Enabled" and key.name.startswith(prefix) and is_readable)


def _destination(account: str, rule: Mapping[str, Any]) -> Any:
    return s3_backends[account]["aws"].buckets.get(rule["Destination"]["Bucket"].rpartition(":")[2])


def _check_destination(backend: Any, bucket_name: str, rule: Mapping[str, Any]) -> None:
    destination = _destination(backend.account_id, rule)
    if destination is None:
        raise S3ClientError("InvalidRequest", "Destination bucket must exist.")
    if not destination.is_versioned:
        raise S3ClientError("InvalidRequest", "Destination bucket must have versioning enabled.")
    if destination.name == bucket_name:
        raise S3ClientError("InvalidRequest", "Destination bucket cannot be the same as the source bucket.")


def _is_trusting(account: str, role: str) -> bool:
    """Whether the role lets S3 act under it."""
    try:
        document = iam_backends[account]["aws"].get_role(role).assume_role_policy_document
    except NotFoundException:
        return False
    statements = (json.loads(document) if isinstance(document, str) else document)["Statement"]
    return any(each["Effect"] == "Allow" and each["Principal"].get("Service") == _SERVICE for each in statements)


def _may_use(account: str, role: str, region: str, key_id: str, action: str) -> bool:
    """Whether a role may use a key through S3: by what the key's policy grants to everybody, or by its own policies."""
    backend = kms_backends[account][region]
    if not key_id or (key_id.startswith("arn:") and key_id.split(":")[3] != region):
        return False
    name = backend.get_alias_name(key_id)
    found = backend.get_key_id_from_alias(name) if name.startswith("alias/") else name
    key = backend.keys.get(backend.get_key_id(found or ""))
    if key is None:
        return False
    policy = json.loads(key.policy) if isinstance(key.policy, str) else key.policy
    open_to_all = [each for each in policy["Statement"] if each["Principal"] in ("*", {"AWS": "*"})]
    context = {"kms:CallerAccount": account, "kms:ViaService": f"s3.{region}.amazonaws.com"}
    documents = [{"Statement": open_to_all}, *role_documents(account, role)]
    return is_allowed(documents, action, key.arn, context)


def _write_replica(destination: Any, key: Any, kms_key_id: str | None) -> None:
    replica = FakeKey(
        name=key.name,
        value=key.value,
        account_id=destination.account_id,
        region_name=destination.region_name,
        storage=key.storage_class,
        etag=key.etag.strip('"'),
        is_versioned=True,
        version_id=key.version_id,
        multipart=key.multipart,
        bucket_name=destination.name,
        encryption=key.encryption,
        kms_key_id=kms_key_id,
        bucket_key_enabled=key.bucket_key_enabled,
        checksum_value=key.checksum_value,
        checksum_type=key.checksum_type,
        checksum_parts=key.checksum_parts,
    )
    replica.checksum_algorithm = key.checksum_algorithm
    replica.set_metadata(dict(key.metadata))
    replica.replication_status = REPLICA
    destination.keys.setlist(key.name, [*destination.keys.getlist(key.name, []), replica])


def _status(key: Any) -> dict[str, str]:
    status = getattr(key, "replication_status", None)
    return {_STATUS: status} if status else {}


def _get_bucket_replication(response: Any) -> Any:
    """The rules as they were put: moto leaves out what it does not know."""
    response.data["Action"] = "GetBucketReplication"
    found = response.backend.get_bucket_replication(response.bucket_name)
    if not found:
        raise ReplicationConfigurationNotFoundError(bucket_name=response.bucket_name)
    configuration = {"Role": found["Role"], "Rules": found["Rule"]}
    return response.serialized(ActionResult({"ReplicationConfiguration": configuration}))
