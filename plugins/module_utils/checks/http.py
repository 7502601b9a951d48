# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of type `http` and `json`."""

from __future__ import annotations

import base64
import json
import re
import typing as t
from urllib.parse import quote, urljoin, urlsplit

from . import conditions
from .http_message import Malformed, Response, header_mistake, request
from .model import FAIL, UNKNOWN, Answer, Attempt, Finding, NoAnswer, Question
from .network import Connection, Tls, connect, judge_certificate
from .redaction import EVIDENCE_BYTES, clip, shown_url

_TRY_AGAIN = (502, 503, 504)
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_STATUS = re.compile(r"[1-5](?:[0-9]{2}|xx)\Z")
_KEPT = "%/:=&?~+!$,;'@()*[]|"
_PORTS = {"http": 80, "https": 443}
CERTIFICATE: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "verify_tls": {"type": "bool", "default": True},
    "ca_file": {"type": "path"},
    "warn_certificate_days": {"type": "float"},
    "fail_certificate_days": {"type": "float"},
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


class Http(Question):
    """Send a request; look at status, text, certificate."""

    spec = {
        "url": {"type": "str", "required": True},
        "method": {"type": "str", "default": "GET"},
        "headers": {"type": "dict"},
        "body": {"type": "raw"},
        "user": {"type": "str"},
        "password": {"type": "str", "no_log": True},
        "token": {"type": "str", "no_log": True},
        "status": {"type": "list", "elements": "str", "default": ["200"]},
        "contains": {"type": "list", "elements": "str"},
        "matches": {"type": "list", "elements": "str"},
        "redirects": {"type": "str", "choices": ["none", "same_host"], "default": "none"},
        "max_body_kb": {"type": "int", "default": 64},
        **CERTIFICATE,
    }

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self.limit = options["max_body_kb"] * 1024
        self.judge_cpu_s = max(self.judge_cpu_s, options["max_body_kb"] / 4096)

    def mistakes(self) -> t.List[str]:
        found: t.List[str] = []
        options = self.options
        try:
            Url.of(options["url"])
        except (ValueError, UnicodeError) as error:
            found.append(f"url {shown_url(options['url'])} {error}")
        if not re.match(r"[A-Z]{1,20}\Z", options["method"]):
            found.append(f"method {options['method']!r} is not a method such as GET")
        if options["redirects"] != "none" and options["method"] not in ("GET", "HEAD"):
            found.append(f"redirects are followed for GET and HEAD only, not for {options['method']}")
        for name, value in options.get("headers", {}).items():
            problem = header_mistake(str(name), str(value))
            if problem:
                found.append(f"header {name!r} {problem}")
        for secret in ("token", "password", "user"):
            if re.search(r"[\r\n\0]", options.get(secret, "")):
                found.append(f"{secret} has a line break or NUL in it")
        if not options["status"]:
            found.append("status is empty, so no answer would be good")
        found += [
            f"status {status!r} is neither a number such as 200 nor a class such as 2xx"
            for status in options["status"]
            if not _STATUS.match(status)
        ]
        for pattern in options.get("matches", ()):
            try:
                re.compile(pattern)
            except (re.error, OverflowError, RecursionError) as error:
                found.append(f"matches {pattern!r} is no regular expression ({error})")
        if not 1 <= options["max_body_kb"] <= 16 * 1024:
            found.append("max_body_kb is not between 1 and 16384")
        return found

    @property
    def target(self) -> str:
        url = shown_url(self.options["url"])
        return url if self.options["method"] == "GET" else f"{self.options['method']} {url}"

    async def ask(self, attempt: Attempt) -> Got:
        address = self.options["url"]
        for _hop in range(_MOST_REDIRECTS + 1):
            url = Url.of(address)
            got = await self._request(attempt, url)
            location = got.response.headers.get("location", "")
            if self.options["redirects"] == "none" or got.response.status not in _REDIRECTS or not location:
                return got
            there = _followed(url, address, location)
            if not there:
                return got
            address = there
        raise NoAnswer(FAIL, f"redirected more than {_MOST_REDIRECTS} times")

    async def _request(self, attempt: Attempt, url: Url) -> Got:
        tls = Tls(self.options["verify_tls"], self.options.get("ca_file", "")) if url.scheme == "https" else None
        with await connect(attempt, url.host, url.port, tls) as connection:
            body, headers = self._body_and_headers()
            await connection.send(request(self.options["method"], url.path, url.authority, headers, body))
            response = await self._response(attempt, connection)
            return Got(response, connection.observed)

    async def _response(self, attempt: Attempt, connection: Connection) -> Response:
        response, received = Response(self.options["method"], self.limit), bytearray()
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
        return response

    def _body_and_headers(self) -> t.Tuple[t.Optional[bytes], t.Dict[str, str]]:
        headers = {str(name): str(value) for name, value in self.options.get("headers", {}).items()}
        body = self.options.get("body")
        given = {name.lower() for name in headers}
        if body is not None and not isinstance(body, str):
            body = json.dumps(body)
            if "content-type" not in given:
                headers["Content-Type"] = "application/json"
        if "token" in self.options:
            headers["Authorization"] = f"Bearer {self.options['token']}"
        elif "user" in self.options:
            account = f"{self.options['user']}:{self.options.get('password', '')}"
            headers["Authorization"] = "Basic " + base64.b64encode(account.encode()).decode()
        return (None if body is None else body.encode("utf-8", "replace")), headers

    def judge(self, got: Got) -> Answer:
        response = got.response
        answer = Answer(observed={"status": response.status, **got.observed})
        status = str(response.status)
        if not any(good in (status, f"{status[0]}xx") for good in self.options["status"]):
            answer.findings.append(Finding(FAIL, self._status_reason(response)))
            answer.retry = response.status in _TRY_AGAIN
        content = response.content()
        if not answer.findings:
            self.judge_content(content, response, answer)
        answer.findings += judge_certificate(
            got.observed, self.options.get("warn_certificate_days"), self.options.get("fail_certificate_days")
        )
        if any(finding.verdict in (FAIL, UNKNOWN) for finding in answer.findings) and content:
            answer.observed["body"] = content[:EVIDENCE_BYTES].decode("utf-8", "replace")
        return answer

    def _status_reason(self, response: Response) -> str:
        said = f" ({clip(response.phrase, 60)})" if response.phrase else ""
        location = response.headers.get("location", "")
        there = shown_url(location) if "://" in location else location.partition("?")[0]
        to = f", a redirect to {clip(there, 200)}" if there and response.status in _REDIRECTS else ""
        return f"answered {response.status}{said} instead of {' or '.join(self.options['status'])}{to}"

    def judge_content(self, content: bytes, response: Response, answer: Answer) -> None:
        """Judge the body of an answer whose status is good."""
        text = content.decode("utf-8", "replace")
        for wanted in self.options.get("contains", ()):
            if wanted not in text:
                answer.findings.append(self._absent(f"the text {clip(wanted, 80)!r}", response))
        for pattern in self.options.get("matches", ()):
            if re.search(pattern, text) is None:
                answer.findings.append(self._absent(f"the pattern {clip(pattern, 80)!r}", response))

    def _absent(self, what: str, response: Response) -> Finding:
        if response.truncated:
            return Finding(UNKNOWN, f"{what} is not in the first {self.options['max_body_kb']} KiB of the answer, and no more was read")
        return Finding(FAIL, f"{what} is not in the answer")


class Json(Http):
    """Send a request and look into the JSON document that comes back."""

    spec = {**Http.spec, **conditions.SPEC, **conditions.THRESHOLDS}

    @property
    def has_number(self) -> bool:
        return bool(self.options.get("value"))

    def mistakes(self) -> t.List[str]:
        return super().mistakes() + conditions.mistakes(self.options)

    def judge_content(self, content: bytes, response: Response, answer: Answer) -> None:
        super().judge_content(content, response, answer)
        try:
            document = json.loads(content, parse_constant=_refuse)
        except (ValueError, RecursionError):
            if response.truncated:
                answer.findings.append(Finding(UNKNOWN, f"the answer is larger than the {self.options['max_body_kb']} KiB that are read"))
            else:
                answer.findings.append(Finding(FAIL, "the answer is not JSON" if content else "the answer is empty"))
            return
        judged = conditions.judge(document, self.options)
        answer.findings += judged.findings
        answer.observed.update(judged.observed)
        answer.value = judged.value


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
