# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Single calls to the HTTP interfaces of Prometheus, Alertmanager and their like: one deadline for everything, a bounded answer."""

from __future__ import annotations

import asyncio
import json
import typing as t
from dataclasses import dataclass

from ..checks.model import Attempt, NoAnswer
from ..checks.network import Network
from ..checks.redaction import Redactor, clip, shown_url
from ..checks.web import Got, Web
from ..errors import BadInput, DeadlineExceeded, Unreachable

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "user": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "token": {"type": "str", "no_log": True},
    "ca_file": {"type": "path"},
    "verify_tls": {"type": "bool", "default": True},
    "timeout_s": {"type": "float", "default": 10.0},
}
"""How a server is reached, as options of a module; described in the documentation fragment `web`."""


@dataclass(frozen=True)
class Reply:
    """What a server answered.

    Attributes:
        said: The beginning of the body on one line, secrets masked, for the reader.
    """

    status: int
    body: bytes
    said: str

    def document(self, where: str) -> t.Any:
        """The JSON document in the body.

        Raises:
            Unreachable: There is none: it is another server that answers here.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise Unreachable(
                "The answer is not JSON", where=where, why=self.said[:200], next_step="look whether the address is that of the server"
            ) from None


class Server:
    """A server and the way to it.

    Attributes:
        name: What it is, for messages (`Alertmanager`).
        url: Its address, which may have a path.
    """

    def __init__(self, name: str, url: str, options: t.Mapping[str, t.Any]) -> None:
        """Take the address and the options of OPTIONS.

        Raises:
            BadInput: The address is none.
        """
        self.name, self.url = name, url
        self._timeout_s = float(options.get("timeout_s") or 10.0)
        kept = {key: value for key, value in options.items() if key in OPTIONS and key != "timeout_s" and value is not None}
        self._web = Web({"redirects": "none", "max_body_kb": 16 * 1024, "verify_tls": True, **kept, "url": url})
        self._redactor = Redactor(str(kept[key]) for key in ("password", "token") if kept.get(key))
        mistakes = self._web.mistakes()
        if not 0 < self._timeout_s <= 600:
            mistakes.append("timeout_s is not between 0 and 600")
        if mistakes:
            raise BadInput(f"{name} cannot be asked", why="; ".join(mistakes), next_step="correct its address or options")

    @property
    def shown(self) -> str:
        """Its address without secrets."""
        return shown_url(self.url)

    def call(self, method: str, path: str, *, parameters: t.Sequence[t.Tuple[str, str]] = (), document: t.Any = None) -> Reply:
        """Send a request and return the answer, whatever its status.

        Args:
            path: Path below that of the server.
            document: What to send as JSON; None for nothing.

        Raises:
            Unreachable: Nothing came back.
            DeadlineExceeded: Nothing whole came back in time.
        """
        body = None if document is None else json.dumps(document).encode()
        headers = {"Accept": "application/json"} if document is None else {"Accept": "application/json", "Content-Type": "application/json"}

        async def ask() -> Got:
            attempt = Attempt(Network(), asyncio.get_running_loop().time() + self._timeout_s)
            try:
                address = self._web.address(path, parameters)
                return await asyncio.wait_for(self._web.fetch(attempt, address, method=method, headers=headers, body=body), self._timeout_s)
            except asyncio.TimeoutError:
                raise DeadlineExceeded(
                    f"{self.name} did not answer within {self._timeout_s:g} s",
                    where=self.shown,
                    why=attempt.stage,
                    next_step="look whether it is overloaded, or allow more time",
                ) from None

        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda _loop, _context: None)
        try:
            got = loop.run_until_complete(ask())
        except NoAnswer as nothing:
            raise Unreachable(
                f"{self.name} cannot be reached",
                where=self.shown,
                why=self._redactor.text("; ".join(finding.reason for finding in nothing.answer.findings)),
                next_step="look whether it runs and whether the address is right",
            ) from None
        finally:
            loop.close()
        content = got.response.content()
        said = clip(self._redactor.text(" ".join(content[:4000].decode("utf-8", "replace").split())), 500)
        return Reply(got.response.status, content, said)

    def refused(self, what: str, reply: Reply) -> Unreachable:
        """The error for an answer that is not what was wanted."""
        next_step = "give the account or token that it wants" if reply.status in (401, 403) else "look into its log"
        return Unreachable(what, where=self.shown, why=f"{self.name} answered {reply.status}: {reply.said}", next_step=next_step)
