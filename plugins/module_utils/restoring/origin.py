# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Where the data of a set comes from, for whoever reads what a restore has done."""

from __future__ import annotations

import typing as t

from ..backup_set.sets import BackupSet


def other_server(one: BackupSet, identity: str, here: t.Union[str, int]) -> t.List[str]:
    """What to note when a set is restored on another server than it was taken on.

    Args:
        one: The set.
        identity: Key of the manifest's `server` by which servers of this kind are told apart.
        here: What this server has for it; empty when it has none yet.

    Returns:
        One sentence; none when it is the same server.
    """
    server = one.manifest.get("server", {})
    taken_on = str(server.get(identity, ""))
    if not here or taken_on == str(here):
        return []
    return [f"{one.id} was taken on another server, {server.get('address')} ({identity} {taken_on}); this one has {here}"]
