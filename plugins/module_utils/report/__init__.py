# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Reports on a service: `operation` collects what is known, `kinds` arranges it as a document, `html` and `markdown` show that document.

`slo` and `trend` hold the mathematics; they know nothing of reports.
"""
