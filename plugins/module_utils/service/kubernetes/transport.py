# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What carries requests to the API server of Kubernetes, as `api` wants it; `client` has the real one."""

from __future__ import annotations

import typing as t

Query = t.Sequence[t.Tuple[str, str]]


class Refused(Exception):
    """The API server answered with an error.

    Attributes:
        status: The HTTP status.
        said: Its message.
        retry_after_s: After how many seconds it wants to be asked again; None when it does not say.
    """

    def __init__(self, status: int, said: str, retry_after_s: t.Optional[float] = None) -> None:
        self.status, self.said, self.retry_after_s = status, said, retry_after_s
        super().__init__(f"{status}: {said}")


class NoConnection(Exception):
    """No answer came."""


class Pieces(t.Protocol):
    """The body of an answer, piece by piece; raises NoConnection where it breaks off."""

    def __iter__(self) -> t.Iterator[bytes]:
        """What comes, as it comes."""

    def end(self) -> None:
        """No more of it is wanted; another thread may wait for it."""


class Transport(t.Protocol):
    """What carries requests to the API server; `client` has the real one."""

    server: str
    account: str

    def call(self, method: str, path: str, query: Query, body: t.Any, content_type: str, accept: str, timeout_s: float) -> bytes:
        """The body of the answer.

        Raises:
            Refused: The answer is an error.
            NoConnection: There is none.
        """

    def lines(self, path: str, query: Query, timeout_s: float) -> t.Iterator[bytes]:
        """The lines of an answer that goes on, as they come; raises as `call` does."""

    def body(self, path: str, query: Query, accept: str, timeout_s: float) -> Pieces:
        """An answer that goes on; raises as `call` does, also when nothing comes for `timeout_s`."""

    def command(self, namespace: str, pod: str, container: str, argv: t.Sequence[str]) -> t.Iterator[t.Tuple[int, bytes]]:
        """What a command in a pod says, by channels, and nothing on channel 0 now and then; raises as `call` does."""
