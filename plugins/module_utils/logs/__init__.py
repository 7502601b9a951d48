# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Answers from logs: any number of questions to any number of logs, in one pass and in constant memory.

For other parts of the library there are two calls.

`operation.operate(parameters, check_mode)` is the whole of the module `log_scan`: `parameters` as its documentation has them
(`operation.OPTIONS` is the argument spec), the result as its documentation has it.

`metric.measure(options, sources, window_s=3600.0, now=None, timeout_s=60.0)` gives one number, for metrics of type `log`:

    Measurement(value: float | None, samples: int, reason: str, observed: dict)

- `options`: the metric's own keys, spec `metric.SPEC`; `metric.mistakes(options, sources)` says what is wrong with them:
  - `source`: name of one of `sources`, or a mapping that describes a log as an item of `service_logs` does; empty for all of `sources`.
  - `measure`: `share` (of the lines in the window those that are selected, 0 to 1), `count`, `per_second`, `percentile`, `mean`,
    `maximum`, `minimum`, `above` (share of the values of `field` above `limit`), `last` (the field's last value), `distinct`.
  - the selection: `levels`, `pattern` (regular expression), `ignore_case`, `where` (field -> value or list of values); all must be true.
  - `of_levels`, `of_pattern`, `of_where`: for `share`, the lines that it is a share of; without them all lines.
  - `field`: dotted name of the field, for all measures of values; `percentile`: 0 to 100, default 95; `limit`: for `above`.
- `sources`: the profile's `service_logs`.
- `window_s`: how far back, in seconds; 0 for the whole log.
- `value` is None, and `reason` says why, when the number cannot be told: a log cannot be read, the scan did not end in time, there
  is no value in the window. A count of nothing is 0, a share of no lines is None. `samples` is the number of lines (`share`,
  `count`, `per_second`) or of values that it stands on. `observed` has what a reader wants to see beside it (JSON types, redacted).

It raises `BadInput` for options that make no sense, and may be called from any thread.
"""
