# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Copies of backup sets in an object store, by rclone.

A set lies under its name below the prefix. `manifest.json` is uploaded last, after the others were compared: a set without it is
an interrupted upload, which the next upload completes and no restore ever takes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import typing as t
from dataclasses import dataclass, field, replace

from ..command import Command, Place, run
from ..errors import CommandFailed, DeadlineExceeded, SetDamaged, Unreachable
from ..files import fsync_tree, require_space
from ..pipeline import Pipeline
from ..progress import Progress
from .arrivals import Arrivals, InBackground
from .catalogue import list_sets
from .hashing import check_files, damaged
from .in_use import CHOSEN
from .sets import BackupSet, SetWriter, read_set

_SEALS = ("manifest.json.sha256", "manifest.json")
"""What tells of a set; `manifest.json` is sent last of all."""
_SEALS_BYTES = 1 << 20
"""Room for what is not among a set's files: manifest, its checksum, proofs."""
_LONG_PATIENCE = ("--retries", "3", "--low-level-retries", "5")
_SHORT_PATIENCE = ("--retries", "1", "--low-level-retries", "2", "--timeout", "5s")
"""For transfers, and for questions: somebody waits for the answer, and a dead store must be told within seconds."""
_QUESTION_S = 45.0


@dataclass(frozen=True)
class ObjectStore:
    """Where the copies are kept.

    Attributes:
        endpoint: URL of an S3 service; empty for Amazon's own.
        bucket: Bucket, which must exist.
        prefix: Folder in the bucket.
        region: Region; empty for the service's default.
        access_key: Access key.
        secret_key: Secret key.
        ca_file: Certificates that the service's must lead to; empty for the system's.
        tool_folder: Folder of rclone; empty for the search path.
    """

    bucket: str
    endpoint: str = ""
    prefix: str = ""
    region: str = ""
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    ca_file: str = ""
    tool_folder: str = ""

    def __str__(self) -> str:
        return f"s3://{self.path()}" + (f" at {self.endpoint}" if self.endpoint else "")

    def path(self, *parts: str) -> str:
        """Bucket, prefix and further parts as one path."""
        return "/".join([self.bucket, *(part.strip("/") for part in (self.prefix, *parts) if part.strip("/"))])

    def remote(self, *parts: str) -> str:
        """The same in rclone's words; the remote is described by the environment (rclone manual, Environment Variables)."""
        return "offsite:" + self.path(*parts)

    def command(self, *arguments: str) -> Command:
        """A call of rclone that can reach the store; the keys are in its environment alone."""
        place = Place(tool_folder=self.tool_folder)
        environment = {
            "RCLONE_CONFIG": os.devnull,
            "RCLONE_CONFIG_OFFSITE_TYPE": "s3",
            "RCLONE_CONFIG_OFFSITE_PROVIDER": "Other" if self.endpoint else "AWS",
            "RCLONE_CONFIG_OFFSITE_ENDPOINT": self.endpoint,
            "RCLONE_CONFIG_OFFSITE_REGION": self.region,
            "RCLONE_CONFIG_OFFSITE_FORCE_PATH_STYLE": "true" if self.endpoint else "false",
            "RCLONE_CONFIG_OFFSITE_NO_CHECK_BUCKET": "true",
            "RCLONE_CA_CERT": self.ca_file,
        }
        secrets = {"RCLONE_CONFIG_OFFSITE_ACCESS_KEY_ID": self.access_key, "RCLONE_CONFIG_OFFSITE_SECRET_ACCESS_KEY": self.secret_key}
        if not self.access_key:
            environment["RCLONE_CONFIG_OFFSITE_ENV_AUTH"] = "true"
        return Command(
            [place.program("rclone"), "--contimeout", "10s", "--timeout", "60s", *arguments],
            environment={key: value for key, value in environment.items() if value},
            secrets={key: value for key, value in secrets.items() if value},
        )

    def call(self, *arguments: str) -> str:
        """Run a short rclone command and return what it prints.

        Raises:
            Unreachable: The store did not answer or refused.
        """
        try:
            return run(replace(self.command(*arguments, *_SHORT_PATIENCE), timeout_s=_QUESTION_S)).stdout
        except CommandFailed as error:
            raise self.unreachable(error.why) from error
        except DeadlineExceeded as error:
            raise self.unreachable(f"it did not answer within {_QUESTION_S:g} s") from error

    def transfer(self, progress: Progress, step: str, total: int, *arguments: str) -> None:
        """Run a long rclone command, reporting its progress."""
        command = self.command(*arguments, *_LONG_PATIENCE, "--stats", "1s", "--use-json-log", "--stats-log-level", "NOTICE")
        try:
            with Pipeline(command, stdout=subprocess.DEVNULL) as pipeline:
                pipeline.watch(lambda: progress.say(step, _transferred(pipeline.said(0)), total, "bytes"))
        except CommandFailed as error:
            raise self.unreachable(error.why) from error

    def unreachable(self, said: str) -> Unreachable:
        """The error for a call that failed, with the cause among what rclone said."""
        return Unreachable(
            "The object store could not be used",
            where=str(self),
            why=_cause(said),
            next_step="check that it runs, that the bucket exists and that its keys in the inventory's secrets are right; "
            "what was uploaded is kept and completed by the next run",
        )


