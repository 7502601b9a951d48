# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that plan a recovery from what the profile says and what backups there are."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from ansible.errors import AnsibleFilterError

from ansible_collections.sre.runbooks.plugins.module_utils.recovery.plan import plan_stores, proofs_as_checks, taken_together


def recovery_plan(stores: t.Any, sets: t.Any, only: t.Any = (), method: str = "logical") -> t.List[t.Dict[str, t.Any]]:
    """From which set each store would be restored."""
    if not isinstance(stores, list) or not all(isinstance(one, dict) and one.get("name") for one in stores):
        raise AnsibleFilterError("backup_stores must be a list of stores, each with a name. Next: correct the profile's backup.yml.")
    names = {str(one["name"]) for one in stores}
    unknown = sorted({str(name) for name in only or ()} - names)
    if unknown:
        raise AnsibleFilterError(
            f"The profile has no store {', '.join(unknown)}; it has: {', '.join(sorted(names))}. Next: correct the name."
        )
    wanted = [one for one in stores if not only or one["name"] in only]
    return plan_stores(wanted, list(sets or ()), method, datetime.now(timezone.utc))


def recovery_together(plan: t.Any, records: t.Any) -> t.List[str]:
    """Whether the sets of a plan were taken together."""
    return taken_together(list(plan or ()), list(records or ()))


def recovery_proofs(proofs: t.Any, stores: t.Any) -> t.List[t.Dict[str, t.Any]]:
    """Queries that must be true after a restore, as checks."""
    checks, problems = proofs_as_checks(list(proofs or ()), list(stores or ()))
    if problems:
        raise AnsibleFilterError(f"restore_proofs cannot be asked: {'; '.join(problems)}. Next: correct the profile's backup.yml.")
    return checks


class FilterModule:
    """Filters that plan a recovery."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """The filters by name."""
        return {"recovery_plan": recovery_plan, "recovery_together": recovery_together, "recovery_proofs": recovery_proofs}
