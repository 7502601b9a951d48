# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What `kubectl exec` makes of a program's end.

It ends with 0 when the program did, and also when the connection to the pod breaks in the middle (seen with 1.20 and 1.32, when the
kubelet or the API server went away): what had arrived by then would pass for the whole. So a program that ends well ends with another
status in the pod, and a 0 without that is a broken connection.

The server is often process 1 of its container and takes the end of any orphan for that of a backend: other than with 0 or 1, it restarts
(CleanupBackend in postmaster.c). So nothing is left in the background, and a program that nobody reads any more fails instead of being
ended by SIGPIPE.
"""

from __future__ import annotations

import re
import typing as t

from .errors import RunbookError, Unreachable

_ENDED_WELL = 113
"""Neither the client programs nor env, sh (126, 127) or signals (from 128 on) end with it."""
_BROKEN = _ENDED_WELL
_TOLD_STATUS = re.compile(r"^command terminated with.*exit code.*$", re.MULTILINE)
_CHATTER = re.compile(r"^(command terminated with|Default(ed|ing) container|Use 'kubectl describe).*$\n?", re.MULTILINE)


def telling_its_end(argv: t.Sequence[str]) -> t.List[str]:
    """The call that runs `argv` in the pod so that `own_status` can tell its end."""
    return ["sh", "-c", f'trap "" PIPE; "$@" && exit {_ENDED_WELL}', "sh", *argv]


def own_status(status: int) -> int:
    """The program's exit status, given kubectl's; not 0 when the connection broke."""
    return {_ENDED_WELL: 0, 0: _BROKEN}.get(status, status)


def own_words(said: str) -> str:
    """What the program wrote to its standard error, without what kubectl adds."""
    return _CHATTER.sub("", said)


def kubectl_failure(program: str, place: str, status: int, said: str) -> t.Optional[RunbookError]:
    """The error when it was kubectl that failed; None when the program ran and failed by itself.

    Args:
        program: The program's name, for the message.
        place: The pod, for the message.
        status: What `own_status` gave.
        said: What came out on standard error.
    """
    if status == _BROKEN:
        return Unreachable(
            f"The connection to the pod broke before {program} had ended",
            where=place,
            why="kubectl exec ended first",
            next_step="check that the pod, its node and the cluster's API server run, then try again",
        )
    if status < 0 or _TOLD_STATUS.search(said):
        return None
    return Unreachable(
        f"{program} could not be run in the pod",
        where=place,
        why=(said.strip().splitlines() or ["kubectl does not say why"])[-1],
        next_step="check pod, pod_namespace, pod_container and kube_context in the inventory, and that kubectl reaches the cluster",
    )
