# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What systemd and its journal say becomes the right observation."""

from __future__ import annotations

import json
import socket
import typing as t

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis import (
    addresses,
    gather_systemd,
    host_ports,
    unit_facts,
)
from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis.model import Port
from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis.questions import Questions
from ansible_collections.sre.runbooks.plugins.module_utils.service.systemd.environment import shown_environment
from ansible_collections.sre.runbooks.plugins.module_utils.service.systemd.state import unit_from


def test_units_are_read_as_systemd_shows_them() -> None:
    text = (
        "Id=api.service\nActiveState=failed\nSubState=failed\nResult=oom-kill\nExecMainCode=2\n"
        "ExecMainStatus=9\nMemoryMax=104857600\n"
        "EnvironmentFiles=/etc/a.env (ignore_errors=no)\nEnvironmentFiles=/etc/b.env (ignore_errors=yes)\n"
        "Requires=db.service system.slice\n"
        "\nId=api.socket\nActiveState=active\nListen=0.0.0.0:8000 (Stream)\nListen=/run/api.sock (Stream)\n"
    )
    found = {unit.name: unit for unit in map(unit_from, text.split("\n\n"))}
    unit = unit_facts.replica(found["api.service"])
    assert (unit.exit_status, unit.out_of_memory, unit.memory_limit) == (137, True, 100 << 20)
    assert found["api.service"].environment_files == [("/etc/a.env", False), ("/etc/b.env", True)]
    assert unit_facts.required(found["api.service"]) == ["db.service"]
    assert unit_facts.stream_ports(found["api.socket"]) == [8000]
    looping = {"Id": "a", "ActiveState": "active", "NRestarts": "3", "ActiveEnterTimestampMonotonic": "99000000"}
    assert [unit_facts.replica(looping, (), now).state for now in (100.0, 1000.0)] == ["restarting", "running"]


def test_the_journal_tells_apart_what_the_unit_and_what_systemd_said() -> None:
    entries: list[dict[str, t.Any]] = [
        {"MESSAGE": "starting", "SYSLOG_IDENTIFIER": "api"},
        {"MESSAGE": [104, 105, 255], "SYSLOG_IDENTIFIER": "api"},
        {"MESSAGE": "api.service: Failed at step EXEC spawning /x: No such file or directory", "SYSLOG_IDENTIFIER": "(api)"},
        {"MESSAGE": "api.service: Start request repeated too quickly.", "SYSLOG_IDENTIFIER": "systemd"},
        {"MESSAGE": None},
    ]
    own, about = unit_facts.journal("\n".join(map(json.dumps, entries)) + "\nrubbish")
    assert own == ["starting", "hi\ufffd"]
    assert len(about) == 2


@pytest.mark.parametrize(("sub", "lines"), [("failed", ["now"]), ("auto-restart", ["last week", "now"])])
def test_only_the_last_start_is_told_unless_systemd_starts_it_again_and_again(sub: str, lines: list[str]) -> None:
    entries = [{"MESSAGE": "last week", "_SYSTEMD_INVOCATION_ID": "a"}, {"MESSAGE": "now", "_SYSTEMD_INVOCATION_ID": "b"}]
    entries += [{"MESSAGE": f"about {one}", "SYSLOG_IDENTIFIER": "systemd", "INVOCATION_ID": one} for one in "ab"]
    unit = {"Id": "api.service", "ActiveState": "activating" if "auto" in sub else "failed", "SubState": sub, "InvocationID": "b"}
    own, about = unit_facts.journal("\n".join(map(json.dumps, entries)), unit_facts.last_start(unit))
    assert own == lines
    assert about == [f"about {one}" for one in "ab"[-len(lines) :]]


def test_a_port_of_the_unit_itself_is_not_anothers_and_one_that_nobody_sees_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    questions = Questions(5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        holder = host_ports.Holder(7, "redis", "", "redis-server.service")
        monkeypatch.setattr(host_ports, "holders", lambda inodes: dict.fromkeys(inodes, holder))
        assert gather_systemd.ports([port], {"redis.service", "redis-server.service"}, questions) == [Port(port)]
        assert "redis-server.service" in gather_systemd.ports([port], {"api.service"}, questions)[0].holder
        monkeypatch.setattr(host_ports, "holders", lambda inodes: {})
        assert gather_systemd.ports([port], {"api.service"}, questions) == []
    assert questions.not_looked_at[0].startswith(f"who holds port {port}: only root may see that")


def test_a_secret_with_a_blank_in_a_units_environment_is_known_as_a_whole() -> None:
    assert addresses.secrets_in(shown_environment("PORT=80 $'DB_PASSWORD=sword fish'")) == {"sword fish"}
