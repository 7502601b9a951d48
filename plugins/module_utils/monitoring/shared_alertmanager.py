# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A service's part of an Alertmanager configuration that others use, too: it is put in between two marks, and all else stays as it is.

The file is edited as text, line by line, so that comments and the order of others' settings survive and no library for YAML is needed. All
that is read of it is where its top-level keys and their lists begin; where these are written in another form than one item a line, nothing
is changed. amtool has the last word on the result.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import replace

from ..errors import BadInput
from .alertmanager import Routing, matcher
from .yaml_text import yaml_lines

_BEGIN, _END = "# BEGIN sre.runbooks {} {}", "# END sre.runbooks {} {}"
_TOP = re.compile(r"([A-Za-z_]+):(.*)\Z")
_NOTHING = re.compile(r"\s*(?:#.*|\[\s*\]\s*(?:#.*)?|null\s*|~\s*)?\Z")
"""What may stand behind the key of a list whose items begin on lines of their own, or that is empty."""
_HERE = "\0"
"""In front of a key's name: where the former part was. No YAML file may hold this character."""
SKELETON = "---\nroute:\n  receiver: nobody\n  routes:\nreceivers:\n  - name: nobody\n"
"""The configuration where there was none: what no service claims disturbs nobody."""


def part_of(routing: Routing, service: str) -> Routing:
    """A routing as a part of a larger one: one route for the service's alerts with all others below it, names of its own.

    Args:
        routing: The routing of the service alone.
        service: The value of the label `service` of its alerts.
    """

    def named(receiver: str) -> str:
        return f"{service}-{receiver}"

    def below(route: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
        return {**route, "receiver": named(route["receiver"])}

    own = matcher("service", service)
    top = dict(routing.config["route"])
    routes = [below(route) for route in top.pop("routes")]
    receiver = named(top.pop("receiver"))
    config = {
        "routes": [{"receiver": receiver, "matchers": [own], **top, **({"routes": routes} if routes else {})}],
        "inhibit_rules": [
            {**rule, **{key: [own, *rule[key]] for key in ("source_matchers", "target_matchers")}}
            for rule in routing.config["inhibit_rules"]
        ],
        "receivers": [{**one, "name": named(one["name"])} for one in routing.config["receivers"]],
    }
    expected = [({**labels, "service": service}, named(told)) for labels, told in routing.expected]
    return replace(routing, config=config, expected=expected, shared=True)


def merged(existing: str, part: Routing, service: str, where: str = "") -> str:
    """The text of the configuration with the service's part in it: in the place of its former part, else before what others have.

    Args:
        existing: The text as it is; empty for none.
        part: What `part_of` made.
        service: Whose part it is.
        where: The file, for messages.

    Raises:
        BadInput: The text is not written in a way in which a part can be put into it.
    """
    lines = _without_part((existing if existing.strip() else SKELETON).splitlines(), service, where)
    fresh = {key: items for key, items in part.config.items() if not _put_back(lines, key, items, service)}
    for key in ("receivers", "inhibit_rules"):
        if key in fresh:
            lines = _put_in(lines, key, fresh[key], service, where)
    if "routes" in fresh:
        start, end = _block_of(lines, "route", where)
        lines = [*lines[: start + 1], *_put_in_route(lines[start + 1 : end], fresh["routes"], service, where), *lines[end:]]
    return "\n".join(lines) + "\n"


def _put_back(lines: t.List[str], key: str, items: t.Sequence[t.Any], service: str) -> bool:
    """Put items where the former part was, so that services that take turns do not change the order; whether there was one."""
    place = next((number for number, line in enumerate(lines) if line.strip(" ") == _HERE + key), None)
    if place is not None:
        lines[place : place + 1] = [lines[place].partition(_HERE)[0] + line for line in _marked(key, items, service)]
    return place is not None


def _marked(key: str, items: t.Sequence[t.Any], service: str) -> t.List[str]:
    return [_BEGIN.format(service, key), *yaml_lines(items), _END.format(service, key)] if items else []


def _without_part(lines: t.Sequence[str], service: str, where: str) -> t.List[str]:
    kept: t.List[str] = []
    open_part = ""
    for line in lines:
        mark = line.strip()
        for key in ("receivers", "inhibit_rules", "routes"):
            if mark == _BEGIN.format(service, key):
                if open_part:
                    raise _torn(where, service)
                open_part = key
                kept.append(line[: len(line) - len(line.lstrip())] + _HERE + key)
            elif mark == _END.format(service, key):
                if open_part != key:
                    raise _torn(where, service)
                open_part = ""
                break
        else:
            if not open_part:
                kept.append(line)
    if open_part:
        raise _torn(where, service)
    return kept


def _torn(where: str, service: str) -> BadInput:
    return BadInput(
        f"The marks around the part of {service} do not belong together",
        where=where,
        next_step="remove the part and its marks by hand; the next run puts it in again. Nothing was changed",
    )


def _put_in(lines: t.List[str], key: str, items: t.Sequence[t.Any], service: str, where: str) -> t.List[str]:
    """Put items at the beginning of a list at the top level, which is made where it is missing."""
    place = next((number for number, line in enumerate(lines) if _key_of(line) == key), None)
    if place is None:
        lines = [*lines, f"{key}:"]
        place = len(lines) - 1
    return _into_list(lines, place, "", key, items, service, where)


def _put_in_route(lines: t.List[str], items: t.Sequence[t.Any], service: str, where: str) -> t.List[str]:
    """The same for the list `routes` of the root route, of which `lines` are what stands below its key."""
    filled = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    indent = filled[0][: len(filled[0]) - len(filled[0].lstrip())] if filled else ""
    if not indent:
        raise _other_form("route", where)
    place = next((number for number, line in enumerate(lines) if re.match(rf"{indent}routes:", line)), None)
    if place is None:
        while lines and not lines[-1].strip():
            lines = lines[:-1]
        lines = [*lines, f"{indent}routes:"]
        place = len(lines) - 1
    return _into_list(lines, place, indent, "routes", items, service, where)


def _into_list(lines: t.List[str], place: int, indent: str, key: str, items: t.Sequence[t.Any], service: str, where: str) -> t.List[str]:
    behind = lines[place][len(indent) + len(key) + 1 :]
    if not _NOTHING.match(behind):
        raise _other_form(key, where)
    following = next((line for line in lines[place + 1 :] if line.strip() and not line.lstrip().startswith("#")), "")
    found = re.match(r"(\s*)- ", following)
    deep = found.group(1) if found and len(found.group(1)) >= len(indent) else indent + "  "
    head = f"{indent}{key}:" if re.search(r"[\[~]|null", behind.partition("#")[0]) else lines[place]
    return [*lines[:place], head, *(deep + line for line in _marked(key, items, service)), *lines[place + 1 :]]


def _block_of(lines: t.Sequence[str], key: str, where: str) -> t.Tuple[int, int]:
    """Where a key at the top level stands, and where its block ends."""
    keys = [(number, _key_of(line)) for number, line in enumerate(lines) if _key_of(line) or line.startswith("...")]
    for position, (number, name) in enumerate(keys):
        if name == key:
            if not _NOTHING.match(lines[number][len(key) + 1 :]):
                raise _other_form(key, where)
            return number, keys[position + 1][0] if position + 1 < len(keys) else len(lines)
    raise BadInput("The configuration has no route", where=where, next_step="see whether the file is Alertmanager's; nothing was changed")


def _key_of(line: str) -> str:
    found = _TOP.match(line)
    return found.group(1) if found else ""


def _other_form(key: str, where: str) -> BadInput:
    return BadInput(
        f"A part cannot be put into {key!r} as it is written",
        where=where,
        next_step=f"write {key} as a block, one item a line; nothing was changed",
    )
