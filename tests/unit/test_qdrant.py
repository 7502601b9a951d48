# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is decided about Qdrant without a server: where collections go, what is a leftover, what is the same; and servers that misbehave."""

from __future__ import annotations

import json
import socket
import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, DeadlineExceeded, RunbookError, Unreachable, WrongTarget
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.fingerprint import compare_collection, settings_of
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.http import Http, Refused
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.names import derived_name, is_kept_alias, service_aliases
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.options import server_from
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.place import ALIAS, IN_PLACE, NEW, NEW_ALIAS, places
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.recovery import minor
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.restore import require_version
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.server import Server
from ansible_collections.sre.runbooks.plugins.module_utils.restoring.comparison import Comparison

from .checks_servers import Server as RawServer
from .checks_servers import answer, certificate, silent

AT = "20260101T000000Z"
NAMES = st.text(alphabet="abc_-é", min_size=1, max_size=90)
OPTIONS = {"api_key": "", "ca_file": None, "verify_tls": True, "timeout_s": 1.0, "work_timeout_s": 1.0}


def entry(collection: str, *aliases: str) -> dict[str, t.Any]:
    """An entry of a manifest, as far as places look at it."""
    return {"collection": collection, "aliases": list(aliases)}


def mode(name: str, one: dict[str, t.Any], known: list[str], aliases: dict[str, str]) -> str:
    """How a collection takes its place."""
    return places({name: one}, known, aliases)[0].mode


def test_an_alias_is_moved_a_collection_is_recovered_into_and_what_is_gone_is_made() -> None:
    assert mode("law", entry("law_1", "law"), ["law_1"], {"law": "law_1"}) == ALIAS
    assert mode("law", entry("law"), ["law"], {}) == IN_PLACE
    assert mode("law", entry("law_1", "law"), [], {}) == NEW_ALIAS
    assert mode("law", entry("law"), [], {}) == NEW


def test_the_other_names_of_a_collection_move_along_when_the_backup_knew_them() -> None:
    aliases = {"law": "law_1", "statutes": "law_1", "experiment": "law_1", f"law_before_{AT}": "law_1"}
    [place] = places({"law": entry("law_1", "law", "statutes")}, ["law_1"], aliases)
    assert place.aliases == ["law", "statutes"]


@given(NAMES, NAMES)
def test_what_is_kept_is_known_by_its_alias_and_no_name_of_a_service(name: str, alias: str) -> None:
    kept = derived_name(name, "before", AT)
    assert is_kept_alias(kept) and service_aliases("x", {kept: "x", alias: "x"}) == ([] if is_kept_alias(alias) else [alias])


def fingerprint(points: int = 10, digest: str = "a", **more: t.Any) -> dict[str, t.Any]:
    """A collection's fingerprint in a manifest."""
    state = {"points": points, "sample": {"points": min(points, 5), "sha256": digest}}
    info = {"config": {"params": {"vectors": {"size": 4, "distance": "Dot"}, "shard_number": 1}, "hnsw_config": {"m": 16}}}
    return {
        "before": state,
        "after": state,
        **settings_of({**info, "payload_schema": {"year": {"data_type": "integer", "points": 3}}}),
        **more,
    }


def found(one: dict[str, t.Any], **more: t.Any) -> dict[str, t.Any]:
    """The same as it is read of a restored collection."""
    return {**one["before"], "config": json.loads(json.dumps(one["config"])), "payload_schema": one["payload_schema"], **more}


def compared(one: dict[str, t.Any], other: dict[str, t.Any], *, same_versions: bool = True, in_place: bool = False) -> Comparison:
    """What comes of comparing."""
    result = Comparison()
    compare_collection(one, other, result, name="law", same_versions=same_versions, in_place=in_place)
    return result


def test_what_differs_is_named() -> None:
    one = fingerprint()
    assert compared(one, found(one)).same
    assert compared(one, found(one, points=9)).differences == ["law has 9 points, not 10"]
    assert "other content" in compared(one, found(one, sample={"points": 5, "sha256": "b"})).differences[0]
    assert "lacks the payload index of year" in compared(one, found(one, payload_schema={})).differences[0]
    other = found(one)
    other["config"]["hnsw_config"]["m"] = 8
    assert compared(one, other).differences == ["law has another hnsw_config.m"]
    kept = compared(one, other, in_place=True)
    assert kept.same and kept.unknown == ["law keeps its own setting of hnsw_config.m"]
    other["config"]["params"]["vectors"]["size"] = 8
    assert compared(one, other, in_place=True).differences == ["law has another params.vectors.size"]


def test_what_was_written_during_the_backup_is_unknown_and_not_the_same() -> None:
    one = fingerprint(after=fingerprint(12, "b")["before"])
    told = compared(one, found(one, points=11))
    assert told.same and len(told.unknown) == 2 and told.compared["points_read"] == 0
    assert not compared(one, found(one, points=13)).same


