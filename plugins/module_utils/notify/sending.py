# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""One message to many channels, all at the same time: each has its own result, and none keeps the others from getting it."""

from __future__ import annotations

import logging
import threading
import time
import typing as t
from dataclasses import dataclass

from ..checks.redaction import Redactor, clip
from ..errors import BadInput
from ..library import library
from .channel import NoWay, Way, shown, way_to

KINDS = ("info", "success", "warning", "failure")
"""Apprise's kinds of messages (apprise.NotifyType)."""
_LONGEST_TITLE, _LONGEST_BODY = 250, 20_000


@dataclass(frozen=True)
class Message:
    """What is said.

    Attributes:
        title: The subject, one line.
        body: The text.
        kind: One of KINDS.
    """

    title: str
    body: str
    kind: str = "info"


@dataclass(frozen=True)
class Delivery:
    """What became of a message at one channel.

    Attributes:
        channel: The channel, without secrets.
        sent: Whether the other side took it; None in check mode, when nothing was sent.
        reason: Why not; empty when it was.
        duration_ms: How long it took, in milliseconds.
        number: Position of the channel among those that were given, from 0.
    """

    channel: str
    sent: t.Optional[bool]
    reason: str
    duration_ms: float
    number: int

    def as_dict(self) -> t.Dict[str, t.Any]:
        """For a module's result."""
        return {"channel": self.channel, "sent": self.sent, "reason": self.reason, "duration_ms": self.duration_ms}


def send(
    channels: t.Sequence[str], message: Message, gateways: t.Mapping[str, str], *, timeout_s: float = 20.0, check_mode: bool = False
) -> t.List[Delivery]:
    """Send a message to all channels and return what became of it at each, in the same order.

    Args:
        channels: `kind://address`.
        gateways: Apprise addresses by kind, secrets.
        timeout_s: Seconds after which a channel is given up.
        check_mode: Say only whether there is a way to each channel.

    Raises:
        BadInput: The message is empty or of an unknown kind.
        ToolMissing: Apprise is not installed.
    """
    _check(message)
    ways: t.List[t.Union[Way, Delivery]] = [_way(number, channel, gateways) for number, channel in enumerate(channels)]
    if not any(isinstance(way, Way) for way in ways):
        return [way for way in ways if isinstance(way, Delivery)]
    apprise = library("apprise", "Messages are sent through the library apprise, and it is missing", "install apprise for that Python")
    redactor = Redactor({secret for way in ways if isinstance(way, Way) for secret in {*way.secrets, way.address}})
    attempts = [way if isinstance(way, Delivery) else _Attempt(apprise, way, number, message, redactor) for number, way in enumerate(ways)]
    if check_mode:
        return [one if isinstance(one, Delivery) else one.rehearsed() for one in attempts]
    with _Silent(apprise):
        running = [one for one in attempts if isinstance(one, _Attempt)]
        for one in running:
            one.start()
        deadline = time.monotonic() + timeout_s
        return [one if isinstance(one, Delivery) else one.result(deadline, timeout_s) for one in attempts]


class _Attempt:
    """One channel's part, in a thread that nobody waits for beyond the deadline: a server can hang for ever."""

    def __init__(self, apprise: t.Any, way: Way, number: int, message: Message, redactor: Redactor) -> None:
        self._way, self._number, self._message, self._redactor = way, number, message, redactor
        self._apprise = apprise
        self._plugin = _quietly(apprise, way.address)
        self._began = self._ended = 0.0
        self._sent = False
        self._said: t.List[str] = []
        self._thread = threading.Thread(target=self._work, daemon=True)

    def rehearsed(self) -> Delivery:
        return Delivery(self._way.shown, None if self._plugin else False, "" if self._plugin else _NO_ADDRESS, 0.0, self._number)

    def start(self) -> None:
        self._began = time.monotonic()
        self._thread.start()

    def result(self, deadline: float, timeout_s: float) -> Delivery:
        if self._plugin is None:
            return self.rehearsed()
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            return self._delivery(
                False, f"it did not end within {timeout_s:g} s; whether the message arrived is not known", time.monotonic()
            )
        said = clip(self._redactor.text("; ".join(dict.fromkeys(self._said))), 400)
        return self._delivery(self._sent, "" if self._sent else said or "the other side did not take it", self._ended)

    def _delivery(self, sent: bool, reason: str, until: float) -> Delivery:
        return Delivery(self._way.shown, sent, reason, round((until - self._began) * 1000, 1), self._number)

    def _work(self) -> None:
        if self._plugin is None:
            return
        listener = _Listener(self._said)
        logger = logging.getLogger("apprise")
        logger.addHandler(listener)
        try:
            sender = self._apprise.Apprise(asset=_asset(self._apprise))
            sender.add(self._plugin)
            kind, plain = getattr(self._apprise.NotifyType, self._message.kind.upper()), self._apprise.NotifyFormat.TEXT
            # Apprise takes no message without a text.
            body = self._message.body if self._message.body.strip() else self._message.title
            self._sent = bool(sender.notify(body=body, title=self._message.title, notify_type=kind, body_format=plain))
        except Exception as error:  # whatever one service's code does must not keep the others from getting the message
            self._said.append(f"{type(error).__name__}: {error}")
        finally:
            logger.removeHandler(listener)
            self._ended = time.monotonic()


_NO_ADDRESS = "Apprise does not know such an address; look at the gateway or the channel (`apprise --details` lists the kinds)"


class _Listener(logging.Handler):
    """Collects what Apprise says about one channel, which it says in that channel's thread."""

    def __init__(self, said: t.List[str]) -> None:
        super().__init__(logging.WARNING)
        self._said, self._thread_id = said, threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread_id:
            self._said.append(record.getMessage())


class _Silent:
    """Apprise's own log stays inside: it may show addresses."""

    def __init__(self, _apprise: t.Any) -> None:
        self._logger = logging.getLogger("apprise")

    def __enter__(self) -> None:
        self._before = (self._logger.propagate, self._logger.level)
        self._logger.propagate = False
        self._logger.setLevel(logging.WARNING)

    def __exit__(self, *_error: t.Any) -> None:
        self._logger.propagate, self._logger.level = self._before


def _quietly(apprise: t.Any, address: str) -> t.Any:
    with _Silent(apprise):
        return apprise.Apprise.instantiate(address, asset=_asset(apprise), suppress_exceptions=True)


def _asset(apprise: t.Any) -> t.Any:
    """Apprise shall work in the thread that calls it: what it says there belongs to that channel.

    With a time limit of its own it would work in threads that a hanging server keeps from ending, and our process with them.
    """
    return apprise.AppriseAsset(async_mode=False, service_timeout=0)


def _way(number: int, channel: str, gateways: t.Mapping[str, str]) -> t.Union[Way, Delivery]:
    try:
        return way_to(channel, gateways)
    except NoWay as error:
        return Delivery(shown(channel), False, str(error), 0.0, number)


def _check(message: Message) -> None:
    wrong = []
    if not message.title.strip() and not message.body.strip():
        wrong.append("it is empty")
    if message.kind not in KINDS:
        wrong.append(f"its kind is {message.kind!r}, which is none of {', '.join(KINDS)}")
    if len(message.title) > _LONGEST_TITLE or len(message.body) > _LONGEST_BODY:
        wrong.append(f"it is longer than {_LONGEST_TITLE} characters of title and {_LONGEST_BODY} of text")
    if "\n" in message.title or "\r" in message.title:
        wrong.append("its title has a line break")
    if wrong:
        raise BadInput("The message cannot be sent", why="; ".join(wrong), next_step="correct it; nothing was sent")
