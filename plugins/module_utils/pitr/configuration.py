# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""pgBackRest's configuration file for one stanza: rendered, compared, written, never shown with its secrets."""

from __future__ import annotations

import os
import re
import typing as t

from ..files import write_atomically
from ..postgresql.scratch import own
from .model import Archive

_SECRET = re.compile(r"^(repo1-(?:s3-key|s3-key-secret|cipher-pass)=).*$", re.MULTILINE)
_ARCHIVE_IO_TIMEOUT_S = 15
"""A server that shuts down tries three times to archive its last segment: a store that is down must not hold it up for minutes."""


def render(archive: Archive) -> str:
    """The file's text (pgBackRest's configuration reference: one section for all, one a stanza)."""
    repository, connection = archive.repository, archive.connection
    algorithm, _colon, level = archive.compression.partition(":")
    common: t.List[t.Tuple[str, object]] = [
        ("repo1-type", repository.type),
        ("repo1-path", repository.path),
        ("repo1-bundle", "y"),
        ("compress-type", algorithm),
        *([("compress-level", level)] if level else []),
        ("process-max", archive.jobs),
        ("start-fast", "y"),
        ("archive-timeout", archive.wal_wait_s),
        ("log-level-console", "warn"),
        ("log-level-file", "off"),
    ]
    if archive.keep_days:
        common += [("repo1-retention-full-type", "time"), ("repo1-retention-full", archive.keep_days)]
    else:
        common += [("repo1-retention-full", archive.keep_full)]
    if repository.type == "s3":
        common += [
            ("repo1-s3-bucket", repository.bucket),
            ("repo1-s3-endpoint", repository.endpoint),
            ("repo1-s3-region", repository.region),
            ("repo1-s3-key", repository.access_key),
            ("repo1-s3-key-secret", repository.secret_key),
            ("repo1-s3-uri-style", repository.uri_style),
            *([("repo1-storage-ca-file", repository.ca_file)] if repository.ca_file else []),
        ]
    if repository.passphrase:
        common += [("repo1-cipher-type", "aes-256-cbc"), ("repo1-cipher-pass", repository.passphrase)]
    if archive.lock_folder:
        common.append(("lock-path", archive.lock_folder))
    server: t.List[t.Tuple[str, object]] = [
        ("pg1-path", archive.service.data_folder),
        ("pg1-port", connection.port),
        ("pg1-user", connection.user),
        ("pg1-database", connection.maintenance_database),
    ]
    if connection.host.startswith("/"):
        server.append(("pg1-socket-path", connection.host))
    sections: t.Dict[str, t.List[t.Tuple[str, object]]] = {
        "global": sorted(common, key=lambda pair: pair[0]),
        "global:archive-push": [("io-timeout", _ARCHIVE_IO_TIMEOUT_S)],
        archive.stanza: server,
    }
    text = "# Written by sre.runbooks.pitr_setup; it is written anew when it differs.\n"
    for name, pairs in sections.items():
        text += f"\n[{name}]\n" + "".join(f"{key}={value}\n" for key, value in pairs)
    return text


def current(archive: Archive) -> str:
    """What the file holds now; empty when there is none."""
    try:
        with open(archive.config_file, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def without_secrets(text: str) -> str:
    """The text fit to be shown. Changed secrets look alike: that they changed is said elsewhere."""
    return _SECRET.sub(r"\1********", text)


def write(archive: Archive) -> None:
    """Write the file so that the server's account, which archives, and nobody else can read it."""
    os.makedirs(os.path.dirname(os.path.abspath(archive.config_file)), mode=0o755, exist_ok=True)
    write_atomically(archive.config_file, render(archive).encode(), 0o600)
    own(archive.config_file, archive.service.account)
