"""An attempt's `requests.jsonl`: each POST is on disk before it is sent, then its answer. No headers, no keys.

Reading it back tells a later process what was asked, what may have been committed, and what is known.
"""

import hashlib
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftspec.providers.connect import Connection
from ftspec.providers.failures import Failure
from ftspec.providers.profiles import facts
from ftspec.spec.errors import DataError, ProviderError
from ftspec.storage import AppendLog, read_log
from ftspec.storage.files import sync_folder

NAME = "requests.jsonl"
SCHEMA = 1


def job_key(train_digest: str, attempt_id: str, nonce: str) -> str:
    """Return the key that names a job: 32 hex. The nonce keeps two checkouts with one attempt id apart."""
    import rfc8785

    named = rfc8785.dumps({"train": train_digest, "attempt": attempt_id, "nonce": nonce})
    return hashlib.sha256(b"ftspec/job/1\n" + named).hexdigest()[:32]


@dataclass
class Asked:
    """One kind of request (`job`, `file:train`): how often it was sent, and what came of it."""

    posts: int = 0
    unanswered: bool = False
    ambiguous: bool = False
    last: float = 0.0
    id: str | None = None

    @property
    def doubtful(self) -> bool:
        """Whether the host may hold an object that we have no id of."""
        return self.id is None and (self.unanswered or self.ambiguous)


@dataclass
class Journal:
    """The journal of one attempt, open for appending."""

    path: Path
    key: str
    started: float
    asked: dict[str, Asked]
    dropped_metadata: bool = False
    _log: AppendLog = field(kw_only=True, repr=False)

    def append(self, record: str, **values: Any) -> None:
        """Append one line; it is on the disk when this returns."""
        self._log.append({"record": record, "at": round(time.time(), 3), **values}, durable=True)

    def of(self, what: str) -> Asked:
        """What is known of one kind of request."""
        return self.asked.setdefault(what, Asked())

    def request(self, what: str, path: str, body: Any, **values: Any) -> None:
        """Note a POST that is about to be sent."""
        self.append("request", of=what, method="POST", path=path, body=body, **values)
        known = self.of(what)
        known.posts, known.unanswered, known.last = known.posts + 1, True, time.time()

    def answer(self, what: str, identifier: str, raw: Any, *, adopted: bool) -> None:
        """Note the object that the host answered with, or that was found again."""
        self.append("answer", of=what, status=200, id=identifier, adopted=adopted, body=raw)
        known = self.of(what)
        known.id, known.unanswered = identifier, False

    def failed(self, what: str, failure: Failure) -> None:
        """Note a POST that failed."""
        self.append("failure", of=what, ambiguous=failure.ambiguous, **failure.to_json())
        known = self.of(what)
        known.unanswered, known.ambiguous = False, known.ambiguous or failure.ambiguous

    def lost(self, what: str) -> None:
        """Note that an object is no longer there, so that it must be made again."""
        self.append("lost", of=what, id=self.of(what).id)
        self.asked[what] = Asked()

    def without_metadata(self, why: str) -> None:
        """Note that the host refuses metadata: requests go without from now on."""
        self.append("no_metadata", why=why[:2000])
        self.dropped_metadata = True

    def close(self) -> None:
        """Close the file."""
        self._log.close()


def open_journal(attempt: Path, connection: Connection, *, train_digest: str, attempt_id: str) -> Journal:
    """Open an attempt's journal; a new one begins with the intent, on disk with its folder entry.

    Raises ProviderError `other_account` where the attempt was begun at another address or project, DataError
    `other_training` where it belongs to another training.
    """
    path = attempt / NAME
    records = list(read_log(path))
    log = AppendLog(path)
    try:
        intent = next((record for record in records if record["record"] == "intent"), None)
        if intent is not None:
            _check_same(path, intent, connection, train_digest, attempt_id)
            journal = Journal(path, intent["key"], intent["at"], {}, _log=log)
            _replay(journal, records)
            return journal
        nonce = secrets.token_hex(16)
        journal = Journal(path, job_key(train_digest, attempt_id, nonce), time.time(), {}, _log=log)
        journal.append(
            "intent",
            schema=SCHEMA,
            base_url=connection.base_url,
            project=connection.project,
            identity=connection.identity,
            profile=connection.profile.id,
            profile_sha256=profile_sha256(connection),
            train_digest=train_digest,
            attempt=attempt_id,
            nonce=nonce,
            key=journal.key,
        )
        sync_folder(attempt)
        return journal
    except BaseException:
        log.close()
        raise


def read_intent(attempt: Path) -> dict[str, Any] | None:
    """Return the intent of an attempt, None where it has none."""
    return next((record for record in read_log(attempt / NAME) if record["record"] == "intent"), None)


def profile_sha256(connection: Connection) -> str:
    """Digest of the facts a request was built from: a corrected profile never rewrites what an old run did."""
    import rfc8785

    return hashlib.sha256(rfc8785.dumps(facts(connection.profile))).hexdigest()


def _check_same(path: Path, intent: dict[str, Any], connection: Connection, train_digest: str, attempt_id: str) -> None:
    if intent["identity"] != connection.identity:
        raise ProviderError(
            "other_account",
            f"this attempt was begun at {intent['identity']}, and now it is {connection.identity}",
            file=str(path),
            fix="go on with the same address and project, or start a new attempt",
        )
    if (intent["train_digest"], intent["attempt"]) != (train_digest, attempt_id):
        raise DataError("other_training", "this attempt belongs to another training", file=str(path))


def _replay(journal: Journal, records: list[dict[str, Any]]) -> None:
    """Fold the lines into what is known."""
    for record in records:
        what = record.get("of")
        if what is None:
            journal.dropped_metadata |= record["record"] == "no_metadata"
            continue
        known = journal.of(what)
        match record["record"]:
            case "request":
                known.posts, known.unanswered, known.last = known.posts + 1, True, record["at"]
            case "answer":
                known.id, known.unanswered = record["id"], False
            case "failure":
                known.unanswered, known.ambiguous = False, known.ambiguous or record["ambiguous"]
            case "lost":
                journal.asked[what] = Asked()
