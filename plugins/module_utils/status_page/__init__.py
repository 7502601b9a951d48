# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The status page: a small read-only web server over the history of a service.

`snapshot` says how the service is, `drawn` its charts, `api` the JSON of it, `html` the page, `tail` the latest lines of its logs;
`access` and `protocol` keep out whom they should, `app` puts it together with Starlette, `server` is the program, `process` starts it.
"""
