# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The files are shown to the tools that will read them: promtool checks and tests the rules, amtool the routing."""

from __future__ import annotations

import os
import tempfile
import typing as t
from dataclasses import dataclass

from ..command import Command, Place, run
from ..errors import ToolMissing
from .alertmanager import matcher
from .files import ALERTMANAGER, RULES, TESTED, Content, expressions_of
from .rule_tests import rule_tests
from .yaml_text import yaml_text

_TIMEOUT_S = 120


@dataclass(frozen=True)
class Verified:
    """What a tool said.

    Attributes:
        tool: `promtool` or `amtool`.
        what: What it was asked to do.
        passed: Whether it was content; None when it is not here.
        said: Its words where it was not, else its last line.
    """

    tool: str
    what: str
    passed: t.Optional[bool]
    said: str

    def as_dict(self) -> t.Dict[str, t.Any]:
        """For a module's result."""
        return {"tool": self.tool, "what": self.what, "passed": self.passed, "said": self.said}


def verify(content: Content, tool_folder: str = "") -> t.List[Verified]:
    """Check rules, their tests, the boards' expressions, routing configuration and routes.

    Args:
        content: What is to be written; nothing of it need be in place.
        tool_folder: Folder of promtool and amtool; empty for the search path.

    Raises:
        DeadlineExceeded: A tool hangs.
    """
    found: t.List[Verified] = []
    with tempfile.TemporaryDirectory(prefix="sre-monitoring-") as folder:
        place = Place(tool_folder=tool_folder)
        rules, routing = content.of(RULES), content.of(ALERTMANAGER)
        if rules is not None:
            found += _promtool(place, folder, content, rules.text)
        if routing is not None:
            found += _amtool(place, folder, content, routing.text)
    return found


def _promtool(place: Place, folder: str, content: Content, text: str) -> t.List[Verified]:
    try:
        promtool = place.program("promtool")
    except ToolMissing as error:
        return [Verified("promtool", "rules", None, error.message)]
    rules = _write(folder, "rules.yml", text)
    tested = content.of(TESTED)
    _write(folder, "alerts.yml", tested.text if tested else "groups: []\n")
    tests = _write(folder, "tests.yml", yaml_text(rule_tests(content.rules, "alerts.yml")))
    boards = _write(folder, "boards.yml", yaml_text(_panels_as_rules(content)))
    found = [_ask(folder, "check rules", [promtool, "check", "rules", rules])]
    if found[0].passed:
        found.append(_ask(folder, "test rules", [promtool, "test", "rules", tests]))
    return [*found, _ask(folder, "check the expressions of the boards", [promtool, "check", "rules", boards])]


def _amtool(place: Place, folder: str, content: Content, text: str) -> t.List[Verified]:
    try:
        amtool = place.program("amtool")
    except ToolMissing as error:
        return [Verified("amtool", "routing", None, error.message)]
    config = _write(folder, "alertmanager.yml", text)
    found = [_ask(folder, "check configuration", [amtool, "check-config", config])]
    if not found[0].passed:
        return found
    for labels, receiver in content.routing.expected:
        given = [matcher(name, value) for name, value in labels.items()]
        argv = [amtool, "config", "routes", "test", f"--config.file={config}", f"--verify.receivers={receiver}", *given]
        found.append(_ask(folder, f"route {', '.join(given)} to {receiver}", argv))
    return found


def _ask(folder: str, what: str, argv: t.Sequence[str]) -> Verified:
    # A configuration of amtool in the account's home would speak of another server.
    done = run(Command(argv, timeout_s=_TIMEOUT_S, environment={"HOME": folder}, folder=folder), check=False)
    lines = [line.strip().replace(folder + os.sep, "") for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    said = [line for line in lines if "overrides the --alertmanager.url" not in line]
    shown = said[-1:] if done.status == 0 else said
    return Verified(os.path.basename(argv[0]), what, done.status == 0, "; ".join(shown)[-1500:])


def _panels_as_rules(content: Content) -> t.Dict[str, t.Any]:
    """The boards' expressions as rules, which is how promtool reads expressions."""
    rules = [{"record": f"panel:{number}", "expr": one} for number, one in enumerate(expressions_of(content.files))]
    return {"groups": [{"name": "panels", "rules": rules}] if rules else []}


def _write(folder: str, name: str, text: str) -> str:
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
    return path
