# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tests' Qdrant server answers as Qdrant's published description of its API says.

`tests/reference_service/qdrant_openapi.json` holds the needed parts of `docs/redoc/master/openapi.json` of github.com/qdrant/qdrant
(Apache License 2.0), without its texts.
"""

from __future__ import annotations

import json
import re
import typing as t
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from .qdrant_server import QdrantServer, qdrant_server

_DESCRIPTION = json.loads((Path(__file__).parents[1] / "reference_service" / "qdrant_openapi.json").read_text())


def _json_schema(part: t.Any) -> t.Any:
    """OpenAPI 3.0 says `nullable` where JSON Schema has the type null."""
    if isinstance(part, list):
        return [_json_schema(one) for one in part]
    if not isinstance(part, dict):
        return part
    plain = {key: _json_schema(value) for key, value in part.items() if key != "nullable"}
    if not part.get("nullable"):
        return plain
    return {"anyOf": [plain, {"type": "null"}]} if plain else {"type": "null"}


_SCHEMAS = _json_schema(_DESCRIPTION["components"])


def _check(value: t.Any, schema: t.Any) -> None:
    jsonschema.Draft202012Validator({**_json_schema(schema), "components": _SCHEMAS}).validate(value)


def _path_of(path: str) -> str:
    """The path of the description that a request's path belongs to."""
    plain = path.partition("?")[0]
    for known in sorted(_DESCRIPTION["paths"], key=lambda one: one.count("{")):
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", known), plain):
            return str(known)
    raise AssertionError(f"the description has no {plain}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QdrantServer]:
    """A server with one collection."""
    with qdrant_server(tmp_path_factory.mktemp("qdrant") / "data") as one:
        one.fill("statutes", 40)
        yield one


def _raw(server: QdrantServer, method: str, path: str, body: t.Any = None, form: bytes = b"") -> tuple[int, t.Any]:
    headers = {"api-key": server.api_key, "Content-Type": "multipart/form-data; boundary=b0undary" if form else "application/json"}
    data = form or (None if body is None else json.dumps(body).encode())
    request = urllib.request.Request(server.url + path, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def _described(server: QdrantServer, method: str, path: str, body: t.Any = None, form: bytes = b"") -> t.Any:
    """Ask, and hold request and answer against the description."""
    operation = _DESCRIPTION["paths"][_path_of(path)][method.lower()]
    if "requestBody" in operation and body is not None:
        _check(body, operation["requestBody"]["content"]["application/json"]["schema"])
    status, content = _raw(server, method, path, body, form)
    answers = operation["responses"]
    kind = str(status) if str(status) in answers else f"{status // 100}XX" if f"{status // 100}XX" in answers else "default"
    _check(content, answers[kind]["content"]["application/json"]["schema"])
    return content.get("result", content) if status == 200 else content


def test_collections_points_and_aliases_are_answered_as_described(server: QdrantServer) -> None:
    _described(server, "GET", "/")
    assert _described(server, "GET", "/collections") == {"collections": [{"name": "statutes"}]}
    assert _described(server, "GET", "/collections/statutes")["points_count"] == 40
    assert _described(server, "GET", "/collections/statutes/exists") == {"exists": True}
    assert _described(server, "GET", "/collections/statutes/cluster")["remote_shards"] == []
    create = {"create_alias": {"alias_name": "law", "collection_name": "statutes"}}
    assert _described(server, "POST", "/collections/aliases", {"actions": [create]}) is True
    assert _described(server, "GET", "/aliases")["aliases"] == [{"alias_name": "law", "collection_name": "statutes"}]
    assert _described(server, "GET", "/collections/statutes/aliases")["aliases"][0]["alias_name"] == "law"
    assert _described(server, "POST", "/collections/law/points/count", {"exact": True}) == {"count": 40}
    assert len(_described(server, "POST", "/collections/law/points/scroll", {"limit": 3, "with_vector": True})["points"]) == 3
    assert len(_described(server, "POST", "/collections/law/points/query", {"query": [0.5] * 8, "limit": 2})["points"]) == 2
    assert _described(server, "POST", "/collections/aliases", {"actions": [{"delete_alias": {"alias_name": "law"}}]}) is True
    assert _described(server, "GET", "/cluster") == {"status": "disabled"}


def test_snapshots_are_answered_as_described(server: QdrantServer) -> None:
    made = _described(server, "POST", "/collections/statutes/snapshots?wait=true")
    assert _described(server, "GET", "/collections/statutes/snapshots") == [made]
    file = server.folder / "snapshots" / "statutes" / made["name"]
    recovery = {"location": file.as_uri(), "priority": "snapshot", "checksum": made["checksum"]}
    assert _described(server, "PUT", "/collections/recovered/snapshots/recover?wait=true", recovery) is True
    head = b'--b0undary\r\nContent-Disposition: form-data; name="snapshot"; filename="sent.snapshot"\r\n\r\n'
    form = head + file.read_bytes() + b"\r\n--b0undary--\r\n"
    path = f"/collections/uploaded/snapshots/upload?wait=true&priority=snapshot&checksum={made['checksum']}"
    assert _described(server, "POST", path, form=form) is True
    assert server.points("uploaded") == server.points("recovered") == server.points("statutes")
    assert server.snapshots("uploaded") == ["sent.snapshot"]
    assert _described(server, "DELETE", f"/collections/statutes/snapshots/{made['name']}") is True
    whole = _described(server, "POST", "/snapshots?wait=true")
    assert _described(server, "GET", "/snapshots") == [whole]
    assert _described(server, "DELETE", f"/snapshots/{whole['name']}") is True


def test_errors_are_answered_as_described(server: QdrantServer) -> None:
    missing = _described(server, "GET", "/collections/absent")
    assert "doesn't exist" in missing["status"]["error"]
    wrong = {"location": "file:///etc/passwd", "priority": "snapshot"}
    assert "Forbidden" in _described(server, "PUT", "/collections/statutes/snapshots/recover", wrong)["status"]["error"]
    absent = {"create_alias": {"alias_name": "law", "collection_name": "absent"}}
    assert "doesn't exist" in _described(server, "POST", "/collections/aliases", {"actions": [absent]})["status"]["error"]


def test_requests_without_the_key_are_refused(server: QdrantServer) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{server.url}/collections", timeout=10)
    assert refused.value.code == 401
