# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""From `health_metrics` in the inventory to metrics that can be measured; all mistakes are reported together before anything is asked."""

from __future__ import annotations

import math
import typing as t

from ..checks import plan as check_plan
from ..checks.catalogue import TYPES
from ..checks.model import Check
from ..checks.redaction import clip
from ..errors import BadInput
from .model import (
    BASELINE_SPEC,
    DIVISOR,
    GROWTH,
    LAST,
    RATIOS,
    SAMPLES,
    SPEC,
    THRESHOLDS,
    Baseline,
    Metric,
)

_LONGEST_S = 3600.0
_MOST_READINGS = 5000
_READINGS = 10
"""Readings of a window that names no interval."""
_SHORTEST_S = 0.05
_MOST_MISTAKES = 30
_ANY_FAR = 1e300
"""A bound that no number passes: it tells a question in which direction bad lies, and judges nothing."""
_QUERY, _SERIES = "query", "sum"
_LOG = "log"
"""The type whose answers tell by themselves on how many observations they stand."""


def plan(
    raw: t.Sequence[t.Any],
    *,
    timeout_s: float = 10.0,
    retries: int = 1,
    service: str = "",
    logs: t.Sequence[t.Mapping[str, t.Any]] = (),
) -> t.List[Metric]:
    """The metrics that `raw`, the list of the inventory, describes.

    Args:
        raw: A dictionary for each metric.
        timeout_s: Deadline in seconds of one reading, for metrics that name none.
        retries: Retries of a reading, for metrics that name none.
        service: Name of the service, by which a baseline is looked up in the history; empty when there is no history.
        logs: `service_logs`, whose names metrics of type `log` use.

    Raises:
        BadInput: The list has mistakes; the message has all of them (the first 30 when there are more).
        ToolMissing: An expression needs the library jmespath, and it is not installed.
    """
    mistakes: t.List[str] = [] if raw else ["it is empty, and what asks nothing proves nothing"]
    options: t.List[t.Dict[str, t.Any]] = []
    questions: t.List[t.Any] = []
    companions: t.List[t.Any] = []
    for number, item in enumerate(raw, 1):
        found, own, asked = _split(item, service, logs)
        mistakes += [f"{_label(item, number)}: {mistake}" for mistake in found]
        options.append(own)
        questions.append(asked[0])
        companions += asked[1:]
    checks: t.List[Check] = []
    if raw:
        try:
            checks = check_plan.plan(questions + companions, timeout_s=timeout_s, retries=retries)
        except BadInput as error:
            told = [str(mistake) for mistake in error.facts["mistakes"]]
            mistakes += ["metric " + mistake[len("check ") :] if mistake.startswith("check ") else mistake for mistake in told]
    by_name = {check.name: check for check in checks}
    mistakes += [
        f"{_label(item, number)}: a check of type {item['type']} that is written so yields no number"
        for number, (item, question) in enumerate(zip(raw, questions), 1)
        if not _yields_number(question, by_name)
    ]
    if mistakes:
        raise _refused(mistakes, raw)
    return [_metric(item, own, by_name) for item, own in zip(raw, options)]


def _yields_number(question: t.Any, checks: t.Mapping[str, Check]) -> bool:
    """Whether a question has a number for its answer; one that is wrong in other ways is not judged."""
    if checks:
        return checks[str(question["name"])].question.has_number
    try:
        (alone,) = check_plan.plan([{key: value for key, value in question.items() if key != "depends_on"}])
    except (AttributeError, BadInput):
        return True
    return alone.question.has_number


def _refused(mistakes: t.Sequence[str], raw: t.Sequence[t.Any]) -> BadInput:
    redactor = check_plan.redactor_for(raw)
    shown = [redactor.text(mistake) for mistake in dict.fromkeys(mistakes)]
    more = f"; and {len(shown) - _MOST_MISTAKES} more" if len(shown) > _MOST_MISTAKES else ""
    return BadInput(
        f"The list of metrics has {len(shown)} mistake{'' if len(shown) == 1 else 's'}",
        why="; ".join(shown[:_MOST_MISTAKES]) + more,
        next_step="correct the profile; nothing was asked",
        facts={"mistakes": shown[:_MOST_MISTAKES]},
    )


