# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Where a server's log is archived, and how: the words of a profile for one stanza of pgBackRest."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ..errors import BadInput
from ..postgresql.connection import Connection
from ..postgresql.exchange import Service

_PLAIN = re.compile(r"^[A-Za-z0-9_./-]+$")
"""What may stand in an archive_command: the server hands it to a shell, and % has a meaning there (manual, 26.3.1)."""


@dataclass(frozen=True)
class Repository:
    """Where pgBackRest keeps backups and the log.

    Attributes:
        type: `posix` for a folder, `s3` for an object store.
        path: The folder, or the path in the bucket.
        bucket: Name of the bucket.
        endpoint: Host, or host:port, of the object store; pgBackRest speaks HTTPS to it.
        region: Its region.
        access_key: Access key.
        secret_key: Secret key.
        ca_file: Certificates that the object store's must lead to; empty for the system's.
        uri_style: `host` or `path`: where the bucket's name stands.
        passphrase: Of the repository's encryption (aes-256-cbc); empty for none.
    """

    type: str = "posix"
    path: str = "/var/lib/pgbackrest"
    bucket: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    ca_file: str = ""
    uri_style: str = "host"
    passphrase: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise BadInput("The path of a pgBackRest repository begins with /", where=self.path, next_step="correct pitr.repository.path")
        if self.type == "s3" and not (self.bucket and self.endpoint and self.access_key and self.secret_key):
            raise BadInput(
                "A repository in an object store needs a bucket, an endpoint and both keys",
                next_step="complete pitr.repository of the store",
            )

    def __str__(self) -> str:
        return self.path if self.type == "posix" else f"s3://{self.bucket}{self.path} at {self.endpoint}"


@dataclass(frozen=True)
class Archive:
    """One server and its stanza.

    Attributes:
        stanza: Name of the stanza.
        service: The server: its data folder, account, programs, how it is stopped and started.
        connection: How to reach it.
        config_file: pgBackRest's configuration; ours alone.
        repository: Where all is kept.
        program: pgBackRest's program.
        compression: Algorithm and level, e.g. `zst:1`.
        jobs: Parallel jobs.
        keep_full: How many full backups stay, with the log since the oldest of them.
        keep_days: Days for which all can be restored; when given it counts instead of `keep_full`.
        archive_timeout_s: After so many seconds a segment with anything in it is archived though it is not full.
        wal_wait_s: Seconds to wait for a segment to be archived.
        lock_folder: Folder of pgBackRest's locks; empty for its own default.
        expected_identifier: `system_identifier` that the inventory names; empty for none.
    """

    stanza: str
    service: Service
    connection: Connection
    config_file: str
    repository: Repository
    program: str = "pgbackrest"
    compression: str = "zst:1"
    jobs: int = 2
    keep_full: int = 2
    keep_days: int = 0
    archive_timeout_s: int = 60
    wal_wait_s: int = 60
    lock_folder: str = ""
    expected_identifier: str = ""

    def __post_init__(self) -> None:
        for what, value in (("stanza", self.stanza), ("config_file", self.config_file), ("program", self.program)):
            if not _PLAIN.match(value):
                raise BadInput(f"pitr.{what} may hold letters, digits and _ . / - only", where=repr(value), next_step="choose another name")
        if not self.connection.place.is_host:
            raise BadInput(
                "Point in time works where the server's data folder is: on its own host",
                where=str(self.connection),
                next_step="run the procedure on the server's host, or use the logical method through the container or pod",
            )
        if self.keep_full < 1 or self.keep_days < 0 or self.archive_timeout_s < 1:
            raise BadInput("pitr keeps at least one full backup, and its times are positive", next_step="correct pitr of the store")


@dataclass(frozen=True)
class Backup:
    """One backup of a stanza, as `pgbackrest info` tells.

    Attributes:
        label: Its name.
        type: `full`, `diff` or `incr`.
        started: Seconds since 1970.
        stopped: Seconds since 1970; from here on every moment can be restored.
        wal_start: First segment that it needs.
        wal_stop: Last segment that it needs to be consistent.
        lsn_stop: Position in the log at which it is consistent.
        size_bytes: Size of the server's files.
        added_bytes: What it added to the repository.
        prior: Label of the backup that it builds on; empty for a full one.
        error: Whether pgBackRest found pages with wrong checksums in the server while it was taken.
    """

    label: str
    type: str
    started: int
    stopped: int
    wal_start: str
    wal_stop: str
    lsn_stop: str
    size_bytes: int
    added_bytes: int
    prior: str = ""
    error: bool = False

    @property
    def timeline(self) -> int:
        """The server's timeline when it was taken."""
        return int(self.wal_stop[:8], 16)

    def told(self) -> t.Dict[str, t.Any]:
        """What results show of it."""
        from .choice import utc

        return {
            "label": self.label,
            "type": self.type,
            "started_at": utc(self.started),
            "finished_at": utc(self.stopped),
            "size_bytes": self.size_bytes,
            "added_bytes": self.added_bytes,
            "builds_on": self.prior,
            "timeline": self.timeline,
            "has_page_errors": self.error,
        }
