# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A configuration file of another program, whose folder may have yet to be made."""

from __future__ import annotations

import os

from ..configuration.in_place import Present, present

_NEW_MODE = 0o644


def found(path: str) -> Present:
    """The file as it is; a new one where its folder is not there either.

    Raises:
        BadInput: It is no file, too large, or cannot be read.
    """
    real = os.path.realpath(path)
    return present(path, _NEW_MODE) if os.path.isdir(os.path.dirname(real)) else Present(real, None, _NEW_MODE)
