# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which tests may run beside each other: those of different files, whose servers are their own."""

from __future__ import annotations

from xdist.scheduler.loadscope import LoadScopeScheduling


class PartByPart(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Hands out the tests of a file together, since they share servers.

    Where parameters begin with a name and a colon, as in `[rag7: healthy]`, the servers are of that name, and its tests are a part of
    their own.
    """

    def _split_scope(self, nodeid: str) -> str:
        file, _double_colon, test = nodeid.partition("::")
        _function, _bracket, parameters = test.partition("[")
        part, colon, _rest = parameters.partition(": ")
        return f"{file} {part}" if colon else file
