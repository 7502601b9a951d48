# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of Qdrant, against a small server that keeps the published contract of Qdrant's HTTP API: no package index has the real one."""

from __future__ import annotations

import socket
import typing as t
from urllib.parse import unquote

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.checks.model import Result
from ansible_collections.sre.runbooks.tests.unit.checks_servers import Handler, Server, answer, outcome, serves

KEY = "qdrant-sw0rdfish"


def collection(status: t.Any = "green", points: t.Any = 1234, optimizer: t.Any = "ok") -> dict[str, t.Any]:
    """Details of a collection."""
    result = {"status": status, "optimizer_status": optimizer, "points_count": points, "segments_count": 2, "config": {}}
    return {"result": result, "status": "ok", "time": 0.0001}


def qdrant(collections: dict[str, t.Any], *, key: str = "", ready: str = "/readyz") -> Handler:
    """A server with these collections, which wants `key` for all but its probes, as Qdrant does."""
    pages: dict[str, t.Any] = {ready: "all shards are ready", **{f"/collections/{name}": page for name, page in collections.items()}}

    missing = ("404 Not Found", {"status": {"error": "Not found: the collection doesn't exist!"}, "time": 0.0001})

    def handle(connection: socket.socket, request: bytes) -> None:
        path = unquote(request.split(b" ", 2)[1].decode())
        if key and path != ready and f"api-key: {key}".encode() not in request:
            connection.sendall(answer(b"Must provide an API key", "401 Unauthorized"))
        else:
            serves({path: pages.get(path, missing)})(connection, request)

    return handle


def asked(handler: Handler, **keys: t.Any) -> Result:
    with Server(handler) as server:
        return outcome(type="qdrant", url=server.url, **keys)


def test_a_ready_server_passes_and_one_that_is_not_ready_fails() -> None:
    assert asked(qdrant({})).verdict == "pass"
    starting = asked(serves({"/readyz": ("503 Service Unavailable", "some shards are not ready")}))
    assert starting.verdict == "fail"
    assert starting.observed["body"] == "some shards are not ready"


def test_a_server_from_before_the_probe_for_readiness_is_asked_for_its_health() -> None:
    assert asked(qdrant({}, ready="/healthz")).verdict == "pass"
    assert asked(serves({})).verdict == "fail"


@pytest.mark.parametrize(
    ("state", "verdict", "reason"),
    [
        (collection(), "pass", ""),
        (collection("yellow"), "warn", "statutes is yellow: it is being optimised"),
        (collection("grey"), "warn", "statutes is grey"),
        (collection("red"), "fail", "statutes is red"),
        (collection("blue"), "unknown", "unknown status 'blue'"),
        (collection(optimizer={"error": "no space left"}), "fail", "statutes cannot be optimised: no space left"),
        ({"result": None}, "fail", "not one of Qdrant's API"),
        ({"result": {"status": 5}}, "fail", "not one of Qdrant's API"),
        ("<html>", "fail", "the answer is not JSON"),
        (("500 Internal Server Error", "boom"), "fail", "answered 500"),
    ],
)
def test_a_collection_must_be_green(state: t.Any, verdict: str, reason: str) -> None:
    result = asked(qdrant({"statutes": state, "cases": collection()}), collections=["cases", "statutes"])
    assert result.verdict == verdict
    assert reason in result.reason


def test_a_collection_that_is_not_there_fails_and_is_named() -> None:
    result = asked(qdrant({"cases": collection()}), collections=["cases", "statutes"])
    assert (result.verdict, result.reason) == ("fail", "the collection statutes does not exist")
    assert result.observed["collections"] == {"cases": "green"}


def test_the_points_of_a_collection_are_the_number() -> None:
    handler = qdrant({"statutes prod/1": collection(points=1234)})
    passed = asked(handler, collection="statutes prod/1", fail_below=1000)
    assert (passed.verdict, passed.value, passed.observed["value"]) == ("pass", 1234, 1234)
    failed = asked(handler, collection="statutes prod/1", fail_below=2000)
    assert (failed.verdict, failed.reason) == ("fail", "the number of points is 1234, less than 2000")
    unknown = asked(qdrant({"a": collection(points=None)}), collection="a", fail_below=1)
    assert (unknown.verdict, unknown.value) == ("unknown", None)


def test_the_key_is_sent_and_never_shown() -> None:
    handler = qdrant({"cases": collection()}, key=KEY)
    with Server(handler) as server:
        place = {"type": "qdrant", "url": server.url, "collections": ["cases"]}
        right, wrong = outcome(**place, api_key=KEY), outcome(**place, api_key="wrong-sw0rdfish")
    assert right.verdict == "pass"
    assert (wrong.verdict, "answered 401" in wrong.reason) == ("fail", True)
    assert "sw0rdfish" not in repr([right, wrong])


def test_a_page_that_answers_200_to_everything_is_no_qdrant() -> None:
    assert asked(serves({"/readyz": "<html>Sign in</html>"})).verdict == "fail"
