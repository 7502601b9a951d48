# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Messages to real servers on loopback: web hooks and mail; each channel has its own result, and nobody sees a secret."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message as Mail
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.notify.operation import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.notify.sending import Delivery, Message, send
from integration.monitoring_trial import ROOT, WebHook
from tools.ports import free_port

SAID = Message("[P2] InsightHub: Error rate critical: 16.0%", "Error rate is 16 %\nNext: look", "failure")


class MailServer:
    """A mail server that keeps what it gets.

    Attributes:
        got: Sender, recipients and message of each mail.
    """

    def __init__(self) -> None:
        self.got: list[tuple[str, list[str], Mail]] = []
        self._controller = Controller(self, hostname="127.0.0.1", port=free_port())
        self._controller.start()
        self.gateway = f"mailto://127.0.0.1:{self._controller.port}?from=alerts@example.com&to={{to}}&smtp=127.0.0.1&mode=insecure"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 (the name that aiosmtpd calls)
        """Take a mail."""
        self.got.append((envelope.mail_from, envelope.rcpt_tos, message_from_bytes(envelope.content)))
        return "250 OK"

    def stop(self) -> None:
        """End it."""
        self._controller.stop()


@pytest.fixture
def mail() -> Iterator[MailServer]:
    server = MailServer()
    yield server
    server.stop()


def results(deliveries: list[Delivery]) -> list[bool | None]:
    """Which channels got it."""
    return [one.sent for one in deliveries]


def test_a_message_reaches_mail_and_web_hook_with_its_title_and_text(mail: MailServer) -> None:
    with WebHook() as hook:
        sent = send(["email://on-call@example.com", f"json://127.0.0.1:{hook.port}/hook"], SAID, {"email": mail.gateway})
    assert results(sent) == [True, True]
    sender, recipients, letter = mail.got[0]
    assert (sender, recipients, str(letter["Subject"])) == ("alerts@example.com", ["on-call@example.com"], SAID.title)
    part = next(part for part in letter.walk() if part.get_content_type() == "text/plain")
    assert bytes(part.get_payload(decode=True)).decode().splitlines()[:2] == ["Error rate is 16 %", "Next: look"]
    path, document = hook.taken[0]
    assert (path, document["title"], document["type"]) == ("/hook", SAID.title, "failure")


def test_what_looks_like_markup_arrives_as_text(mail: MailServer) -> None:
    send(
        ["email://a@example.com"],
        Message("T", "<b>a & b</b>"),
        {"email": mail.gateway.replace("mode=insecure", "mode=insecure&format=html")},
    )
    letter = mail.got[0][2]
    html = next(bytes(part.get_payload(decode=True)).decode() for part in letter.walk() if part.get_content_type() == "text/html")
    assert "&lt;b&gt;a" in html


def test_one_channel_that_fails_keeps_no_other_from_the_message(mail: MailServer) -> None:
    with WebHook() as good, WebHook() as bad:
        bad.status = 500
        channels = [
            f"json://127.0.0.1:{bad.port}/x",
            "json://127.0.0.1:1/x",
            "slack://nobody",
            "junk",
            f"json://127.0.0.1:{good.port}/x",
            "email://a@example.com",
        ]
        sent = send(channels, SAID, {"email": mail.gateway})
    assert results(sent) == [False, False, False, False, True, True]
    assert all(one.reason for one in sent if not one.sent)
    assert "500" in sent[0].reason
    assert "notify_gateways.slack" in sent[2].reason


def test_a_server_that_never_ends_its_answer_is_given_up_in_time_and_the_others_are_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as endless, WebHook() as good:
        stop = threading.Event()

        def drip() -> None:
            connection, _peer = endless.accept()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not stop.wait(0.2):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

        threading.Thread(target=drip, daemon=True).start()
        began = time.monotonic()
        sent = send([f"json://127.0.0.1:{endless.getsockname()[1]}/", f"json://127.0.0.1:{good.port}/"], SAID, {}, timeout_s=2)
        took_s = time.monotonic() - began
        stop.set()
    assert results(sent) == [False, True]
    assert "did not end within 2 s" in sent[0].reason
    assert took_s < 15, "all of it would take hours"


def test_check_mode_sends_nothing_and_tells_which_channels_there_is_a_way_to(mail: MailServer) -> None:
    with WebHook() as hook:
        channels = ["email://a@example.com", f"json://127.0.0.1:{hook.port}/", "slack://nobody", "unheard-of://x.y/z"]
        sent = send(channels, SAID, {"email": mail.gateway}, check_mode=True)
        assert hook.taken == []
    assert mail.got == []
    assert results(sent) == [None, None, False, False]