def test_settings_that_only_one_version_knows_do_not_count() -> None:
    one = fingerprint()
    other = found(one)
    other["config"]["strict_mode_config"] = {"enabled": False}
    assert not compared(one, other).same and compared(one, other, same_versions=False).same


def test_a_set_of_a_newer_server_is_refused_and_one_of_an_older_is_noted() -> None:
    server = Server(Http("http://127.0.0.1:6333"))
    assert minor("1.19.3") == minor("1.19.0-dev") == (1, 19)
    assert require_version("1.19.3", "1.19.0", server) == []
    assert "Qdrant promises a fit for the same minor version only" in require_version("1.19.0", "1.7.4", server)[0]
    with pytest.raises(WrongTarget, match=r"bring the server to 1\.19"):
        require_version("1.7.4", "1.19.0", server)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "localhost:6333"}, "is no address of a Qdrant server"),
        ({"url": "http://127.0.0.1:port"}, "is no address of a Qdrant server"),
        ({"url": "http://user:Pangolin@127.0.0.1:6333"}, "holds an account"),
        ({"url": "http://127.0.0.1:6333", "api_key": "two\nlines"}, "a character that no header can carry"),
        ({"url": "http://127.0.0.1:6333", "timeout_s": 0.0}, "no time to wait"),
        ({"url": "http://127.0.0.1:6333", "work_timeout_s": float("nan")}, "no time to wait"),
    ],
)
def test_options_that_make_no_sense_are_named(options: dict[str, t.Any], words: str) -> None:
    with pytest.raises(BadInput, match=words) as refused:
        server_from({**OPTIONS, **options})
    assert "Pangolin" not in refused.value.message and "two" not in refused.value.message


def drip(connection: socket.socket, _request: bytes) -> None:
    """An answer that never comes to its end."""
    import time

    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b" ")
        time.sleep(0.05)


HOSTILE: dict[str, tuple[t.Callable[[socket.socket, bytes], None], type[RunbookError], str]] = {
    "silent": (silent, DeadlineExceeded, "did not answer in time"),
    "dripping": (drip, DeadlineExceeded, "did not answer in time"),
    "no HTTP": (lambda connection, _request: connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"), Unreachable, "cannot be reached, or is gone"),
    "closing": (lambda connection, _request: connection.close(), Unreachable, "cannot be reached, or is gone"),
    "another server": (lambda connection, _request: connection.sendall(answer(b"<html>hello</html>")), Unreachable, "is not Qdrant"),
    "a JSON list": (lambda connection, _request: connection.sendall(answer(b"[]")), Unreachable, "is not Qdrant"),
    "no key": (
        lambda connection, _request: connection.sendall(answer(b"Must provide an API key", "401 Unauthorized")),
        Unreachable,
        "refused the API key",
    ),
    "an error": (
        lambda connection, _request: connection.sendall(answer(b'{"status":{"error":"Wrong input: x"},"time":0}', "400 Bad Request")),
        Refused,
        "answered with 400: Wrong input: x",
    ),
    "a redirect": (lambda connection, _request: connection.sendall(answer(b"", "302 Found")), Refused, "answered with 302"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_server_that_misbehaves_is_named_within_its_time(what: str) -> None:
    handler, kind, words = HOSTILE[what]
    with RawServer(handler) as raw:
        server = Server(Http(raw.url.rstrip("/"), "key-Okapi", timeout_s=0.5))
        with pytest.raises(kind) as failed:
            server.version()
    assert words in failed.value.message and "Okapi" not in failed.value.message


def test_a_certificate_is_looked_at_and_its_authority_can_be_named(tmp_path: Path) -> None:
    context, file = certificate(tmp_path)
    about = answer(b'{"title":"qdrant - vector search engine","version":"1.19.0"}')
    with RawServer(lambda connection, _request: connection.sendall(about), context) as raw:
        url = raw.url.rstrip("/")
        with pytest.raises(Unreachable, match="cannot be trusted"):
            Server(Http(url)).version()
        assert Server(Http(url, ca_file=str(file))).version() == "1.19.0"
        assert Server(Http(url, verify_tls=False)).version() == "1.19.0"
        with pytest.raises(BadInput, match="cannot be read"):
            Server(Http(url, ca_file=str(tmp_path / "absent.pem"))).version()


def test_a_collection_over_several_nodes_is_refused() -> None:
    told = {"peer_id": 1, "shard_count": 2, "local_shards": [], "remote_shards": [{"shard_id": 1, "peer_id": 2, "state": "Active"}]}
    content = json.dumps({"result": {**told, "shard_transfers": []}, "status": "ok", "time": 0}).encode()
    with RawServer(lambda connection, _request: connection.sendall(answer(content))) as raw, pytest.raises(BadInput, match="several nodes"):
        Server(Http(raw.url.rstrip("/"))).require_whole("law")
