# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The files of a profile as they are written: values with file and line, before anything is templated."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass, field

from ..errors import BadInput
from ..library import library
from .finding import ERROR, WARNING, Finding, clip

_ENDINGS = (".yml", ".yaml", ".json")
_LARGEST_BYTES = 1024 * 1024
_MOST_FILES = 500
_MOST_NODES = 200_000
_VAULT = "$ANSIBLE_VAULT;"
_WORD = re.compile(r"[A-Za-z_]\w*")
_EXPRESSION = re.compile(r"\{\{.{0,20000}?\}\}|\{%.{0,20000}?%\}", re.DOTALL)
OPAQUE = "!opaque"
"""Stands for a value with a tag that only Ansible can read, such as `!vault`."""

Path = t.Tuple[t.Union[str, int], ...]


@dataclass
class Source:
    """What the files of a profile say.

    Attributes:
        folder: The profile.
        values: Variables of `group_vars/all` as they are written; templates are texts.
        lines: File and line of every variable and of what is in it.
        files: File of every variable.
        used: Names that occur in templates.
        others: Variables of other groups and of hosts: name -> file.
        findings: What is wrong with the files themselves.
        encrypted: Files that Ansible Vault has encrypted as a whole.
    """

    folder: str
    values: t.Dict[str, t.Any] = field(default_factory=dict)
    lines: t.Dict[Path, str] = field(default_factory=dict)
    files: t.Dict[str, str] = field(default_factory=dict)
    used: t.Set[str] = field(default_factory=set)
    others: t.Dict[str, str] = field(default_factory=dict)
    findings: t.List[Finding] = field(default_factory=list)
    encrypted: t.List[str] = field(default_factory=list)
    leaves: t.List[t.Tuple[Path, str, str]] = field(default_factory=list)
    """Every text in every file: path, text, file and line."""

    def where(self, path: Path) -> str:
        """File and line of what is at `path`, or of what holds it; empty where it is in no file."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path[:-1]
        return ""


def read(folder: str) -> Source:
    """Read the variables of the profile in `folder`.

    Raises:
        BadInput: The folder is not there, or has no variables.
        ToolMissing: The library that reads YAML is not installed.
    """
    what = "Profiles are YAML, and the library that reads it is missing"
    yaml = library("yaml", what, "install PyYAML for the Python that runs Ansible", package="PyYAML")
    if not os.path.isdir(folder):
        raise BadInput("There is no such profile", where=folder, next_step="name the folder of an inventory, such as inventories/local")
    source = Source(folder)
    for path, of_all in _files(folder):
        _File(source, path, of_all, yaml).read()
    if not source.files and not source.encrypted and not source.findings:
        raise BadInput(
            "The profile has no variables",
            where=os.path.join(folder, "group_vars", "all"),
            next_step="write one with `sre-runbooks init`, or copy inventories/local",
        )
    return source


def _files(folder: str) -> t.List[t.Tuple[str, bool]]:
    """Files of variables, those of the group `all` first, each with whether it is one of these."""
    found = []
    for kind in ("group_vars", "host_vars"):
        for top, folders, names in os.walk(os.path.join(folder, kind)):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                # Ansible reads a file without an ending, too, when it bears the group's name.
                if name.endswith(_ENDINGS) or "." not in name:
                    path = os.path.join(top, name)
                    parts = os.path.relpath(path, folder).split(os.sep)
                    found.append((path, kind == "group_vars" and parts[1].split(".")[0] == "all"))
    return sorted(found[:_MOST_FILES], key=lambda entry: not entry[1])


class _File:
    """One file, read into `source`."""

    def __init__(self, source: Source, path: str, of_all: bool, yaml: t.Any) -> None:
        self.source, self.path, self.of_all, self.yaml = source, path, of_all, yaml
        self.shown = os.path.relpath(path, os.path.dirname(os.path.abspath(source.folder)))
        self.left = _MOST_NODES

    def read(self) -> None:
        """Read it, or note why it cannot be read."""
        try:
            with open(self.path, "rb") as stream:
                content = stream.read(_LARGEST_BYTES + 1)
            if len(content) > _LARGEST_BYTES:
                raise ValueError(f"it is larger than {_LARGEST_BYTES} bytes")
            text = content.decode("utf-8")
            if text.startswith(_VAULT):
                self.source.encrypted.append(self.shown)
                return
            # Ansible reads with libyaml where it is there; the two differ in what they accept.
            node = self.yaml.compose(text, Loader=getattr(self.yaml, "CSafeLoader", self.yaml.SafeLoader))
            self._take(node)
        except (OSError, ValueError, RecursionError, self.yaml.YAMLError) as error:
            mark = getattr(error, "problem_mark", None)
            where = f"{self.shown}:{mark.line + 1}" if mark else self.shown
            said = "it is nested too deeply" if isinstance(error, RecursionError) else getattr(error, "problem", None) or str(error)
            self._note(ERROR, "unreadable", (), "The file cannot be read", why=clip(said, 200), next_step="correct the YAML", where=where)

    def _take(self, node: t.Any) -> None:
        if node is None or (isinstance(node, self.yaml.ScalarNode) and node.tag.endswith(":null")):
            return
        if not isinstance(node, self.yaml.MappingNode):
            raise ValueError("it is no dictionary of variables")
        for key, value in node.value:
            name = str(getattr(key, "value", ""))
            if not isinstance(key, self.yaml.ScalarNode) or not name:
                raise ValueError("the name of a variable is no text")
            where = f"{self.shown}:{key.start_mark.line + 1}"
            first = self.source.files.get(name)
            if self.of_all and first:
                same = first == self.shown
                said = f"The variable {clip(name)!r} is there twice"
                why = "the second one wins" if same else f"it is in {first}, too, and the file whose name comes later wins"
                self._note(ERROR, "duplicate_variable", (name,), said, why=why, next_step="keep one of them", where=where)
            content = self._value(value, (name,), frozenset())
            if self.of_all:
                self.source.values[name] = content
                self.source.files[name] = self.shown
                self.source.lines[(name,)] = where
            else:
                self.source.others.setdefault(name, self.shown)

    def _value(self, node: t.Any, path: Path, above: t.FrozenSet[int]) -> t.Any:
        self.left -= 1
        if self.left < 0:
            raise ValueError("it has more values than a profile can hold")
        if id(node) in above:
            raise ValueError("a value contains itself")
        where = f"{self.shown}:{node.start_mark.line + 1}"
        if self.of_all:
            self.source.lines.setdefault(path, where)
        if node.tag.startswith("!"):
            self.source.leaves.append((path, OPAQUE, where))
            return OPAQUE
        inside = above | {id(node)}
        if isinstance(node, self.yaml.MappingNode):
            found: t.Dict[str, t.Any] = {}
            for key, value in node.value:
                name = clip(getattr(key, "value", "a key that is no text"), 200)
                if name in found:
                    said = f"The key {clip(name)!r} is there twice"
                    self._note(ERROR, "duplicate_key", path, said, why="the second one wins", next_step="keep one of them", where=where)
                found[name] = self._value(value, (*path, name), inside)
            return found
        if isinstance(node, self.yaml.SequenceNode):
            return [self._value(item, (*path, position), inside) for position, item in enumerate(node.value)]
        return self._scalar(node, path, where)

    def _scalar(self, node: t.Any, path: Path, where: str) -> t.Any:
        text = str(node.value)
        for expression in _EXPRESSION.findall(text):
            self.source.used.update(_WORD.findall(expression))
        if node.tag == "tag:yaml.org,2002:str":
            self.source.leaves.append((path, text, where))
            return text
        try:
            value = self.yaml.SafeLoader("").construct_object(node)
        except (ValueError, OverflowError, self.yaml.YAMLError):
            self._note(WARNING, "odd_value", path, f"The value {clip(text)!r} cannot be read as what it looks like", where=where)
            return text
        return value if value is None or isinstance(value, (bool, int, float)) else text

    def _note(self, level: str, kind: str, path: Path, what: str, *, why: str = "", next_step: str = "", where: str = "") -> None:
        self.source.findings.append(Finding(level, kind, path, what, why, next_step, where))
