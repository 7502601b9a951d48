# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page about metrics and the module's documentation have every key, and what they show as an example is a valid profile."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.sre.runbooks.plugins.module_utils.checks.plan import plan as plan_checks
from ansible_collections.sre.runbooks.plugins.module_utils.metrics.model import BASELINE_SPEC, SPEC
from ansible_collections.sre.runbooks.plugins.module_utils.metrics.plan import plan
from ansible_collections.sre.runbooks.plugins.module_utils.severity import severity_mistakes
from ansible_collections.sre.runbooks.plugins.modules import metrics_gate

PAGE = Path(__file__).resolve().parents[2] / "docs" / "health_and_metrics.md"
LOGS = [{"name": name, "path": f"/var/log/{name}.log"} for name in ("application", "access")]


def examples(page: Path) -> list[t.Any]:
    """The YAML blocks of a page, templates filled in."""
    blocks = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return [yaml.safe_load(re.sub(r"\{\{ service_url \}\}", "http://127.0.0.1", block)) for block in blocks]


def test_every_key_of_a_metric_is_on_the_page_and_in_the_module_s_documentation() -> None:
    text = PAGE.read_text(encoding="utf-8")
    documented = yaml.safe_load(metrics_gate.DOCUMENTATION)["options"]["metrics"]["suboptions"]
    assert [key for key in (*SPEC, *BASELINE_SPEC) if f"`{key}`" not in text] == []
    assert set(SPEC) <= set(documented)
    assert set(documented["baseline"]["suboptions"]) == set(BASELINE_SPEC)
    for key, option in SPEC.items():
        assert documented[key].get("choices") == option.get("choices"), key
        if option.get("default") not in (None, "", 0.0):
            assert documented[key]["default"] == option["default"], key


@pytest.mark.parametrize("number", range(len(examples(PAGE))))
def test_an_example_of_the_page_is_a_valid_profile(number: int) -> None:
    example = examples(PAGE)[number]
    if isinstance(example, dict) and "health_checks" in example:
        assert len(plan_checks(example["health_checks"])) == 4
    elif isinstance(example, dict) and "incident_severities" in example:
        assert severity_mistakes(example["incident_severities"], example["incident_severity_rules"]) == []
    elif isinstance(example, dict) and "baseline" in example:
        assert plan([{"name": "m", "type": "json", "url": "http://h", "value": "v", **example}], service="x")[0].baseline
    elif isinstance(example, list) and "ansible.builtin.import_role" in example[0]:
        assert example[0]["vars"] == {"health_gate_fail_on": ["warn", "fail", "unknown"]}
    else:
        assert plan(example["health_metrics"] if isinstance(example, dict) else example, logs=LOGS)
