# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Redis-compatible server in a real container with a volume: backed up, rehearsed, restored and undone from its host."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import read_set
from ansible_collections.sre.runbooks.plugins.module_utils.command import Place
from ansible_collections.sre.runbooks.plugins.module_utils.errors import CommandFailed, Unreachable
from ansible_collections.sre.runbooks.plugins.module_utils.redis.backup import BackupRequest, back_up
from ansible_collections.sre.runbooks.plugins.module_utils.redis.client import Server
from ansible_collections.sre.runbooks.plugins.module_utils.redis.content import keyspace
from ansible_collections.sre.runbooks.plugins.module_utils.redis.discovery import Wishes
from ansible_collections.sre.runbooks.plugins.module_utils.redis.keys import KeysRequest, clear
from ansible_collections.sre.runbooks.plugins.module_utils.redis.rehearsal import rehearse
from ansible_collections.sre.runbooks.plugins.module_utils.redis.replaced import undo
from ansible_collections.sre.runbooks.plugins.module_utils.redis.restore import RestoreRequest, restore
from ansible_collections.sre.runbooks.plugins.module_utils.restoring.scratch_folders import scratch_folder
from integration.containers import Docker
from integration.redis_server import valkey_folder
from tools.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.needs_root]
NAME, IMAGE, PASSWORD = "sre-runbooks-test-redis", "sre-runbooks-test-redis:local", "a-password-of-the-container"


