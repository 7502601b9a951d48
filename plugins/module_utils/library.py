# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Python packages that only some work needs: looked for when it does, and missed in the words of Ansible."""

from __future__ import annotations

import importlib
import typing as t

from .errors import ToolMissing


def library(module: str, what: str, next_step: str, package: str = "") -> t.Any:
    """The module of a package.

    Args:
        module: Its name.
        what: What needs it, as the sentence that its absence is told with.
        next_step: What to do then.
        package: Name of the package, where that is another one.

    Raises:
        ToolMissing: It is not installed for this Python.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        from ansible.module_utils.basic import missing_required_lib

        name = package or module
        raise ToolMissing(what, why=missing_required_lib(name), next_step=next_step, facts={"tool": name}) from None
