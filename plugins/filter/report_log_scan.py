# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter that makes the scan of the logs for a report from the questions of a profile."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError


def report_log_scan(questions: t.Any, kind: str, window_s: float = 0) -> t.Dict[str, t.Any]:
    """What is asked, and how far back is read."""
    from ansible_collections.sre.runbooks.plugins.module_utils.report.kinds import KINDS
    from ansible_collections.sre.runbooks.plugins.module_utils.report.log_questions import longest_s, own_questions, used_by

    if not isinstance(questions, list) or not all(isinstance(one, dict) and one.get("name") for one in questions):
        raise AnsibleFilterError(
            "service_log_questions must be a list of questions, each with a name. Next: correct group_vars/all/service.yml of the profile."
        )
    if kind not in KINDS:
        raise AnsibleFilterError(f"There is no report {kind!r}. Next: name one of {', '.join(sorted(KINDS))}.")
    try:
        longest = longest_s(questions, kind, float(window_s) or KINDS[kind].window_s)
        return {"used_by": used_by(kind), "questions": own_questions(questions, kind), "since": f"{longest:.0f}s"}
    except (TypeError, ValueError) as error:
        raise AnsibleFilterError(
            f"A number among service_log_questions is none ({error}). Next: correct group_vars/all/service.yml of the profile."
        ) from error


class FilterModule:
    """The filter."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """The filters by name."""
        return {"report_log_scan": report_log_scan}