def _label(item: t.Any, number: int) -> str:
    name = item.get("name") if isinstance(item, t.Mapping) else None
    return f"metric {clip(str(name), 60)!r}" if name else f"metric number {number}"


def _split(item: t.Any, service: str, logs: t.Sequence[t.Mapping[str, t.Any]]) -> t.Tuple[t.List[str], t.Dict[str, t.Any], t.List[t.Any]]:
    """The mistakes in what makes it a metric, its own options, and the checks to be asked, that of the number first."""
    if not isinstance(item, t.Mapping):
        # The plan of the checks says what is wrong with it.
        return [], {}, [item]
    from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

    spec = {name: dict(option) for name, option in SPEC.items()}
    given = {str(key): value for key, value in item.items() if value is not None}
    validated = ArgumentSpecValidator(spec).validate({key: value for key, value in given.items() if key in SPEC})
    question = {key: value for key, value in given.items() if key not in SPEC}
    if validated.error_messages:
        return [str(message) for message in validated.error_messages], {}, [question]
    own = {key: value for key, value in validated.validated_parameters.items() if value is not None}
    found: t.List[str] = []
    if "baseline" in own:
        found, own["baseline"] = _baseline(own["baseline"], service)
    if question.get("type") == _LOG:
        question.setdefault("logs", list(logs))
    wrong, asked = _questions(question, own)
    return _mistakes(own) + found + wrong, own, asked


def _questions(question: t.Dict[str, t.Any], own: t.Dict[str, t.Any]) -> t.Tuple[t.List[str], t.List[t.Any]]:
    """The checks that give number, divisor and samples."""
    load = TYPES.get(str(question.get("type")))
    if load is None:
        return [], [question]
    keys = load().spec
    found: t.List[str] = []
    if "window_s" in keys and own["window_s"]:
        # The type looks at a stretch of time itself: a log has it written down, the processor is watched for so long.
        question["window_s"], own["window_s"] = own["window_s"], 0.0
    if "unit" in keys and own["unit"]:
        # What systemd calls a unit.
        question["unit"], own["unit"] = own["unit"], ""
    asked = [question]
    beside: t.Dict[str, str] = {}
    companions: t.Dict[str, str] = {}
    for part in (DIVISOR, SAMPLES):
        if part not in own:
            continue
        name = f"{question.get('name')} ({part.replace('_', ' ')})"
        if _QUERY in keys and "observe" not in keys:
            companions[part] = name
            asked.append({**question, "name": name, _QUERY: own[part]})
        elif "observe" in keys:
            beside[part] = name
        else:
            found.append(f"{part} is for answers that hold several numbers, and those of type {question['type']} hold one")
    if beside:
        observe = question.get("observe")
        # In front: of what is observed only the first fifty are kept.
        question["observe"] = {**{name: own[part] for part, name in beside.items()}, **(observe if isinstance(observe, t.Mapping) else {})}
        if observe is not None and not isinstance(observe, t.Mapping):
            found.append("observe is not a dictionary")
    if _SERIES in keys and _QUERY in keys and _bad_below(own):
        question["warn_below"] = -_ANY_FAR
    if question["type"] == _LOG and not own.get(SAMPLES):
        beside[SAMPLES] = SAMPLES
    own["beside"], own["companions"] = beside, companions
    return found, asked


def _bad_below(own: t.Mapping[str, t.Any]) -> bool:
    """Whether of several answers the least is the worst: bad lies below, as the question sees it."""
    baseline = own.get("baseline")
    limits = {**{name: True for name in THRESHOLDS if name in own}, **(baseline.limits if isinstance(baseline, Baseline) else {})}
    below = bool(limits) and all(name.endswith("_below") for name in limits)
    return below != (own["complement"] != (own["scale"] < 0)) if limits else False


