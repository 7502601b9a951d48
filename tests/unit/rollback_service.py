# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service whose configuration rollback points keep."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.sre.runbooks.plugins.module_utils.configuration.rollback import INFO_OPTIONS, OPTIONS, inform, operate
from ansible_collections.sre.runbooks.plugins.module_utils.configuration.survey import survey


class Service:
    """A service with a folder of configuration, an environment file, a link, and a file that is not there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "state" / "rollback_points"
        self.conf, self.env, self.link, self.later = folder / "conf.d", folder / ".env", folder / "current", folder / "later"
        (self.conf / "sub").mkdir(parents=True)
        (self.conf / "a.conf").write_text("limit=1\n")
        (self.conf / "sub" / "b.conf").write_text("b\n")
        (self.conf / "a.conf").chmod(0o640)
        self.env.write_text("TOKEN=hidden-1\n")
        self.env.chmod(0o600)
        self.link.symlink_to("conf.d/a.conf")
        self.roots = [self.conf, self.env, self.link, self.later]

    def call(self, operation: str, check_mode: bool = False, **more: t.Any) -> dict[str, t.Any]:
        options = {name: told.get("default") for name, told in OPTIONS.items()}
        options.update(operation=operation, service="rag7", state_folder=str(self.home.parent), **more)
        return operate(options, check_mode)

    def create(self, check_mode: bool = False, **more: t.Any) -> dict[str, t.Any]:
        return self.call("create", check_mode, paths=[str(path) for path in self.roots], **more)

    def info(self, **more: t.Any) -> dict[str, t.Any]:
        options = {name: told.get("default") for name, told in INFO_OPTIONS.items()}
        return inform({**options, "service": "rag7", "state_folder": str(self.home.parent), **more}, False)

    def disturb(self) -> None:
        (self.conf / "a.conf").write_text("limit=2\n")
        (self.conf / "a.conf").chmod(0o600)
        (self.conf / "sub" / "b.conf").unlink()
        (self.conf / "sub").rmdir()
        (self.conf / "new" / "deep").mkdir(parents=True)
        (self.conf / "new" / "deep" / "c.conf").write_text("c\n")
        self.env.write_text("TOKEN=hidden-2\n")
        self.link.unlink()
        self.link.symlink_to("conf.d/new/deep/c.conf")
        self.later.write_text("later\n")

    def picture(self) -> dict[str, t.Any]:
        return {one.path: one for one in survey([str(path) for path in self.roots])[0]}

    def names(self) -> list[str]:
        return sorted(
            str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if self.home.parent not in [path, *path.parents]
        )


CONFIG_MAP: dict[str, t.Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {
        "name": "rag7-config",
        "namespace": "rag7-prod",
        "uid": "1",
        "resourceVersion": "7",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "managedFields": [{}],
        "labels": {"app": "rag7"},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "team": "platform"},
    },
    "data": {"LIMIT": "1"},
}
