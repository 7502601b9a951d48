# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""YAML that a person can read and every parser understands, written without a library: managed hosts have none.

Only what a configuration needs: mappings, lists, texts, numbers, true, false, null. Texts that could be taken for anything else are
double-quoted, with escapes that YAML 1.1 and 1.2 share (https://yaml.org/spec/1.2.2/#57-escaped-characters).
"""

from __future__ import annotations

import json
import math
import re
import typing as t

_PLAIN = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*|[0-9]+[smhd])\Z")
_NOT_A_TEXT = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n", "inf", "nan"))
"""Words that YAML 1.1 or Go's parsers take for something else than a text, in lower case."""
_NEEDS_ESCAPES = re.compile("[^\x20-\x7e\xa0-\u1fff\u2030-\u20ff]")
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def yaml_text(value: t.Any, head: str = "") -> str:
    """`value` as a YAML document.

    Args:
        value: Mappings, lists, texts, finite numbers, booleans, None; the keys of mappings are written as texts.
        head: Lines of comment to put in front, without their marks.

    Raises:
        ValueError: A number is not finite.
        TypeError: A value is of another type.
    """
    comment = "".join(f"# {_one_line(line)}\n" for line in head.splitlines())
    return f"---\n{comment}" + "\n".join(_block(value, 0)) + "\n"


def yaml_lines(value: t.Any) -> t.List[str]:
    """`value` as the lines of a block, to be put into a document that is there; arguments and errors as of `yaml_text`."""
    return _block(value, 0)


def quoted(text: str) -> str:
    """A text in double quotes, right for YAML and for PromQL alike; halves of surrogate pairs, which no file can hold, are replaced."""
    sound = text.encode("utf-8", "replace").decode("utf-8") if re.search("[\ud800-\udfff]", text) else text
    return _ESCAPED.sub(lambda found: f"\\u{ord(found.group()):04x}", json.dumps(sound, ensure_ascii=False))


def _block(value: t.Any, depth: int) -> t.List[str]:
    """The lines of a value that begins on a line of its own."""
    indent = "  " * depth
    if isinstance(value, t.Mapping) and value:
        lines: t.List[str] = []
        for key, item in value.items():
            lines += _entry(f"{indent}{_scalar(str(key))}:", item, depth)
        return lines
    if isinstance(value, (list, tuple)) and value:
        lines = []
        for item in value:
            first, *rest = _block(item, depth + 1)
            # The item's first line moves up behind the dash, which takes the place of its indent.
            lines += [f"{indent}- {first[len(indent) + 2 :]}", *rest]
        return lines
    return [indent + _scalar(value)]


def _entry(key: str, item: t.Any, depth: int) -> t.List[str]:
    if isinstance(item, (t.Mapping, list, tuple)) and item:
        return [key, *_block(item, depth + 1)]
    return [f"{key} {_scalar(item)}"]


def _scalar(value: t.Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a finite number")
        mantissa, _mark, exponent = repr(value).partition("e")
        # YAML 1.1 takes 1e-07 for a text; with a point it is a number everywhere.
        return f"{mantissa}{'' if '.' in mantissa else '.0'}e{exponent}" if exponent else mantissa
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, t.Mapping):
        return "{}"
    if isinstance(value, (list, tuple)):
        return "[]"
    raise TypeError(f"{type(value).__name__} has no form in YAML")


def _text(value: str) -> str:
    if _PLAIN.match(value) and value.lower() not in _NOT_A_TEXT:
        return value
    if ('"' in value or "\\" in value) and not _NEEDS_ESCAPES.search(value):
        # PromQL is full of double quotes; in single ones it stays as it is.
        return "'" + value.replace("'", "''") + "'"
    return quoted(value)


def _one_line(text: str) -> str:
    return re.sub("[^\x20-\x7e\xa0-\u1fff]", " ", text)
