# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What all types of checks that ask by HTTP share: address, account, certificate, request, and the judgement of what came."""

from __future__ import annotations

import base64
import json
import re
import typing as t
from urllib.parse import quote, urlencode, urljoin, urlsplit

from .certificate import judge_certificate
from .connection import Connection
from .http_message import Malformed, Response, header_mistake, request
from .model import FAIL, UNKNOWN, Answer, Attempt, Finding, NoAnswer, Question
from .network import Network, Tls, connect
from .redaction import EVIDENCE_BYTES, clip, shown_url

_TRY_AGAIN = (502, 503, 504)
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_PROBE_BYTES = 1024
_KEPT = "%/:=&?~+!$,;'@()*[]|"
_PORTS = {"http": 80, "https": 443}
CERTIFICATE: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "verify_tls": {"type": "bool", "default": True},
    "ca_file": {"type": "path"},
    "warn_certificate_days": {"type": "float"},
    "fail_certificate_days": {"type": "float"},
}


def access(max_body_kb: int) -> t.Dict[str, t.Mapping[str, t.Any]]:
    """The keys of every type that asks by HTTP; so many KiB of an answer are read unless the check says otherwise."""
    return {
        "url": {"type": "str", "required": True},
        "headers": {"type": "dict"},
        "user": {"type": "str"},
        "password": {"type": "str", "no_log": True},
        "token": {"type": "str", "no_log": True},
        "redirects": {"type": "str", "choices": ["none", "same_host"], "default": "none"},
        "max_body_kb": {"type": "int", "default": max_body_kb},
        **CERTIFICATE,
    }


class Url(t.NamedTuple):
    """The parts of an address that a request needs."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, url: str) -> "Url":
        """Take `url` apart.

        Raises:
            ValueError: It is no address of a web server; the text says why.
        """
        if re.search(r"[\x00-\x20\x7f]", url):
            raise ValueError("has a space or control character")
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("is not of the form http://host/... or https://host/...")
        if "@" in parts.netloc:
            raise ValueError("has an account in it; give it as user and password")
        host = parts.hostname
        if not host.isascii():
            host = host.encode("idna").decode()
        path = quote(parts.path or "/", safe=_KEPT) + (f"?{quote(parts.query, safe=_KEPT)}" if parts.query else "")
        port = _PORTS[parts.scheme] if parts.port is None else parts.port
        if not 0 < port < 65536:
            raise ValueError("has no port between 1 and 65535")
        return cls(parts.scheme, host, port, path)

    @property
    def authority(self) -> str:
        """Value of the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


class Got(t.NamedTuple):
    """An answer as it came, and what is known of the connection."""

    response: Response
    observed: t.Dict[str, t.Any]


