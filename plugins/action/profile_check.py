# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of the module profile_check: a profile lies on the controller, and only there can its templates be evaluated."""

from __future__ import annotations

from ansible_collections.sre.runbooks.plugins.module_utils.profile.operation import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.plugin_utils.profile import OfProfile


class ActionModule(OfProfile):
    """Entry point."""

    module = "sre.runbooks.profile_check"
    options = OPTIONS
    operate = staticmethod(operate)


__all__ = ["ActionModule"]
