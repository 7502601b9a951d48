# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that plan a recovery from what the profile says and what backups there are."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from ansible.errors import AnsibleFilterError

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput


def recovery_assessment(
    stores: t.Any, listed: t.Any, main_host: str = "", method: str = "logical", which: str = "", offsite: t.Any = None
) -> t.Dict[str, t.List[str]]:
    """From which set each store would be restored, as sentences, and which have none."""
    from ansible_collections.sre.runbooks.plugins.module_utils.recovery.plan import assess

    now = datetime.now(timezone.utc)
    try:
        return assess(stores, list(listed or ()), now, main_host=main_host, method=method, words=which, offsite=offsite or None)
    except BadInput as error:
        raise AnsibleFilterError(error.message) from error


def recovery_proofs(proofs: t.Any, stores: t.Any) -> t.List[t.Dict[str, t.Any]]:
    """Queries that must be true after a restore, as checks."""
    from ansible_collections.sre.runbooks.plugins.module_utils.recovery.plan import proofs_as_checks

    checks, problems = proofs_as_checks(list(proofs or ()), list(stores or ()))
    if problems:
        raise AnsibleFilterError(f"restore_proofs cannot be asked: {'; '.join(problems)}. Next: correct the profile's backup.yml.")
    return checks


class FilterModule:
    """Filters that plan a recovery."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """The filters by name."""
        return {"recovery_assessment": recovery_assessment, "recovery_proofs": recovery_proofs}