@pytest.fixture(scope="module", params=["no", "yes"], ids=["saves", "append_only_files"])
def server(request: pytest.FixtureRequest, docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server in a container, its port not published."""
    folder = tmp_path_factory.mktemp("container")
    configuration = folder / "redis.conf"
    configuration.write_text(f'dir /data\nrequirepass {PASSWORD}\nappendonly {request.param}\nsave ""\nprotected-mode no\n')
    docker("create", "--name", f"{NAME}-draft", docker.image, "true")
    for program in ("redis-server", "redis-check-rdb"):
        docker("cp", f"{valkey_folder()}/valkey-server", f"{NAME}-draft:/usr/local/bin/{program}")
    docker("commit", f"{NAME}-draft", IMAGE)
    docker("rm", f"{NAME}-draft")
    mounts = ["--volume", f"{NAME}:/data", "--volume", f"{configuration}:/redis.conf:ro"]
    docker("run", "--detach", "--name", NAME, *mounts, IMAGE, "redis-server", "/redis.conf")
    try:
        one = Server(password=PASSWORD, place=Place(container=NAME))
        one.wait_until_it_serves(20).close()
        yield one
    finally:
        docker("rm", "--force", "--volumes", NAME)
        docker("volume", "rm", "--force", NAME)
        docker("rmi", IMAGE)


TLS_ONLY = """
import select, socket, ssl, threading
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/pair.pem")
def carry(one, other):
    while True:
        for ready in [one] if one.pending() else select.select([one, other], [], [])[0]:
            data = ready.recv(65536)
            if not data:
                return one.close(), other.close()
            (other if ready is one else one).sendall(data)
listener = socket.create_server(("127.0.0.1", 6380))
while True:
    try:
        secured = context.wrap_socket(listener.accept()[0], server_side=True)
    except OSError:
        continue
    threading.Thread(target=carry, args=(secured, socket.create_connection(("127.0.0.1", 6379))), daemon=True).start()
"""
"""A port of the container that speaks nothing but TLS, in front of the server's."""


def fill(server: Server, prefix: str, keys: int = 500) -> None:
    """Have these keys and no others."""
    with server.connect() as client:
        client.call("FLUSHALL")
        client.pipeline([("SET", f"{prefix}:{number}", "x" * 50) for number in range(keys)])


def content(server: Server) -> tuple[dict[str, dict[str, int]], object]:
    """Keys of the databases, and one of them."""
    with server.connect() as client:
        return keyspace(client), client.call("GET", "first:1")


@pytest.mark.parametrize("method", ["rdb", "stream"])
def test_a_server_in_a_container_is_backed_up_proven_restored_and_put_back(method: str, server: Server, tmp_path: Path) -> None:
    fill(server, "first")
    before = content(server)
    one = read_set(back_up(BackupRequest(server, "cache", str(tmp_path), method))["backup_set"]["folder"])
    assert one.manifest["taken_by"] == method
    assert rehearse(one, server.place)["comparison"]["same"]
    fill(server, "second", 30)
    damaged = content(server)
    result = restore(RestoreRequest(server, one))
    assert result["comparison"]["compared"]["keys"] == 500
    assert content(server) == before
    subprocess.run(["docker", "restart", NAME], check=True, capture_output=True)
    server.wait_until_it_serves(20).close()
    assert content(server) == before, "it is still there after a restart"
    time.sleep(1.1)
    undo(server, Wishes())
    assert content(server) == damaged
    left = subprocess.run(["docker", "ps", "--all", "--quiet", "--filter", "label=sre.runbooks.scratch"], check=True, capture_output=True)
    assert not left.stdout.strip()


def test_a_rehearsal_ends_what_killed_ones_left_and_no_other_that_runs(server: Server, tmp_path: Path) -> None:
    fill(server, "first")
    one = read_set(back_up(BackupRequest(server, "cache", str(tmp_path)))["backup_set"]["folder"])
    with scratch_folder(str(tmp_path)) as folder:
        names = {"sre-runbooks-test-live": folder, "sre-runbooks-test-left": str(tmp_path / "gone")}
        for name, of_folder in names.items():
            label = f"sre.runbooks.scratch={of_folder}"
            subprocess.run(["docker", "run", "--detach", "--name", name, "--label", label, IMAGE, "sleep", "60"], check=True)
        try:
            rehearse(one, server.place)
            listed = subprocess.run(["docker", "ps", "--format", "{{.Names}}"], check=True, capture_output=True, text=True)
            assert names.keys() & set(listed.stdout.split()) == {"sre-runbooks-test-live"}
        finally:
            subprocess.run(["docker", "rm", "--force", *names], check=False, capture_output=True)


def test_a_container_that_has_stopped_is_restored_and_runs_again(server: Server, tmp_path: Path) -> None:
    fill(server, "first")
    before = content(server)
    one = read_set(back_up(BackupRequest(server, "cache", str(tmp_path)))["backup_set"]["folder"])
    subprocess.run(["docker", "kill", NAME], check=True, capture_output=True)
    restore(RestoreRequest(server, one, Wishes(rdb_file="/data/dump.rdb")))
    assert content(server) == before


def test_a_server_in_a_container_that_speaks_only_tls_is_reached_and_its_certificate_is_looked_at(server: Server, tmp_path: Path) -> None:
    subject = ["-subj", "/CN=cache", "-addext", "subjectAltName=IP:127.0.0.1", "-out", "pair.pem", "-keyout", "key.pem"]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject], check=True, cwd=tmp_path, capture_output=True)
    certificate = (tmp_path / "pair.pem").read_text()
    (tmp_path / "ca.pem").write_text(certificate)
    (tmp_path / "pair.pem").write_text(certificate + (tmp_path / "key.pem").read_text())
    subprocess.run(["docker", "cp", str(tmp_path / "pair.pem"), f"{NAME}:/pair.pem"], check=True, capture_output=True)
    subprocess.run(["docker", "exec", "--detach", NAME, "python3", "-c", TLS_ONLY], check=True, capture_output=True)
    secured = replace(server, port=6380, tls=True, ca_file=str(tmp_path / "ca.pem"))
    secured.wait_until_it_serves(20).close()
    fill(secured, "first")
    one = read_set(back_up(BackupRequest(secured, "cache", str(tmp_path / "sets"), "stream"))["backup_set"]["folder"])
    assert one.manifest["content"]["databases"]["0"]["keys"]["to"] == 500
    with pytest.raises(Unreachable, match="certificate"):
        replace(secured, ca_file="").connect()
    replace(secured, ca_file="", verify_tls=False).connect().close()


def test_a_connection_that_is_closed_leaves_nothing_in_the_container(server: Server) -> None:
    def connections() -> int:
        with server.connect() as client:
            return int(client.info("clients")["connected_clients"])

    def programs() -> set[str]:
        asked = ["docker", "exec", NAME, "sh", "-c", "cat /proc/[0-9]*/comm"]
        return set(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split()) - {"sh", "cat"}

    for _number in range(3):
        fill(server, "first", 3)
    wait_until("the server has no connection but the one that asks", lambda: connections() == 1)
    wait_until("what carried the connections has ended", lambda: programs() <= {"redis-server", "python3"})


def test_keys_in_a_container_are_removed_and_a_container_that_is_missing_is_named(server: Server, tmp_path: Path) -> None:
    fill(server, "first")
    assert clear(KeysRequest(server, pattern="first:*"))["removed"] == 500
    missing = Server(password=PASSWORD, place=Place(container="there-is-none"))
    with pytest.raises((Unreachable, CommandFailed), match="there-is-none"):
        back_up(BackupRequest(missing, "cache", str(tmp_path)))
