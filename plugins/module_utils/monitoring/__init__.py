# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""From a profile to the files of Prometheus, Alertmanager and Grafana, and what is done with their alerts.

`rules` and `rule_tests`, `alertmanager` and `dashboards` are pure functions from the profile to content; `set_up` checks, writes and
loads what they give; `alerts` and `silences` talk to Alertmanager; `evaluation` is for services that have no Prometheus.
"""
