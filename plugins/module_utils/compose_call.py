# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How Docker Compose is called about a project."""

from __future__ import annotations

import os
import typing as t


def compose_argv(options: t.Mapping[str, t.Any]) -> t.List[str]:
    """The beginning of every call about the project of `options`.

    These are `project_folder`, `project_name`, `compose_files`, `env_files` and `tool_folder`; what is not there is left to Compose.
    """
    docker = os.path.join(options["tool_folder"], "docker") if options.get("tool_folder") else "docker"
    argv = [docker, "compose"]
    argv += [part for name in options.get("compose_files") or () for part in ("--file", name)]
    argv += [part for name in options.get("env_files") or () for part in ("--env-file", name)]
    argv += ["--project-name", options["project_name"]] if options.get("project_name") else []
    argv += ["--project-directory", options["project_folder"]] if options.get("project_folder") else []
    return argv