def _metric(item: t.Mapping[str, t.Any], own: t.Mapping[str, t.Any], checks: t.Mapping[str, Check]) -> Metric:
    check = checks[str(item["name"])]
    window_s = own["window_s"]
    return Metric(
        name=check.name,
        title=check.title,
        component=check.component,
        unit=own["unit"],
        check=check,
        beside=own["beside"],
        companions={part: checks[name] for part, name in own["companions"].items()},
        complement=own["complement"],
        scale=own["scale"],
        empty_passes=check.question.options.get("empty") == "pass",
        empty_is_zero=check.question.options.get("empty") == "zero",
        window_s=window_s,
        every_s=own.get("every_s", max(_SHORTEST_S, window_s / _READINGS)),
        aggregate=own["aggregate"],
        minimum_samples=own.get("minimum_samples"),
        too_few=own["too_few"],
        thresholds={name: own[name] for name in THRESHOLDS if name in own},
        baseline=own.get("baseline"),
        weight=check.weight,
    )


def _mistakes(own: t.Mapping[str, t.Any]) -> t.List[str]:
    """What contradicts each other in the options of one metric."""
    found = [f"{name} is not a finite number" for name in (*THRESHOLDS, "scale", "minimum_samples") if not math.isfinite(own.get(name, 0))]
    found += _crossed(own, "")
    window_s, every_s = own["window_s"], own.get("every_s")
    if not 0 <= window_s <= _LONGEST_S:
        found.append(f"window_s is not between 0 and {_LONGEST_S:g}")
    elif every_s is not None and not _SHORTEST_S <= every_s <= max(window_s, _SHORTEST_S):
        found.append(f"every_s is not between {_SHORTEST_S} and window_s")
    elif every_s is not None and window_s / every_s > _MOST_READINGS:
        found.append(f"the window would be read more than {_MOST_READINGS} times")
    if own["aggregate"] != LAST and not window_s:
        found.append(f"aggregate {own['aggregate']} needs a window, window_s")
    if own.get("minimum_samples") is not None and not {SAMPLES, DIVISOR} & {*own, *own.get("beside", ())}:
        found.append("minimum_samples needs samples, the expression of how many observations there are")
    if own.get("minimum_samples", 0) < 0:
        found.append("minimum_samples is less than 0")
    if own["scale"] == 0:
        found.append("scale is 0, which makes every number 0")
    if own["complement"] and own["aggregate"] in GROWTH and DIVISOR not in own:
        found.append("complement is for shares, and what a counter grows by is none; divide it first (divided_by)")
    return found


def _crossed(own: t.Mapping[str, t.Any], kind: str) -> t.List[str]:
    names = {word: f"{word.split('_', maxsplit=1)[0]}_{kind}{word.split('_')[1]}" for word in THRESHOLDS}
    found = []
    if own.get(names["warn_above"], -math.inf) > own.get(names["fail_above"], math.inf):
        found.append(f"{names['warn_above']} is greater than {names['fail_above']}, so it would never warn")
    if own.get(names["warn_below"], math.inf) < own.get(names["fail_below"], -math.inf):
        found.append(f"{names['warn_below']} is less than {names['fail_below']}, so it would never warn")
    return found


def _baseline(given: t.Mapping[str, t.Any], service: str) -> t.Tuple[t.List[str], t.Optional[Baseline]]:
    from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

    validated = ArgumentSpecValidator({name: dict(option) for name, option in BASELINE_SPEC.items()}).validate(
        {str(key): value for key, value in given.items() if value is not None}
    )
    if validated.error_messages:
        return [f"baseline: {message}" for message in validated.error_messages], None
    options = {key: value for key, value in validated.validated_parameters.items() if value is not None}
    limits = {name: options[name] for name in RATIOS if name in options}
    found = [f"{name} is not a number, 0 or more" for name in (*RATIOS, "from_history_days") if not 0 <= options.get(name, 0) < math.inf]
    if ("value" in options) == ("from_history_days" in options):
        found.append("it takes one of value and from_history_days")
    elif "value" in options and (not math.isfinite(options["value"]) or options["value"] == 0):
        found.append("value is no number of which there are multiples")
    elif "from_history_days" in options and not service:
        found.append("from_history_days needs the name of the service whose history it is, service")
    if not limits:
        found.append(f"it takes at least one of {', '.join(RATIOS)}")
    if options["minimum_samples"] < 1:
        found.append("minimum_samples is less than 1")
    found += _crossed(options, "ratio_")
    return [f"baseline: {mistake}" for mistake in found], Baseline(
        options.get("value"), options.get("from_history_days"), options["minimum_samples"], options["missing"], limits
    )
