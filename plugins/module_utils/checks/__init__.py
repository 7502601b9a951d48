# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Many read-only questions to a service, asked at once: `plan` what to ask, let `engine.ask` ask, `report` what came back."""
