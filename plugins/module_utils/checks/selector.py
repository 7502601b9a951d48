# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Which series of a metric are meant: a name with conditions on labels, written as PromQL writes it.

Source: prometheus.io/docs/prometheus/latest/querying/basics, "Instant vector selectors". Regular expressions are Python's, and
must fit the whole value of the label, as there.
"""

from __future__ import annotations

import re
import typing as t

NAME = re.compile(r"[ \t]*([a-zA-Z_:][a-zA-Z0-9_:]*)[ \t]*")
_CONDITION = re.compile(r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*(=~|!~|!=|=)[ \t]*"([^"\\]*(?:\\.[^"\\]*)*)"[ \t]*', re.DOTALL)
_CLOSING = re.compile(r"[ \t]*\}[ \t]*")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class BadSelector(ValueError):
    """A text that selects no series; it says why."""


class Condition(t.NamedTuple):
    """What a label must be like; a label that a series does not have counts as empty.

    Attributes:
        pattern: The regular expression of `=~` and `!~`; None for `=` and `!=`.
    """

    label: str
    sign: str
    value: str
    pattern: t.Optional[t.Pattern[str]]

    def fits(self, labels: t.Mapping[str, str]) -> bool:
        """Whether a series with these labels is meant."""
        value = labels.get(self.label, "")
        equal = value == self.value if self.pattern is None else self.pattern.fullmatch(value) is not None
        return equal != self.sign.startswith("!")


class Selector(t.NamedTuple):
    """A metric's name and what its series' labels must be like."""

    name: str
    conditions: t.Tuple[Condition, ...] = ()

    @classmethod
    def of(cls, text: str) -> "Selector":
        """Read `name{label="value", other=~"pattern"}`.

        Raises:
            BadSelector: It is none.
        """
        found = NAME.match(text)
        if found is None:
            raise BadSelector(f"{text[:80]!r} does not begin with the name of a metric")
        at, conditions = found.end(), []
        if text[at : at + 1] == "{":
            at += 1
            while True:
                closing = _CLOSING.match(text, at)
                if closing is not None:
                    at = closing.end()
                    break
                one = _CONDITION.match(text, at)
                if one is None or text[one.end() : one.end() + 1] not in (",", "}"):
                    raise BadSelector(f'{text[:80]!r} has something else than label="value" between its braces')
                conditions.append(condition(one[1], one[2], unescaped(one[3])))
                at = one.end() + (text[one.end()] == ",")
        if at != len(text):
            raise BadSelector(f"{text[:80]!r} goes on after the series that it names; only names and labels are understood here")
        return cls(found[1], tuple(conditions))

    def fits(self, name: str, labels: t.Mapping[str, str]) -> bool:
        """Whether a series is meant."""
        return name == self.name and all(condition.fits(labels) for condition in self.conditions)


def condition(label: str, sign: str, value: str) -> Condition:
    """A condition on a label.

    Raises:
        BadSelector: The value is no regular expression where one is wanted.
    """
    if not sign.endswith("~"):
        return Condition(label, sign, value, None)
    try:
        return Condition(label, sign, value, re.compile(value, re.DOTALL))
    except (re.error, OverflowError, RecursionError) as error:
        raise BadSelector(f"{value[:80]!r} is no regular expression ({error})") from None


def unescaped(text: str) -> str:
    r"""A label's value with \\, \" and \n read."""
    return _ESCAPE.sub(lambda found: "\n" if found[1] == "n" else found[1], text) if "\\" in text else text
