# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The figures of a load test: totals, latencies from the scheduled moment, verdicts."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.load.figures import Ended, curves, figures, judge, metrics, percentile, verdict
from ansible_collections.sre.runbooks.plugins.module_utils.load.plan import Plan, plan
from ansible_collections.sre.runbooks.plugins.module_utils.load.report import operate

from .test_load_plan import options


def planned(**changed: t.Any) -> Plan:
    """A plan of GET requests."""
    return plan(options(requests=[{"path": "/"}], **changed))


def ended(number: int, latency_ms: float, wrong: str = "", *, late_ms: float = 0, status: int = 200, at_s: float | None = None) -> Ended:
    """A request that was scheduled a tenth of a second after the one before."""
    scheduled = number / 10 if at_s is None else at_s
    return Ended(
        number, 0, scheduled, scheduled + late_ms / 1000, scheduled + latency_ms / 1000, 0 if wrong == "timeout" else status, 10, wrong
    )


def test_percentiles_are_by_nearest_rank() -> None:
    numbers = [float(number) for number in range(1, 101)]
    assert [percentile(numbers, share) for share in (0.0, 0.5, 0.95, 0.99, 1.0)] == [1, 50, 95, 99, 100]
    assert percentile([7.0], 0.99) == 7
    assert percentile([], 0.5) is None


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_a_percentile_is_the_smallest_number_that_covers_its_share(numbers: list[float], share: float) -> None:
    ordered = sorted(numbers)
    found = percentile(ordered, share)
    assert found is not None
    assert sum(number <= found for number in ordered) >= share * len(ordered) - 1e-6
    smaller = [number for number in ordered if number < found]
    assert len(smaller) < share * len(ordered) + 1e-6


def test_the_wait_for_a_free_connection_counts_as_latency() -> None:
    found = figures(planned(total=2, rate_per_s=10.0), [ended(0, 100), ended(1, 900, late_ms=800)])
    assert found["latency_ms"]["maximum"] == pytest.approx(900)
    assert found["service_ms"]["maximum"] == pytest.approx(100)
    assert found["late_ms"]["maximum"] == pytest.approx(800)


def test_timeouts_count_as_slow_and_refused_connections_do_not_count_as_quick() -> None:
    members = [ended(0, 10), ended(1, 5000, "timeout"), ended(2, 0.1, "connection refused", status=0)]
    found = figures(planned(total=3), members)
    assert found["latency_ms"]["samples"] == 2
    assert found["latency_ms"]["maximum"] == pytest.approx(5000)
    assert found["failures"] == {"timeout": 1, "connection refused": 1}
    assert (found["ok"], found["failed_requests"], found["error_rate"]) == (1, 2, pytest.approx(2 / 3))


def test_requests_that_were_never_sent_are_failures_of_their_own_kind() -> None:
    found = figures(planned(total=10), [ended(0, 10)])
    assert found["failures"] == {"not sent in time": 9}
    assert verdict(planned(total=10), found, [])[0] == "unknown"


def test_a_test_without_a_good_answer_fails_whatever_the_thresholds_are() -> None:
    found = figures(planned(total=1), [ended(0, 10, "status 500", status=500)])
    assert verdict(planned(total=1), found, [])[0] == "fail"
    nothing = figures(planned(total=1), [])
    assert nothing["latency_ms"]["p95"] is None
    assert verdict(planned(total=1), nothing, [])[0] == "fail"


def test_thresholds_give_pass_warn_fail_and_unknown_with_their_reasons() -> None:
    limits = [
        {"metric": "error_rate", "fail_above": 0.5},
        {"metric": "latency_p95_ms", "warn_above": 50, "fail_above": 500},
        {"metric": "throughput_per_s", "fail_below": 100},
        {"metric": "latency_p99_ms", "fail_above": 1000, "minimum_samples": 100},
    ]
    one = planned(total=4, thresholds=limits)
    found = figures(one, [ended(number, 100) for number in range(4)])
    said = judge(one, found)
    assert [threshold["verdict"] for threshold in said] == ["pass", "warn", "fail", "unknown"]
    assert said[1]["reason"] == "latency_p95_ms is 100, more than 50"
    assert "4 requests, fewer than 100" in said[3]["reason"]
    whole, summary = verdict(one, found, said)
    assert whole == "fail"
    assert summary.startswith("4 of 4 requests succeeded")
    by_name = {metric["name"]: metric["verdict"] for metric in metrics(found, said)}
    assert by_name["load_test_latency_p95_ms"] == "warn"


def test_a_threshold_on_what_was_not_measured_is_unknown() -> None:
    one = planned(total=1, thresholds=[{"metric": "latency_p95_ms", "fail_above": 1}])
    assert judge(one, figures(one, [ended(0, 1, "connection refused", status=0)]))[0]["verdict"] == "unknown"


def test_the_curves_have_few_points_and_lose_no_failure() -> None:
    members = [ended(number, 20 + number % 7, "status 500" if number % 100 == 0 else "", at_s=number / 1000) for number in range(5000)]
    found = curves(planned(total=5000), members)
    assert len(found["over_time"]) <= 62
    assert sum(point["failed"] for point in found["over_time"]) == 50
    assert [share for share, _value in found["by_share"]] == sorted(share for share, _value in found["by_share"])
    assert json.dumps(found)


def result(**changed: t.Any) -> dict[str, t.Any]:
    """What a load test of four requests returns."""
    one = planned(total=4, thresholds=[{"metric": "latency_p95_ms", "warn_above": 50, "fail_above": 500}])
    ended_ones = [ended(0, 20), ended(1, 100), ended(2, 30, "status 500", status=500), ended(3, 5000, "timeout")]
    found = figures(one, ended_ones)
    thresholds = judge(one, found)
    whole, summary = verdict(one, found, thresholds)
    told = {"began_at": "2026-11-21T15:00:00.000Z", "plan": one.shown(), "verdict": whole, "summary": summary}
    return {**told, **found, "thresholds": thresholds, "curves": curves(one, ended_ones), **changed}


def test_the_report_tells_figures_thresholds_and_plots_in_the_form_of_all_reports(tmp_path: Path) -> None:
    terms = {"service": "reference", "title": "", "environment": "staging", "keep_days": 0.0, "state_folder": str(tmp_path)}
    written = operate({**terms, "result": result()}, False)
    page, text = Path(written["html"]).read_text(), Path(written["markdown"]).read_text()
    for said in ("latency_p95_ms is 5000, more than 500", "status 500", "2 of 4 requests succeeded"):
        assert said in page
    assert "latency\\_p95\\_ms is 5000" in text
    assert "Load test" in Path(written["index"]).read_text()


def test_a_rehearsal_has_nothing_to_report_and_a_strange_result_is_refused(tmp_path: Path) -> None:
    terms = {"service": "reference", "title": "", "environment": "", "keep_days": 0.0, "state_folder": str(tmp_path)}
    assert operate({**terms, "result": {"plan": {}}}, False)["html"] == ""
    with pytest.raises(BadInput, match="result of load_test"):
        operate({**terms, "result": {"msg": "hello"}}, False)
    assert operate({**terms, "result": result()}, True)["html"] == ""
    assert not list(tmp_path.iterdir())
