# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Python API keeps secrets out of what a run leaves behind, and passes values on as they are."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from sre_runbooks.catalogue import Procedure
from sre_runbooks.errors import BadInput
from sre_runbooks.preparation import OneReading, Request
from sre_runbooks.redaction import MASK, Redactor, secrets_in

PROCEDURE = Procedure("restore", "Restore", "destroys", (), "", (), Path("restore.yml"))


def test_values_under_names_that_say_secret_are_found_at_any_depth() -> None:
    variables: dict[str, Any] = {
        "db_password": "Ki7-vanilla",
        "login": {"user": "alice", "api_key": "k-123456"},
        "stores": [{"name": "main", "credentials": {"user": "bob", "words": ["open sesame"]}}],
        "backup_include_passwords": "true",
        "token_ttl_s": 30,
        "password": "abc",
    }
    assert sorted(secrets_in(variables)) == ["Ki7-vanilla", "k-123456", "open sesame"]


def test_secrets_are_masked_in_every_part_of_an_event_also_where_json_quotes_them() -> None:
    redactor = Redactor(['pa"ss\\word', "pa"])
    event: dict[str, Any] = {
        "stdout": 'login with pa"ss\\word',
        "event_data": {"res": {"cmd": ["--password", 'pa"ss\\word'], "json": json.dumps({"p": 'pa"ss\\word'}), "n": 3}},
    }
    redactor.event(event)
    assert event["stdout"] == f"login with {MASK}"
    assert event["event_data"]["res"]["json"] == f'{{"p": "{MASK}"}}'
    assert event["event_data"]["res"]["n"] == 3


def test_facts_lose_the_environment() -> None:
    event: dict[str, Any] = {"event_data": {"res": {"ansible_facts": {"ansible_env": {"PGPASSWORD": "x"}, "ansible_hostname": "db1"}}}}
    Redactor([]).event(event)
    assert event["event_data"]["res"]["ansible_facts"] == {"ansible_hostname": "db1"}


def test_what_looks_like_a_template_is_marked_as_plain_text() -> None:
    request = Request(PROCEDURE, extra_vars={"a": ["{{ x }}", {"b": "{% y %}"}], "c": "plain", "path": Path("/srv")})
    assert json.loads(request.variables("RUN-1")) == {
        "a": [{"__ansible_unsafe": "{{ x }}"}, {"b": {"__ansible_unsafe": "{% y %}"}}],
        "c": "plain",
        "path": "/srv",
        "procedure_run_id": "RUN-1",
    }


def test_bad_requests_are_refused() -> None:
    with pytest.raises(BadInput, match="no time"):
        Request(PROCEDURE, timeout_s=-1)
    with pytest.raises(BadInput, match="tags is the text"):
        Request(PROCEDURE, tags="backup")
    with pytest.raises(BadInput, match="does not exist"):
        Request(PROCEDURE, vault_password_file="/nowhere").options()


def test_the_pipe_gives_its_text_once_and_leaves_no_trace() -> None:
    text = "x" * 300_000
    pipe = OneReading(text)
    folder = Path(pipe.path).parent
    assert folder.stat().st_mode & 0o077 == 0
    assert Path(pipe.path).read_text() == text
    pipe.close()
    assert not folder.exists()


def test_a_pipe_that_nobody_reads_holds_nobody_up() -> None:
    before = threading.active_count()
    pipe = OneReading("secret")
    assert os.path.exists(pipe.path)
    pipe.close()
    assert threading.active_count() == before
