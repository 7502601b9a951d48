# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter that chooses pods that are over."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from ansible.errors import AnsibleFilterError

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance import pods as library


def finished_pods(
    pods: t.Any, jobs: t.Any = (), phases: t.Any = library.PHASES, older_than_h: float = 0, now: str = ""
) -> t.Dict[str, t.List[t.Dict[str, t.Any]]]:
    """The pods to remove, and those that stay, with the reasons."""
    moment = library.moment(now) or datetime.now(timezone.utc)
    try:
        return library.finished_pods(list(pods or ()), list(jobs or ()), list(phases), float(older_than_h), moment)
    except BadInput as error:
        raise AnsibleFilterError(error.message) from error


class FilterModule:
    """Filter over objects of a Kubernetes API server."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """The filters by name."""
        return {"finished_pods": finished_pods}
