# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A PostgreSQL server of the tests' own whose log is archived with pgBackRest: both from Debian's packages."""

from __future__ import annotations

import contextlib
import shutil
import ssl
import subprocess
import tempfile
import time
import typing as t
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.object_store import ObjectStore
from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.model import Archive, Repository
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.setup import set_up
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.take import take
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.scratch import own
from integration import object_store
from integration.postgresql_server import PostgresqlServer
from tools.engine import NoEngine, install_packages
from tools.ports import free_port
from tools.waiting import wait_until

PASSPHRASE = "repository-Okapi7Passphrase"
MAJOR = 15
TOOLS = Path(f"/usr/lib/postgresql/{MAJOR}/bin")
"""The newest that pgBackRest 2.45 of Debian 12 supports."""


def require_programs() -> None:
    """pgBackRest and a server that it supports, or a skip that says why not."""
    if not (TOOLS / "postgres").exists():
        pytest.skip(f"PostgreSQL {MAJOR} of Debian's package postgresql-{MAJOR} is not installed; pgBackRest 2.45 supports no newer one")
    if shutil.which("pgbackrest") is None:
        try:
            install_packages("pgbackrest")
        except NoEngine as error:
            pytest.skip(str(error))


class ArchivedServer(PostgresqlServer):
    """A server whose log goes into a repository beside it.

    Attributes:
        archive: How its log is archived.
        home: Everything of it.
    """

    def __init__(self, home: Path, **archive: t.Any) -> None:
        super().__init__(home / "server", {"autovacuum": "off"})
        self.tools, self.home = str(TOOLS), home
        del self._settings["summarize_wal"]
        passphrase = archive.pop("repository_passphrase", PASSPHRASE)
        words = {"wal_wait_s": 20, "repository": Repository(path=str(home / "repository"), passphrase=passphrase), **archive}
        self.archive = Archive(
            "reference", self.service, self.connection, str(home / "pgbackrest.conf"), lock_folder=str(home / "locks"), **words
        )

    def option(self) -> dict[str, t.Any]:
        """The key `pitr` of a store of a profile."""
        one, repository = self.archive, self.archive.repository
        keys = ("type", "path", "bucket", "endpoint", "access_key", "secret_key", "ca_file", "uri_style", "passphrase")
        where = {key: getattr(repository, key) for key in keys if getattr(repository, key)}
        return {"stanza": one.stanza, "config_file": one.config_file, "wal_wait_s": 20, "lock_folder": one.lock_folder, "repository": where}

    def now(self) -> str:
        """The server's clock, with a pause on both sides so that no commit is too near."""
        time.sleep(0.05)
        text = self.sql("""SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""")
        time.sleep(0.05)
        return text

    def load_logged(self, megabytes: int = 1) -> None:
        """The reference database; its unlogged table, which no log can bring back, becomes a logged one."""
        self.load_reference("reference", megabytes)
        self.sql("ALTER TABLE session_cache SET LOGGED", "reference")

    def beside(self) -> set[str]:
        """What restores left beside the data folder, but for what was replaced."""
        return {path.name for path in self.folder.glob("data*") if "_before_" not in path.name and "_undone_" not in path.name} - {
            "data",
            "data.restore.lock",
        }


@contextlib.contextmanager
def archived_server(*, with_backup: bool = True, parent: Path | None = None, **archive: t.Any) -> Iterator[ArchivedServer]:
    """A server that archives, with the reference database and, unless told otherwise, a full backup."""
    require_programs()
    home = Path(tempfile.mkdtemp(prefix="sre-runbooks-pitr-", dir=parent))
    home.chmod(0o755)
    server = ArchivedServer(home, **archive)
    own(str(home), server.account)
    try:
        server.create()
        set_up(server.archive, restart=True)
        server.load_logged()
        if with_backup:
            take(server.archive)
            time.sleep(1.1)  # pgBackRest tells whole seconds: a moment within the one in which the backup ended is refused
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def bucket_over_https() -> Iterator[Repository]:
    """A repository in an object store that speaks HTTPS with a certificate of its own; pgBackRest 2.45 knows no plain HTTP."""
    require_programs()
    folder = Path(tempfile.mkdtemp(prefix="sre-runbooks-s3-"))
    folder.chmod(0o755)
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:127.0.0.1"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", "key.pem", "-out", "cert.pem", *subject],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    (folder / "cert.pem").chmod(0o644)
    port = free_port()
    more = {"s3.port.https": port, "s3.cert.file": folder / "cert.pem", "s3.key.file": folder / "key.pem"}
    process, url = object_store.start(folder, object_store.ACCESS_KEY, object_store.SECRET_KEY, more)
    try:
        keys = {"access_key": object_store.ACCESS_KEY, "secret_key": object_store.SECRET_KEY}
        store = ObjectStore("archive", endpoint=url, tool_folder=str(object_store.BIN), **keys)
        wait_until("the bucket is made", lambda: _made(store), 40, every_s=0.2)
        wait_until("the proxy speaks TLS", lambda: _speaks(port, folder / "cert.pem"), 20)
        yield Repository(
            type="s3",
            path="/pgbackrest",
            bucket="archive",
            endpoint=f"127.0.0.1:{port}",
            **keys,
            ca_file=str(folder / "cert.pem"),
            uri_style="path",
        )
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _made(store: t.Any) -> bool:
    try:
        object_store.make_bucket(store)
        return True
    except RunbookError:
        return False


def _speaks(port: int, certificate: Path) -> bool:
    try:
        urllib.request.urlopen(f"https://127.0.0.1:{port}/", timeout=2, context=ssl.create_default_context(cafile=str(certificate))).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