def _transferred(said: str) -> int:
    for line in reversed(said.splitlines()):
        try:
            return int(json.loads(line)["stats"]["bytes"])
        except (ValueError, KeyError, TypeError):
            continue
    return 0


def _cause(said: str) -> str:
    """What an S3 service or the network said, without what rclone says around it, each thing once."""
    messages = []
    for part in said.split("; "):
        try:
            entry = json.loads(part)
        except ValueError:
            messages.append(_PREFIX.sub("", part))
            continue
        if entry.get("level") in ("error", "critical"):
            messages.append(entry.get("msg", ""))
    telling = [found for message in messages for found in _TELLING.findall(message)]
    text = "; ".join(dict.fromkeys(text.strip() for text in telling or messages if text.strip())) or said
    return text.replace("directory not found", "the bucket was not found")[-600:]


_PREFIX = re.compile(r"^\d{4}/\d\d/\d\d [\d:]{8} [A-Z]+ *: *")
_TELLING = re.compile(r"(?<=api error )\w+: .*?(?=\.?$)|dial tcp.*|x509: .*|tls: .*|net/http: .*|directory not found")


def upload(store: ObjectStore, backup_set: BackupSet, *, download_check: bool = False) -> t.Dict[str, t.Any]:
    """Copy a set into the store, compare checksums there, then add the manifest; what is there already is not sent again.

    Args:
        store: The store.
        backup_set: The set; its files are checked first.
        download_check: Compare by reading everything back instead of by the checksums that the store keeps.

    Returns:
        `changed`, `location`, `bytes`.

    Raises:
        SetDamaged: The set, or the copy, is not what the manifest says.
        Unreachable: The store failed.
    """
    remote = store.remote(backup_set.id)
    there = is_complete(store, backup_set.id)
    if there and not _differences(store, backup_set, ["proof.json", CHOSEN]):
        upload_proof(store, backup_set)
        return {"changed": False, "location": f"s3://{store.path(backup_set.id)}", "bytes": 0}
    progress = Progress(f"Copying {backup_set.id} off-site")
    if there:
        backup_set.require_whole()  # what is there may be the better one of the two
    reading = InBackground(lambda: [] if there else backup_set.problems(jobs=1))
    last = ["manifest.json", CHOSEN]
    store.transfer(progress, "uploading", backup_set.size_bytes, "copy", backup_set.folder, remote, *_excluding(last))
    progress.say("comparing checksums")
    problems = reading.result()
    if problems:
        store.call("purge", remote)
        raise damaged(backup_set.folder, problems)
    differing = _differences(store, backup_set, last, download_check=download_check)
    if differing:
        raise SetDamaged(
            f"The off-site copy of {backup_set.id} differs",
            where=str(store),
            why="missing, or with other content: " + ", ".join(differing[:5]),
            next_step="run the off-site copy again",
        )
    store.call("copyto", backup_set.path("manifest.json"), f"{remote}/manifest.json")
    return {"changed": True, "location": f"s3://{store.path(backup_set.id)}", "bytes": backup_set.size_bytes}


