# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The file daemon.json of a Docker Engine, and how its log options become those that are wanted. Decides only."""

from __future__ import annotations

import json
import re
import typing as t

from ..errors import BadInput

_SIZE = re.compile(r"[1-9][0-9]*[kmg]?")
_OPTIONS = ("max-size", "max-file")
JSON_FILE, LOCAL = "json-file", "local"
Options = t.Dict[str, t.Any]


def check(max_size: str, max_file: int) -> None:
    """See that the engine will take these limits.

    Raises:
        BadInput: It will not.
    """
    if not _SIZE.fullmatch(max_size):
        step = "write a number of bytes, or one with k, m or g behind it, such as 10m"
        raise BadInput("max_size is no size that the Docker Engine takes", where=repr(max_size), next_step=step)
    if max_file < 1:
        raise BadInput("max_file is a number of files, 1 or more", where=str(max_file))


def parse(data: t.Optional[bytes], where: str) -> Options:
    """What daemon.json says; nothing where there is no file, or an empty one.

    Raises:
        BadInput: It is not JSON, or not what the engine would take; nothing was changed.
    """
    if data is None or not data.strip():
        return {}
    what, step = "The configuration of the Docker Engine cannot be read", "correct the file first; nothing was changed"
    try:
        content = json.loads(data.decode("utf-8-sig"))
    except ValueError as error:
        raise BadInput(what, where=where, why=f"it is no JSON: {error}", next_step=step) from None
    if not isinstance(content, dict):
        raise BadInput(what, where=where, why="it is no JSON object", next_step=step)
    if not isinstance(content.get("log-opts"), (dict, type(None))):
        raise BadInput(what, where=where, why="its log-opts are no JSON object", next_step=step)
    return content


def merged(now: Options, driver: str, max_size: str, max_file: int) -> Options:
    """The configuration with these log options. Everything else stays as it is, and where it is; further log options go when they were
    those of another driver, since the engine would not start with them."""
    same = now.get("log-driver", JSON_FILE) == driver
    options = {**(now.get("log-opts") or {} if same else {}), "max-size": max_size, "max-file": str(max_file)}
    return {**now, "log-driver": driver, "log-opts": options}


def has(now: Options, driver: str, max_size: str, max_file: int) -> bool:
    """Whether the configuration says that already. The engine takes log options as texts only."""
    options = now.get("log-opts") or {}
    return now.get("log-driver") == driver and (options.get("max-size"), options.get("max-file")) == (max_size, str(max_file))


def text_of(content: Options, like: str) -> str:
    """The configuration as text, indented as the former text is."""
    found = re.search(r"^([ \t]+)\"", like, re.MULTILINE)
    indent: t.Union[str, int] = found[1] if found else 2
    return json.dumps(content, indent=indent, ensure_ascii=False) + "\n"


def old_options(containers: t.Sequence[t.Mapping[str, t.Any]], driver: str, max_size: str, max_file: int) -> t.List[t.Dict[str, t.Any]]:
    """Containers (as the engine tells of them) whose log has other options than these; a container keeps its own until it is made anew."""
    found = []
    for one in containers:
        config = (one.get("HostConfig") or {}).get("LogConfig") or {}
        options = config.get("Config") or {}
        if (config.get("Type"), options.get("max-size"), options.get("max-file")) != (driver, max_size, str(max_file)):
            told = {name.replace("-", "_"): options.get(name, "") for name in _OPTIONS}
            found.append({"name": str(one.get("Name") or "").lstrip("/"), "driver": str(config.get("Type") or ""), **told})
    return sorted(found, key=lambda one: one["name"])


def flags_in_the_way(command_line: t.Sequence[str]) -> t.List[str]:
    """Options on the engine's command line that the file must not set, too: it would not start."""
    return [word.split("=")[0] for word in command_line if word.split("=")[0] in ("--log-driver", "--log-opt")]


def names_file(command_line: t.Sequence[str], default: str) -> str:
    """The configuration file of an engine with this command line."""
    words = list(command_line)
    for number, word in enumerate(words):
        if word.startswith("--config-file="):
            return word.split("=", 1)[1]
        if word == "--config-file" and number + 1 < len(words):
            return words[number + 1]
    return default