def test_no_secret_is_in_any_result() -> None:
    secrets = ["sword-fish-1", "sword-fish-2", "sword-fish-3", "A1BRTD4JD", "TIiajkdnlazkcOXrIdevi7FQ"]
    channels = [
        f"json://user:{secrets[0]}@127.0.0.1:1/{secrets[1]}?token={secrets[2]}",
        f"mailto://user:{secrets[0]}@127.0.0.1:1?from=a@b.c&to=d@e.f&mode=insecure",
        "slack://team",
        f"slack://T1JJ3T3L2/{secrets[3]}/{secrets[4]}/#x",
    ]
    gateways = {"slack": f"json://{secrets[0]}:{secrets[1]}@127.0.0.1:1/{secrets[4]}/{{to}}"}
    result = operate({**defaults(), "channels": channels, "gateways": gateways, "title": "T", "timeout_s": 5.0}, False)
    assert result["failed"]
    assert not [secret for secret in secrets if secret in str(result)]


def defaults() -> dict[str, Any]:
    """The module's options as they are when nothing is given."""
    return {name: option.get("default") for name, option in OPTIONS.items()}


@pytest.mark.parametrize(("fail_on", "failed"), [("none", [False, False]), ("all", [False, True]), ("any", [True, True])])
def test_when_the_task_fails_is_for_the_caller_to_say(fail_on: str, failed: list[bool]) -> None:
    with WebHook() as hook:
        good, bad = f"json://127.0.0.1:{hook.port}/", "json://127.0.0.1:1/"
        for channels, fails in zip(([good, bad], [bad]), failed, strict=True):
            result = operate({**defaults(), "channels": channels, "title": "T", "fail_on": fail_on}, False)
            assert bool(result.get("failed")) == fails
            assert len(result["deliveries"]) == len(channels)


def test_a_level_names_the_channels_and_an_unknown_one_is_refused() -> None:
    with WebHook() as hook:
        levels = {"critical": [f"json://127.0.0.1:{hook.port}/a"], "warning": f"json://127.0.0.1:{hook.port}/b"}
        for level in levels:
            operate({**defaults(), "level": level, "notify_channels": levels, "title": "T"}, False)
        assert [path for path, _document in hook.taken] == ["/a", "/b"]
        with pytest.raises(BadInput, match="no level 'fatal'"):
            operate({**defaults(), "level": "fatal", "notify_channels": levels, "title": "T"}, False)


@pytest.mark.parametrize("message", [Message(" ", ""), Message("a\nb", ""), Message("T", "x" * 30_000), Message("T", "", "loud")])
def test_a_message_that_makes_no_sense_is_refused_before_anybody_gets_it(message: Message) -> None:
    with pytest.raises(BadInput, match="cannot be sent"):
        send(["json://127.0.0.1:1/"], message, {})


@pytest.mark.parametrize("elsewhere", [{}, {"async": 30, "poll": 1}], ids=["in the task's own process", "as a module"])
def test_the_modules_tell_in_a_play_and_show_no_secret(elsewhere: dict[str, int], tmp_path: Path) -> None:
    with WebHook() as hook:
        gateways = {"slack": f"json://me:sword-fish-1@127.0.0.1:{hook.port}/sword-fish-2/{{to}}"}
        channels = {"critical": ["slack://team", "json://me:sword-fish-3@127.0.0.1:1/sword-fish-4"]}
        bad = {"name": "m", "verdict": "fail", "value": 0.9, "unit": "ratio"}
        send_it = {"title": "T", "level": "critical", "notify_channels": channels, "gateways": gateways}
        raise_it = {
            "service_name": "x",
            "metrics": [bad],
            "notify_channels": channels,
            "gateways": gateways,
            "state_folder": str(tmp_path / "state"),
        }
        tasks: list[dict[str, Any]] = [
            {"sre.runbooks.notification_send": send_it, "register": "sent", **elsewhere},
            {"sre.runbooks.alert_evaluate": raise_it, "register": "raised", **elsewhere},
            {
                "ansible.builtin.assert": {
                    "that": ["sent.deliveries | map(attribute='sent') == [true, false]", "raised.events[0].kind == 'raised'"]
                }
            },
        ]
        playbook = tmp_path / "play.yml"
        playbook.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]))
        program = str(Path(sys.executable).parent / "ansible-playbook")
        kept = {name: value for name, value in os.environ.items() if name != "SRE_RUNBOOKS_STATE"}
        own = {"ANSIBLE_LOCALHOST_WARNING": "0", "ANSIBLE_PYTHON_INTERPRETER": sys.executable}
        command = [program, "-vvvv", "--diff", "-e", f"ansible_python_interpreter={sys.executable}", str(playbook)]
        done = subprocess.run(command, cwd=ROOT, env={**kept, **own}, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert [path for path, _document in hook.taken] == ["/sword-fish-2/team"] * 2
    # The play itself is a file of the test, and Ansible shows its arguments as it gives them to a module; what matters is what comes back.
    shown = [line for line in (done.stdout + done.stderr).splitlines() if "sword-fish" in line]
    assert shown == []