def upload_proof(store: ObjectStore, backup_set: BackupSet) -> None:
    """Bring what has been proven of a set to its copy."""
    if os.path.exists(backup_set.path("proof.json")):
        store.call("copyto", backup_set.path("proof.json"), store.remote(backup_set.id, "proof.json"))


def _excluding(names: t.Sequence[str]) -> t.List[str]:
    return [flag for name in names for flag in ("--exclude", "/" + name)]


def _differences(store: ObjectStore, one: BackupSet, leave_out: t.Sequence[str], *, download_check: bool = False) -> t.List[str]:
    """The files of a set whose copy is missing or has another checksum."""
    how = ["--download"] if download_check else []
    command = store.command(
        "check", one.folder, store.remote(one.id), "--one-way", "--combined", "-", *how, *_excluding(leave_out), *_LONG_PATIENCE
    )
    done = run(command, check=False)
    differing = [line[2:] for line in done.stdout.splitlines() if line[:2] in ("+ ", "* ")]
    if done.status != 0 and not differing:
        raise store.unreachable("; ".join(done.stderr.strip().splitlines()))
    return differing


def is_complete(store: ObjectStore, name: str) -> bool:
    """Whether the store holds the set with its manifest."""
    return name in list_remote(store, name)


def list_remote(store: ObjectStore, name: str = "*") -> t.List[str]:
    """Names of the complete sets in the store, the newest first."""
    # Without the slash rclone asks whether the prefix is a file, and takes a refusal for a yes.
    deep = ("--files-only", "--recursive", "--max-depth", "2", "--include", f"/{name}/manifest.json")
    found = store.call("lsf", store.remote() + "/", *deep)
    return sorted((line.split("/")[0] for line in found.splitlines() if line), reverse=True)


def remote_sets(store: ObjectStore) -> t.List[BackupSet]:
    """The complete sets in the store, the newest first, by their manifests and proofs alone: their folders are not here."""
    with tempfile.TemporaryDirectory(prefix="sre-runbooks-") as folder:
        seals = [flag for name in (*_SEALS, "proof.json") for flag in ("--include", f"/*/{name}")]
        store.call("copy", store.remote() + "/", folder, *seals)
        return [one for one in list_sets(folder) if os.path.exists(one.path("manifest.json"))]


def require_room(one: BackupSet, backup_folder: str) -> None:
    """Raise NoSpace unless a set of the store fits into the backup folder, which may not exist yet."""
    require_space(backup_folder, one.size_bytes + _SEALS_BYTES)


def download(store: ObjectStore, name: str, backup_folder: str) -> BackupSet:
    """Fetch a set from the store into the backup folder; it gets its name only when every file has its checksum.

    Raises:
        SetDamaged: The copy is not what its manifest says.
        NoSpace: There is too little room.
    """
    progress = Progress(f"Fetching {name} from off-site")
    size = int(json.loads(store.call("size", store.remote(name), "--json"))["bytes"])
    require_space(backup_folder, size + _SEALS_BYTES)
    with SetWriter(backup_folder, "fetched", "offsite") as writer:
        with Arrivals(writer.folder) as arrived:
            store.transfer(progress, "downloading", size, "copy", store.remote(name), writer.folder)
        progress.say("checking")
        fetched = read_set(writer.folder)
        problems = fetched.damage or check_files(writer.folder, fetched.manifest["files"], hashed=arrived.sha256)
        if problems:
            raise damaged(os.path.join(os.path.abspath(backup_folder), name), problems)
        fsync_tree(writer.folder)
        final = os.path.join(os.path.abspath(backup_folder), name)
        if os.path.isdir(final):  # the damaged one that this replaces: kept out of the way until the new one is in place
            damaged_name = os.path.join(os.path.abspath(backup_folder), f".{name}.partial")
            os.rename(final, damaged_name)
            os.rename(writer.folder, final)
            shutil.rmtree(damaged_name)
        else:
            os.rename(writer.folder, final)
    return read_set(final)
