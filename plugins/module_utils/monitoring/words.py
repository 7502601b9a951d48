# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What an alert says: what is wrong, why it counts, what to do next; for Prometheus's templates and for plain messages."""

from __future__ import annotations

import re
import string
import typing as t

from .. import readable
from .thresholds import ABOVE, Threshold

DEFAULT_PROCEDURE = "health_check"
_TEMPLATES: t.Mapping[str, str] = {
    "ratio": "{{ $value | humanizePercentage }}",
    "percent": '{{ $value | printf "%.1f" }} %',
    "ms": '{{ $value | printf "%.0f" }} ms',
    "s": '{{ $value | printf "%.1f" }} s',
    "bytes": "{{ $value | humanize1024 }}B",
    "count": '{{ $value | printf "%g" }}',
    "per_second": '{{ $value | printf "%.3g" }}/s',
    "usd_per_hour": '{{ $value | printf "%.2f" }} USD/h',
    "days": '{{ $value | printf "%.1f" }} days',
}
"""Functions of https://prometheus.io/docs/prometheus/latest/configuration/template_reference/."""
_WORDS: t.Mapping[t.Tuple[str, str], str] = {
    ("fail", "above"): "critical",
    ("fail", "below"): "critical",
    ("warn", "above"): "elevated",
    ("warn", "below"): "low",
    ("pass", "above"): "noticed",
    ("pass", "below"): "noticed",
}
_NUMBER_FORMAT = re.compile(r"[+ -]?[0-9]{0,2}[,_]?(?:\.[0-9]{1,2})?[eEfFgGn%]?\Z")


def literal(text: str) -> str:
    """`text` so that the templates of Prometheus and Alertmanager show it as it stands."""
    return text.replace("{{", '{{ "{{" }}')


def value_template(unit: str) -> str:
    """The template that shows an alert's value in its unit."""
    return _TEMPLATES.get(unit) or ('{{ $value | printf "%.4g" }}' + literal(f" {unit}" if unit else ""))


def degree(verdict: str, direction: str) -> str:
    """How bad it is in a word, as the messages of the source runbooks have it: `Error rate critical`, `Error rate elevated`."""
    return _WORDS[verdict, direction]


def message(title: str, verdict: str, direction: str, value: float, unit: str) -> str:
    """The message of an alert that is evaluated here: `Error rate critical: 16.0%`, `Response time elevated: 31.5s`."""
    return f"{title} {degree(verdict, direction)}: {short(value, unit)}"


def formatted(pattern: str, value: float) -> str:
    """The profile's own words with the value in them (`Error rate critical: {value:.1%}`); empty where they cannot be used.

    Only `{value}` with a format for numbers is filled in: a pattern may not reach into anything else.
    """
    found = []
    try:
        for text, name, form, conversion in string.Formatter().parse(pattern):
            found.append(text)
            if name is None:
                continue
            if name != "value" or conversion or not _NUMBER_FORMAT.match(form or ""):
                return ""
            found.append(format(value, form or ""))
    except (ValueError, OverflowError):
        return ""
    return "".join(found)


def short(value: float, unit: str) -> str:
    """A value in the form of the source's messages: one digit after the point, `16.0%` for a share, `31.5s` for seconds."""
    if unit == "ratio":
        return f"{100 * value:.1f}%"
    if unit in ("s", "percent"):
        return f"{value:.1f}{'s' if unit == 's' else '%'}"
    return readable.quantity(value, unit)


def annotations_of(
    service: str, title: str, unit: str, one: Threshold, words: t.Mapping[str, t.Any], severity: t.Mapping[str, t.Any]
) -> t.Dict[str, str]:
    """The annotations of the alert of a threshold.

    Args:
        service: What a reader calls the service.
        title: What a reader calls the metric.
        unit: Its unit.
        one: The threshold.
        words: What the profile says of this metric's alerts (monitoring_alerts).
        severity: The entry of incident_severities that the alert has; empty for none.
    """
    shown, side = value_template(unit), "more" if one.direction == ABOVE else "less"
    limit = readable.quantity(one.limit, unit)
    why = str(words.get("why") or "") or _why(one, severity, limit, side)
    return {
        "summary": f"{literal(title)} {degree(one.verdict, one.direction)}: {shown}",
        "what": f"{literal(title)} of {literal(service)}: {shown}, {side} than {literal(limit)}.",
        "why": literal(why),
        "next_step": literal(next_step(words, severity)),
        "procedure": literal(procedure(words)),
    }


def next_step(words: t.Mapping[str, t.Any], severity: t.Mapping[str, t.Any]) -> str:
    """What to do, and by when."""
    said = str(words.get("next_step") or "").strip().rstrip(".")
    step = said or f"Run the procedure {procedure(words)} and follow what it reports"
    within = severity.get("respond_within_s")
    if isinstance(within, (int, float)) and not isinstance(within, bool):
        return f"{step}. Respond within {readable.span(within)}."
    return f"{step}."


def procedure(words: t.Mapping[str, t.Any]) -> str:
    """The full name of the procedure to run."""
    name = str(words.get("procedure") or DEFAULT_PROCEDURE).strip()
    return name if "." in name else f"sre.runbooks.{name}"


def _why(one: Threshold, severity: t.Mapping[str, t.Any], limit: str, side: str) -> str:
    if one.priority:
        grave = f"{one.priority} ({severity['title']})" if severity.get("title") else one.priority
        return f"{grave}: {one.because or f'{side} than {limit}'}."
    kind = {"fail": "critical", "warn": "warning", "pass": "point of note"}[one.verdict]
    return f"{side.capitalize()} than {limit} is {'critical' if kind == 'critical' else f'a {kind}'} by the profile."
