# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Load tests, bounded in rate, number and time: `plan` decides what is sent, `driver` sends it, `figures` says what came of it."""
