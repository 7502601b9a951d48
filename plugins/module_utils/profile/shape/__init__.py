# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What the variables of a profile look like, as JSON Schema (draft 2020-12).

`document.schema` puts the whole together; `meta/profile.schema.json` is its copy for editors, kept in step by `tests/contract`.
"""
