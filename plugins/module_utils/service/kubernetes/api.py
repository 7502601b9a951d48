# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Requests to the API server of Kubernetes: tried again where that can help, within a deadline; one clear error where it cannot."""

from __future__ import annotations

import random
import time
import typing as t

from ...errors import BadInput, DeadlineExceeded, RunbookError, Unreachable
from .transport import NoConnection, Pieces, Query, Refused, Transport

Document = t.Dict[str, t.Any]
_Answer = t.TypeVar("_Answer")
STRATEGIC = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
REQUEST_S = 30.0
"""Seconds within which one request must have succeeded, all its tries together."""
_TRY_AGAIN = (409, 429, 500, 502, 503, 504)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 5.0
CORRECT = "its name, the namespace or the context of the kubeconfig"
"""What is to be corrected where an object is not there, when the caller does not name it more closely."""
_ROLE = "ask those who run the cluster for the rights in docs/service_kubernetes.md"


class NotThere(BadInput):
    """The cluster does not have the object that was asked for (404)."""


class NotAllowed(Unreachable):
    """The account may not do it (403)."""


class WatchEnded(Exception):
    """A watch cannot go on from where it was, or is not allowed; asking once more is the way out."""


class Api:
    """The API server, for one piece of work.

    Args:
        transport: What carries the requests.
        decode: Makes an object of a body.
        request_s: Seconds within which a request must have succeeded.
        clock, pause: The time, and how it is waited for; tests have their own.

    Attributes:
        changes: How many requests have changed something, or may have: those whose answer was lost are among them.
        requests: How many there were, all tries included.
    """

    def __init__(
        self,
        transport: Transport,
        decode: t.Callable[[bytes], t.Any],
        request_s: float = REQUEST_S,
        clock: t.Callable[[], float] = time.monotonic,
        pause: t.Callable[[float], None] = time.sleep,
    ) -> None:
        self._transport, self._decode, self._request_s = transport, decode, request_s
        self.clock, self.pause = clock, pause
        self.changes = 0
        self.requests = 0

    @property
    def changed(self) -> bool:
        """Whether a request has changed anything, or may have."""
        return self.changes > 0

    def get(self, path: str, query: Query = (), accept: str = "application/json", correct: str = CORRECT) -> Document:
        """The object at `path`.

        Args:
            path, query: What is asked for.
            accept: In which form.
            correct: What the reader should correct where it is not there.

        Raises:
            NotThere, NotAllowed: It is not there, or may not be seen.
            RunbookError: It cannot be had.
        """
        return t.cast("Document", self._decode(self._asked("GET", path, query, None, "", accept, correct=correct)))

    def items(self, path: str, selector: str = "", **query: str) -> t.Tuple[t.List[Document], str]:
        """The objects of a list, and its resource version, from which a watch can go on; raises as `get` does."""
        found = self.get(path, [*query.items(), *([("labelSelector", selector)] if selector else [])])
        return list(found.get("items") or ()), str((found.get("metadata") or {}).get("resourceVersion") or "")

    def text(self, path: str, query: Query = ()) -> str:
        """The text at `path`, such as a log; raises as `get` does."""
        return self._asked("GET", path, query, None, "", "*/*").decode("utf-8", "replace")

    def body(self, path: str, query: Query, timeout_s: float) -> Pieces:
        """The body at `path`, such as a log that is long or goes on; each piece comes within `timeout_s`; raises as `get` does."""
        return self._tried(lambda _left_s: self._transport.body(path, query, "*/*", timeout_s), "GET", path)

    def patch(self, path: str, body: t.Any, content_type: str, query: Query = ()) -> Document:
        """Change the object at `path` and return it as it is then; raises as `get` does."""
        return t.cast("Document", self._decode(self._asked("PATCH", path, query, body, content_type, "application/json")))

    def create(self, path: str, body: Document, query: Query = ()) -> bool:
        """Add an object to the list at `path`; false when one of its name is there already; raises as `get` does."""
        try:
            self._asked("POST", path, query, body, "application/json", "application/json", final=(409,))
        except Refused:
            return False
        return True

    def delete(self, path: str, body: t.Optional[Document] = None) -> bool:
        """Delete the object at `path`; false when it is gone already, or another of its name has come; raises as `get` does."""
        try:
            self._asked("DELETE", path, (), body, "application/json", "application/json", final=(404, 409))
        except Refused:
            return False
        return True

    def watch(self, path: str, query: Query, timeout_s: float) -> t.Iterator[t.Tuple[str, Document]]:
        """Events (type, object) of the objects at `path`, for at most `timeout_s`.

        Raises:
            WatchEnded: It has to be asked anew.
            RunbookError: The credentials are not accepted any more.
        """
        seconds = max(1, round(timeout_s))
        whole = [*query, ("watch", "true"), ("timeoutSeconds", str(seconds))]
        self.requests += 1
        try:
            for line in self._transport.lines(path, whole, seconds + 5.0):
                if not line.strip():
                    continue
                event = self._decode(line)
                if event.get("type") == "ERROR":
                    raise WatchEnded(str((event.get("object") or {}).get("message") or "the server ended it"))
                yield str(event.get("type")), event.get("object") or {}
        except Refused as refused:
            if refused.status == 401:
                raise self._error(refused, "GET", path) from None
            raise WatchEnded(refused.said) from None
        except (NoConnection, ValueError) as error:
            raise WatchEnded(str(error)) from None

    def command(self, pod: t.Mapping[str, t.Any], container: str, argv: t.Sequence[str]) -> t.Iterator[t.Tuple[int, bytes]]:
        """Run a command in a container and yield what it says (channel, bytes), and nothing on channel 0 at least every second.

        Raises:
            RunbookError: It may not be run, or the pod cannot be reached.
        """
        namespace, name = str(pod["metadata"].get("namespace") or "default"), str(pod["metadata"]["name"])
        self.requests += 1
        try:
            yield from self._transport.command(namespace, name, container, argv)
        except (Refused, NoConnection) as failed:
            raise self._error(failed, "GET", f"/api/v1/namespaces/{namespace}/pods/{name}/exec") from None

    def _asked(
        self,
        method: str,
        path: str,
        query: Query,
        body: t.Any,
        content_type: str,
        accept: str,
        final: t.Sequence[int] = (),
        correct: str = CORRECT,
    ) -> bytes:
        """The answer to a request, as `_tried` gets it."""

        def ask(left_s: float) -> bytes:
            return self._transport.call(method, path, query, body, content_type, accept, left_s)

        return self._tried(ask, method, path, b"", final, correct)

    def _tried(
        self,
        ask: t.Callable[[float], _Answer],
        method: str,
        path: str,
        gone: t.Any = None,
        final: t.Sequence[int] = (),
        correct: str = CORRECT,
    ) -> _Answer:
        """The answer, asked for again where that can help: after a conflict, when throttled, when the server or the connection fails.

        A refusal in `final` is raised as it is; after a try whose answer was lost it is what that try has left, `gone`, and no failure.
        """
        until, pause_s = self.clock() + self._request_s, _FIRST_PAUSE_S
        lost = False
        while True:
            left = until - self.clock()
            self.requests += 1
            try:
                answer = ask(max(1.0, left))
                self.changes += method != "GET"
                return answer
            except Refused as refused:
                if refused.status in final:
                    if not lost:
                        raise
                    self.changes += 1
                    return t.cast("_Answer", gone)
                failed: t.Union[Refused, NoConnection] = refused
                again = refused.status in _TRY_AGAIN
                wait_s = refused.retry_after_s
                unknown = refused.status >= 500
            except NoConnection as broken:
                failed, again, wait_s, unknown = broken, True, None, True
            lost = lost or (unknown and method != "GET")
            wait_s = random.uniform(pause_s / 2, pause_s) if wait_s is None else wait_s
            if not again or self.clock() + wait_s >= until:
                self.changes += lost
                raise self._error(failed, method, path, correct)
            self.pause(wait_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _error(self, failed: t.Union[Refused, NoConnection], method: str, path: str, correct: str = CORRECT) -> RunbookError:
        where = f"{method} {path} at {self._transport.server}"
        if isinstance(failed, NoConnection):
            return Unreachable(
                "The API server of Kubernetes does not answer",
                where=where,
                why=str(failed),
                next_step="check that the cluster runs and can be reached from here, and the address in the kubeconfig",
                changed=self.changed,
            )
        if failed.status == 404:
            return NotThere(
                "Kubernetes does not have it (404)", where=where, why=failed.said, next_step=f"correct {correct}", changed=self.changed
            )
        return _refusal(failed, where, self._transport.account, self.changed, self._request_s)


def _refusal(refused: Refused, where: str, account: str, changed: bool, request_s: float) -> RunbookError:
    status, said = refused.status, refused.said
    if status == 401:
        return Unreachable(
            f"Kubernetes does not accept the credentials of {account} (401)",
            where=where,
            why=f"{said}; they have expired, or are not of this cluster",
            next_step="log in to the cluster again, or renew the token or certificate; `kubectl auth whoami` says whether that worked",
            changed=changed,
        )
    if status == 403:
        return NotAllowed(f"{account} may not do this in Kubernetes (403)", where=where, why=said, next_step=_ROLE, changed=changed)
    if status in (429, 503):
        asked = f"; it wants to be asked again after {refused.retry_after_s:.0f} s" if refused.retry_after_s else ""
        return DeadlineExceeded(
            f"The API server did not take the request for {request_s:.0f} s ({status})",
            where=where,
            why=f"{said or 'too many requests'}{asked}",
            next_step="try again later; find out what else asks so much of the cluster",
            changed=changed,
        )
    if status == 409:
        return DeadlineExceeded(
            f"Others changed the same object again and again for {request_s:.0f} s (409)",
            where=where,
            why=said,
            next_step="find out what else works on it (an operator, a pipeline, another person), then try again",
            changed=changed,
        )
    if status >= 500:
        return Unreachable(
            f"The API server failed ({status})",
            where=where,
            why=said,
            next_step="try again later; `kubectl get --raw '/readyz?verbose'` says what is wrong with it",
            changed=changed,
        )
    return BadInput(f"Kubernetes refuses it ({status})", where=where, why=said, next_step="correct what was asked for", changed=changed)
