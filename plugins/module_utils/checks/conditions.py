# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Conditions and thresholds on what an answer says."""

from __future__ import annotations

import functools
import importlib
import json
import math
import typing as t
from dataclasses import dataclass

from ..library import library
from .model import FAIL, UNKNOWN, WARN, Answer, Finding
from .redaction import is_secret_name

SPEC: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "conditions": {"type": "list", "elements": "raw"},
    "value": {"type": "str"},
    "observe": {"type": "dict"},
}
THRESHOLDS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "warn_above": {"type": "float"},
    "fail_above": {"type": "float"},
    "warn_below": {"type": "float"},
    "fail_below": {"type": "float"},
}
_SHOWN_TEXT = 80


class BadExpression(ValueError):
    """A text that is no JMESPath expression, or a condition of the wrong form."""


@functools.lru_cache(maxsize=1024)
def compiled(expression: str) -> t.Any:
    """The JMESPath expression, ready to `search`.

    Raises:
        BadExpression: It is none.
        ToolMissing: The library jmespath is not installed.
    """
    what = "Checks have JMESPath expressions, and the library that reads them is missing"
    jmespath = library("jmespath", what, "install jmespath for that Python, or leave out conditions, value and observe")
    try:
        return jmespath.compile(expression)
    except ValueError as error:
        raise BadExpression(f"{expression!r} is no JMESPath expression ({' '.join(str(error).split())[:200]})") from None
    except RecursionError:
        raise BadExpression("a JMESPath expression is nested too deeply") from None


@dataclass(frozen=True)
class Condition:
    """An expression that must be true.

    Attributes:
        that: JMESPath expression.
        otherwise: Verdict when it is false, `fail` or `warn`.
        msg: What to say then; empty for the expression itself.
    """

    that: str
    otherwise: str = FAIL
    msg: str = ""

    @classmethod
    def of(cls, raw: t.Any) -> "Condition":
        """The condition as it is written in the inventory.

        Raises:
            BadExpression: It has not the right form.
        """
        if isinstance(raw, str):
            raw = {"that": raw}
        if not isinstance(raw, t.Mapping) or not isinstance(raw.get("that"), str):
            raise BadExpression("a condition is an expression, or a dictionary with the expression as `that`")
        unknown = sorted(str(key) for key in set(raw) - {"that", "otherwise", "msg"})
        if unknown:
            raise BadExpression(f"a condition has the unknown key {unknown[0]!r}; it takes that, otherwise and msg")
        condition = cls(raw["that"], str(raw.get("otherwise") or FAIL), str(raw.get("msg") or ""))
        if condition.otherwise not in (FAIL, WARN):
            raise BadExpression(f"otherwise is fail or warn, not {condition.otherwise!r}")
        compiled(condition.that)
        return condition

    def judge(self, document: t.Any) -> t.List[Finding]:
        """What is to be said about `document`: nothing when it is true, `unknown` when it is neither true nor false."""
        result = search(self.that, document)
        if result is True:
            return []
        if result is False:
            return [Finding(self.otherwise, (self.msg or f"not true: {self.that}") + self._seen(document))]
        what = "has nothing there" if result is None else f"gives {shown(result)}"
        return [Finding(UNKNOWN, f"cannot be decided: {self.that}, because the answer {what}, neither true nor false")]

    def _seen(self, document: t.Any) -> str:
        """What a comparison's left side was, the one thing that the reader wants to know next."""
        parsed = compiled(self.that).parsed
        left = parsed["children"][0] if parsed.get("type") == "comparator" else {}
        if left.get("type") not in ("field", "subexpression", "index_expression", "function_expression") or is_secret_name(self.that):
            return ""
        try:
            return f" (it is {shown(importlib.import_module('jmespath.parser').ParsedResult(self.that, left).search(document))})"
        except Exception:  # the finding itself stands; only the hint is missing
            return ""


def mistakes(options: t.Mapping[str, t.Any]) -> t.List[str]:
    """What is wrong with the conditions, the value's expression and the thresholds of a check."""
    found: t.List[str] = []
    for raw in options.get("conditions", ()):
        try:
            Condition.of(raw)
        except BadExpression as error:
            found.append(str(error))
    expressions = dict(options.get("observe", {}))
    if any(name in options for name in THRESHOLDS) and not options.get("value"):
        found.append("thresholds need value, the expression of the number that they are held against")
    if options.get("value"):
        expressions["value"] = options["value"]
    for name, expression in expressions.items():
        try:
            compiled(str(expression))
        except BadExpression as error:
            found.append(f"{name}: {error}")
    return found + threshold_mistakes(options)


def threshold_mistakes(options: t.Mapping[str, t.Any]) -> t.List[str]:
    """Thresholds that contradict each other."""
    found = [f"{name} is not a number" for name in THRESHOLDS if not math.isfinite(options.get(name, 0))]
    if options.get("warn_above", -math.inf) > options.get("fail_above", math.inf):
        found.append("warn_above is greater than fail_above, so it would never warn")
    if options.get("warn_below", math.inf) < options.get("fail_below", -math.inf):
        found.append("warn_below is less than fail_below, so it would never warn")
    return found


def judge(document: t.Any, options: t.Mapping[str, t.Any]) -> Answer:
    """Hold conditions and thresholds against a JSON document, and note what is to be observed."""
    answer = Answer()
    for raw in options.get("conditions", ()):
        answer.findings += Condition.of(raw).judge(document)
    for name, expression in options.get("observe", {}).items():
        answer.observed[str(name)] = search(str(expression), document)
    if options.get("value"):
        value = search(options["value"], document)
        answer.observed["value"], answer.value = value, number(value)
        answer.findings += judge_number(value, options, options["value"])
    return answer


def number(value: t.Any) -> t.Optional[float]:
    """`value` as a finite number; None when it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def judge_number(value: t.Any, options: t.Mapping[str, t.Any], what: str) -> t.List[Finding]:
    """What is to be said about one number, which `what` names."""
    if not any(name in options for name in THRESHOLDS):
        return []
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return [Finding(UNKNOWN, f"{what} is {'missing' if value is None else shown(value)}, not a number")]
    try:
        value = float(value)
    except OverflowError:
        return [Finding(UNKNOWN, f"{what} is too large a number to compare")]
    if not math.isfinite(value):
        return [Finding(UNKNOWN, f"{what} is {value:+}, not a finite number")]
    for verdict, above, below in ((FAIL, "fail_above", "fail_below"), (WARN, "warn_above", "warn_below")):
        if above in options and value > options[above]:
            return [Finding(verdict, f"{what} is {value:g}, more than {options[above]:g}")]
        if below in options and value < options[below]:
            return [Finding(verdict, f"{what} is {value:g}, less than {options[below]:g}")]
    return []


def search(expression: str, document: t.Any) -> t.Any:
    """What the expression finds; None for nothing, also when a function in it does not fit the document."""
    try:
        return compiled(expression).search(document)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        # jmespath lets Python's own errors through where a document has types that a function did not expect.
        return None


def shown(value: t.Any) -> str:
    """A value for a sentence; a long one only by its kind, as half a value could be half a secret."""
    if value is None or isinstance(value, (bool, int, float)):
        text = json.dumps(value) if not isinstance(value, int) or abs(value) < 10**30 else "a very large number"
    elif isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False) if len(value) <= _SHOWN_TEXT else "a long text"
    else:
        text = "a list" if isinstance(value, list) else "a dictionary"
    return text
