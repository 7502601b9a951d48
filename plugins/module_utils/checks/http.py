# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of type `http` and `json`."""

from __future__ import annotations

import json
import re
import typing as t

from . import conditions
from .http_message import Response
from .model import FAIL, UNKNOWN, Answer, Attempt, Finding
from .redaction import clip
from .web import Got, NotJson, Web, access

_STATUS = re.compile(r"[1-5](?:[0-9]{2}|xx)\Z")


class Http(Web):
    """Send a request; look at status, text, certificate."""

    spec = {
        **access(64),
        "method": {"type": "str", "default": "GET"},
        "body": {"type": "raw"},
        "status": {"type": "list", "elements": "str", "default": ["200"]},
        "contains": {"type": "list", "elements": "str"},
        "matches": {"type": "list", "elements": "str"},
    }

    @property
    def good_statuses(self) -> t.Sequence[str]:
        return t.cast("t.Sequence[str]", self.options["status"])

    def mistakes(self) -> t.List[str]:
        found = super().mistakes()
        options = self.options
        if not re.match(r"[A-Z]{1,20}\Z", options["method"]):
            found.append(f"method {options['method']!r} is not a method such as GET")
        if options["redirects"] != "none" and options["method"] not in ("GET", "HEAD"):
            found.append(f"redirects are followed for GET and HEAD only, not for {options['method']}")
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
        return found

    @property
    def target(self) -> str:
        return super().target if self.options["method"] == "GET" else f"{self.options['method']} {super().target}"

    async def ask(self, attempt: Attempt) -> Got:
        body = self.options.get("body")
        headers = {}
        if body is not None and not isinstance(body, str):
            body = json.dumps(body)
            headers["Content-Type"] = "application/json"
        encoded = None if body is None else body.encode("utf-8", "replace")
        return await self.fetch(attempt, self.options["url"], method=self.options["method"], headers=headers, body=encoded)

    def judge_content(self, content: bytes, response: Response, answer: Answer) -> None:
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
            document = self.document(content, response)
        except NotJson as error:
            answer.findings.append(error.finding)
            return
        judged = conditions.judge(document, self.options)
        answer.findings += judged.findings
        answer.observed.update(judged.observed)
        answer.value = judged.value
