# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Which files make up a Compose project or a unit of systemd, and which images its containers run from."""

from __future__ import annotations

import json
import os
import typing as t

from ..command import Command, run
from ..errors import BadInput, RunbookError

_PATIENCE_S = 60.0
_BY_DEFAULT = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_OVERRIDES = ("compose.override.yaml", "compose.override.yml", "docker-compose.override.yml", "docker-compose.override.yaml")
_NO_INSTANCE = "none"
_OWN_UNITS = "/etc/systemd/system"


class Found(t.NamedTuple):
    """What belongs to a service.

    Attributes:
        paths: Files and folders, those included that are not there.
        secret: Those that hold values of variables.
        images: Images of running containers: `service`, `container`, `image`, `image_id`, `digests`.
        notes: What could not be found out.
    """

    paths: t.List[str]
    secret: t.List[str]
    images: t.List[t.Dict[str, t.Any]]
    notes: t.List[str]


def compose_command(options: t.Mapping[str, t.Any]) -> t.List[str]:
    """`docker compose` for the project that `project_folder`, `compose_files`, `environment_file` and `project_name` describe."""
    folder = options["project_folder"]
    argv = ["docker", "compose", "--project-directory", folder]
    argv += [part for name in options.get("compose_files") or () for part in ("--file", os.path.join(folder, name))]
    if options.get("environment_file"):
        argv += ["--env-file", os.path.join(folder, options["environment_file"])]
    return argv + (["--project-name", options["project_name"]] if options.get("project_name") else [])


def of_compose(options: t.Mapping[str, t.Any]) -> t.Tuple[Found, t.List[str]]:
    """What belongs to a Compose project.

    A project that Compose does not understand has a point all the same: of its Compose and environment files.

    Raises:
        BadInput: There is no such folder, or no Compose file in it.
    """
    folder = os.path.abspath(options["project_folder"])
    files = [os.path.join(folder, name) for name in options.get("compose_files") or ()]
    if not files:
        files = [path for names in (_BY_DEFAULT, _OVERRIDES) for path in [_first(folder, names)] if path]
    missing = [path for path in files if not os.path.isfile(path)]
    if not files or missing:
        why = f"{', '.join(missing)} is not there" if missing else f"{folder} has none of {', '.join(_BY_DEFAULT)}"
        raise BadInput("There is no Compose file", where=folder, why=why, next_step="correct the folder, or name the Compose files")
    environment = os.path.join(folder, options.get("environment_file") or ".env")
    argv, notes = compose_command({**options, "project_folder": folder}), []
    secret = [environment]
    try:
        shown = run(
            Command([*argv, "config", "--no-interpolate", "--no-env-resolution", "--format", "json"], folder=folder, timeout_s=_PATIENCE_S)
        )
        secret += _environment_files(folder, json.loads(shown.stdout))
    except (RunbookError, ValueError) as error:
        notes.append(f"environment files of services could not be found out: {getattr(error, 'why', '') or error}")
    images: t.List[t.Dict[str, t.Any]] = []
    try:
        images = _images(argv, folder)
    except (RunbookError, ValueError, KeyError) as error:
        notes.append(f"images of running containers could not be found out: {getattr(error, 'why', '') or error}")
    secret = list(dict.fromkeys(secret))
    return Found([*files, *secret], secret, images, notes), argv


def _first(folder: str, names: t.Iterable[str]) -> str:
    return next((path for path in (os.path.join(folder, name) for name in names) if os.path.isfile(path)), "")


def _environment_files(folder: str, project: t.Mapping[str, t.Any]) -> t.List[str]:
    found = []
    for service in (project.get("services") or {}).values():
        for one in service.get("env_file") or ():
            path = one.get("path") if isinstance(one, dict) else one
            found.append(os.path.join(folder, str(path)))
    return found


def _images(argv: t.Sequence[str], folder: str) -> t.List[t.Dict[str, t.Any]]:
    listed = run(Command([*argv, "ps", "--quiet"], folder=folder, timeout_s=_PATIENCE_S)).stdout.split()
    if not listed:
        return []
    containers = json.loads(run(Command(["docker", "inspect", "--type", "container", *listed], timeout_s=_PATIENCE_S)).stdout)
    ids = sorted({one["Image"] for one in containers})
    images = json.loads(run(Command(["docker", "image", "inspect", *ids], timeout_s=_PATIENCE_S), check=False).stdout or "[]")
    digests = {one["Id"]: sorted(one.get("RepoDigests") or []) for one in images}
    told = [
        {
            "service": one["Config"]["Labels"].get("com.docker.compose.service", ""),
            "container": one["Name"].lstrip("/"),
            "image": one["Config"]["Image"],
            "image_id": one["Image"],
            "digests": digests.get(one["Image"], []),
        }
        for one in containers
    ]
    return sorted(told, key=lambda one: str(one["container"]))


def image_ids(names: t.Iterable[str]) -> t.Dict[str, str]:
    """Name of an image -> the id that it stands for now; empty where there is none any more."""
    found = {}
    for name in sorted(set(names)):
        done = run(Command(["docker", "image", "inspect", "--format", "{{.Id}}", name], timeout_s=_PATIENCE_S), check=False)
        found[name] = done.stdout.strip() if done.status == 0 else ""
    return found


def of_units(units: t.Sequence[str]) -> Found:
    """The files of units: the unit, its drop-in folder, its environment files.

    Raises:
        BadInput: systemd knows no such unit.
    """
    paths: t.List[str] = []
    secret: t.List[str] = []
    for unit in [one for named in units for one in _instances(named)]:
        told = _shown(unit)
        fragment = told.get("FragmentPath", "")
        if not fragment:
            raise BadInput(f"systemd knows no unit {unit}", next_step="correct the unit's name")
        paths.append(fragment)
        for name in dict.fromkeys((unit, os.path.basename(fragment))):
            if f"@{_NO_INSTANCE}." not in name:
                paths.append(os.path.join(_OWN_UNITS, f"{name}.d"))
        paths += told.get("DropInPaths", "").split()
        secret += [words.split(" (", 1)[0] for words in told.get("EnvironmentFiles", "").splitlines() if words]
    secret = [path for path in dict.fromkeys(secret) if not any(character in path for character in "*?[")]
    inside = list(dict.fromkeys(paths))
    return Found([*inside, *secret], secret, [], [])


def _instances(unit: str) -> t.List[str]:
    """The instances of a template that systemd knows; where it knows none, one that there is not, for the sake of the template's files."""
    if "@." not in unit:
        return [unit]
    pattern = unit.replace("@.", "@*.")
    text = run(Command(["systemctl", "list-units", "--all", "--plain", "--no-legend", "--", pattern], timeout_s=_PATIENCE_S)).stdout
    return [line.split()[0] for line in text.splitlines() if line.strip()] or [unit.replace("@.", f"@{_NO_INSTANCE}.")]


def _shown(unit: str) -> t.Dict[str, str]:
    names = "--property=FragmentPath,DropInPaths,EnvironmentFiles"
    text = run(Command(["systemctl", "show", names, "--", unit], timeout_s=_PATIENCE_S)).stdout
    found: t.Dict[str, str] = {}
    for line in text.splitlines():
        name, _equals, value = line.partition("=")
        found[name] = f"{found[name]}\n{value}" if name in found else value
    return found
