# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The journal of module_utils/service/journal.py, for the parts of this folder."""

from __future__ import annotations

from ..journal import Journal

__all__ = ["Journal"]