class Web(Question):
    """A question that is put by HTTP.

    Attributes:
        shows_understood: Whether the beginning of a bad answer is handed over also when its number was understood.
    """

    shows_understood: t.ClassVar[bool] = True

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self.limit = options["max_body_kb"] * 1024
        self.judge_cpu_s = max(self.judge_cpu_s, options["max_body_kb"] / 4096)

    @property
    def good_statuses(self) -> t.Sequence[str]:
        """Statuses that are good, numbers or classes such as 2xx."""
        return ("200",)

    def mistakes(self) -> t.List[str]:
        found: t.List[str] = []
        options = self.options
        try:
            Url.of(options["url"])
        except (ValueError, UnicodeError) as error:
            found.append(f"url {shown_url(options['url'])} {error}")
        for name, value in options.get("headers", {}).items():
            problem = header_mistake(str(name), str(value))
            if problem:
                found.append(f"header {name!r} {problem}")
        for secret in ("token", "password", "user", "api_key"):
            if re.search(r"[\r\n\0]", options.get(secret, "")):
                found.append(f"{secret} has a line break or NUL in it")
        if not 1 <= options["max_body_kb"] <= 16 * 1024:
            found.append("max_body_kb is not between 1 and 16384")
        return found

    @property
    def target(self) -> str:
        return shown_url(self.options["url"])

    @property
    def _tls(self) -> Tls:
        return Tls(self.options["verify_tls"], self.options.get("ca_file", ""))

    def prepare(self, network: Network) -> None:
        if self.options["url"].lower().startswith("https:"):
            network.context(self._tls)

    def address(self, path: str, parameters: t.Sequence[t.Tuple[str, str]] = ()) -> str:
        """Where a path of the server is, which may itself live below a path; `url` may name that path already."""
        parts = urlsplit(self.options["url"])
        base = parts.path.rstrip("/")
        whole = base if base.endswith(path) else base + path
        query = "&".join(filter(None, (parts.query, urlencode(parameters))))
        return f"{parts.scheme}://{parts.netloc}{whole}" + (f"?{query}" if query else "")

    async def fetch(
        self,
        attempt: Attempt,
        address: str,
        *,
        method: str = "GET",
        headers: t.Optional[t.Mapping[str, str]] = None,
        body: t.Optional[bytes] = None,
        sink: t.Optional[t.Callable[[bytes], None]] = None,
    ) -> Got:
        """Send a request to `address` and return what came back, redirects followed as far as the check allows.

        Args:
            headers: Of the request; those of the check and its account come over them.
            sink: Takes the body in pieces, where it is not to be kept whole.

        Raises:
            NoAnswer: Nothing came that is HTTP.
        """
        own = self._headers()
        given = {name.lower() for name in own}
        fields = {**{name: value for name, value in (headers or {}).items() if name.lower() not in given}, **own}
        for _hop in range(_MOST_REDIRECTS + 1):
            url = Url.of(address)
            got = await self._request(
                attempt, url, request(method, url.path, url.authority, fields, body), Response(method, self.limit, sink)
            )
            location = got.response.headers.get("location", "")
            if self.options["redirects"] == "none" or got.response.status not in _REDIRECTS or not location:
                return got
            there = _followed(url, address, location)
            if not there:
                return got
            address = there
        raise NoAnswer(FAIL, f"redirected more than {_MOST_REDIRECTS} times")

    async def _request(self, attempt: Attempt, url: Url, message: bytes, response: Response) -> Got:
        tls = self._tls if url.scheme == "https" else None
        with await connect(attempt, url.host, url.port, tls) as connection:
            await connection.send(message)
            await self._receive(attempt, connection, response)
            return Got(response, connection.observed)

    async def _receive(self, attempt: Attempt, connection: Connection, response: Response) -> None:
        received = bytearray()
        try:
            while not response.done:
                data = await connection.read()
                received += data[: max(0, EVIDENCE_BYTES - len(received))]
                if data:
                    response.feed(data)
                    attempt.stage = "reading the answer" if response.status else "reading the beginning of the answer"
                else:
                    response.end()
        except Malformed as error:
            began = {"answer": bytes(received).decode("utf-8", "replace")} if received else {}
            # What never began may be a server that is just starting or stopping; garbage stays garbage.
            raise NoAnswer(FAIL, str(error), retry=not received, observed={**connection.observed, **began}) from None

    def _headers(self) -> t.Dict[str, str]:
        headers = {str(name): str(value) for name, value in self.options.get("headers", {}).items()}
        if "token" in self.options:
            headers["Authorization"] = f"Bearer {self.options['token']}"
        elif "user" in self.options:
            account = f"{self.options['user']}:{self.options.get('password', '')}"
            headers["Authorization"] = "Basic " + base64.b64encode(account.encode()).decode()
        return headers

    async def ask(self, attempt: Attempt) -> t.Any:
        return await self.fetch(attempt, self.options["url"])

    def judge(self, got: t.Any) -> Answer:
        return self.judge_answer(got)

    def judge_answer(self, got: Got) -> Answer:
        """Judge one answer: its status, then its content, and the certificate."""
        response = got.response
        answer = Answer(observed={"status": response.status, **got.observed})
        content = response.content()
        status = str(response.status)
        if any(good in (status, f"{status[0]}xx") for good in self.good_statuses):
            self.judge_content(content, response, answer)
        else:
            answer.retry = response.status in _TRY_AGAIN
            answer.findings.append(self.judge_status(content, response))
        answer.findings += judge_certificate(
            got.observed, self.options.get("warn_certificate_days"), self.options.get("fail_certificate_days")
        )
        bad = any(finding.verdict in (FAIL, UNKNOWN) for finding in answer.findings)
        if bad and content and (self.shows_understood or answer.value is None):
            answer.observed["body"] = content[:EVIDENCE_BYTES].decode("utf-8", "replace")
        return answer

    def judge_status(self, content: bytes, response: Response) -> Finding:
        """What a status means that is not good."""
        said = f" ({clip(response.phrase, 60)})" if response.phrase else ""
        location = response.headers.get("location", "")
        there = shown_url(location) if "://" in location else location.partition("?")[0]
        to = f", a redirect to {clip(there, 200)}" if there and response.status in _REDIRECTS else ""
        return Finding(FAIL, f"answered {response.status}{said} instead of {' or '.join(self.good_statuses)}{to}")

    def judge_content(self, content: bytes, response: Response, answer: Answer) -> None:
        """Judge the body of an answer whose status is good: add to `answer` what is to be said."""

    def judge_probe(self, content: bytes, response: Response, answer: Answer) -> None:
        """Judge the body of a probe's answer, a few words of plain text; a page that says 200 to everything is none."""
        if len(content) > _PROBE_BYTES or response.truncated or content.lstrip()[:1] in (b"<", b"{", b"["):
            answer.findings.append(Finding(FAIL, "the answer is not the word or two with which a probe answers"))

    def document(self, content: bytes, response: Response) -> t.Any:
        """The JSON document in the body.

        Raises:
            NotJson: There is none.
        """
        try:
            return json.loads(content, parse_constant=_refuse)
        except (ValueError, RecursionError):
            if response.truncated:
                raise NotJson(UNKNOWN, f"the answer is larger than the {self.options['max_body_kb']} KiB that are read") from None
            raise NotJson(FAIL, "the answer is not JSON" if content else "the answer is empty") from None


class NotJson(Exception):
    """A body is no JSON document.

    Attributes:
        finding: What is to be said about it.
    """

    def __init__(self, verdict: str, reason: str) -> None:
        super().__init__(reason)
        self.finding = Finding(verdict, reason)


def _refuse(constant: str) -> t.NoReturn:
    raise ValueError(f"{constant} is not JSON (RFC 8259, section 6)")


def _followed(asked: Url, address: str, location: str) -> str:
    """Where a redirect leads, if the request may go there with its credentials: the same place, or the same host's HTTPS."""
    try:
        followed = urljoin(address, location)
        there = Url.of(followed)
    except ValueError:
        return ""
    upgraded = (asked.scheme, asked.port, there.scheme, there.port) == ("http", 80, "https", 443)
    same = (there.scheme, there.port) == (asked.scheme, asked.port)
    return followed if there.host == asked.host and (same or upgraded) else ""
