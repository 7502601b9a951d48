# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of what restores replaced stays, and which goes."""

from __future__ import annotations

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.restoring.kept import parted, stamp_at_end

OLD, MIDDLE, NEW = "20261119T020000Z", "20261120T020000Z", "20261121T020000Z"
FOUND = [f"/a_before_{OLD}", f"/a_undone_{NEW}", f"/b_before_{OLD}", f"/a_before_{MIDDLE}"]


@pytest.mark.parametrize("keep", range(5))
def test_so_many_times_stay_whatever_bears_them_and_the_newest_come_first(keep: int) -> None:
    newest_first = [f"/a_undone_{NEW}", f"/a_before_{MIDDLE}", f"/a_before_{OLD}", f"/b_before_{OLD}"]
    split = {0: 0, 1: 1, 2: 2}.get(keep, 4)
    assert parted(FOUND, keep, stamp_at_end) == (newest_first[:split], newest_first[split:])


def test_fewer_than_none_cannot_stay() -> None:
    with pytest.raises(BadInput, match="-1 replaced ones cannot be kept"):
        parted(FOUND, -1, stamp_at_end)
