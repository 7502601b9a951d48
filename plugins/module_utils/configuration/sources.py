# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Which files make up a Compose project or a unit of systemd, and which images its containers run from."""

from __future__ import annotations

import glob
import json
import os
import typing as t

from ..command import Completed, run
from ..errors import BadInput, RunbookError
from ..service.compose import project as compose
from ..service.systemd import state as systemd
from .compose_syntax import literal
from .environment import read

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "compose": {"type": "dict", "options": {name: told for name, told in compose.OPTIONS.items() if name != "service"}},
    **systemd.OPTIONS,
}
"""By which modules name the service; described in the documentation fragment sre.runbooks.configured_service."""
_PATIENCE_S = 60.0
_BY_DEFAULT = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_OVERRIDES = ("compose.override.yaml", "compose.override.yml", "docker-compose.override.yml", "docker-compose.override.yaml")
_OWN_UNITS = "/etc/systemd/system"


class Found(t.NamedTuple):
    """What belongs to a service.

    Attributes:
        paths: Files and folders, those included that are not there.
        secret: Those that hold values of variables.
        images: Images of running containers: `service`, `container`, `image`, `image_id`, `digests`.
        units: Units of systemd that the files belong to.
        notes: What could not be found out.
    """

    paths: t.List[str]
    secret: t.List[str]
    images: t.Sequence[t.Dict[str, t.Any]] = ()
    units: t.Sequence[str] = ()
    notes: t.Sequence[str] = ()


def project_named(options: t.Mapping[str, t.Any]) -> compose.Project:
    """The whole project that the option `compose` names.

    Raises:
        BadInput: It names none.
    """
    return compose.project_of({**options, "service": ""})


def of_compose(options: t.Mapping[str, t.Any]) -> Found:
    """What belongs to a Compose project.

    A project that Compose does not understand has a point all the same: of its Compose and environment files.

    Raises:
        BadInput: There is no such folder, or no Compose file in it.
    """
    project = project_named(options)
    folder = os.path.abspath(project.folder or os.path.dirname(project.files[0] if project.files else ""))
    environment = os.path.join(folder, project.environment_file or ".env")
    files = [os.path.join(folder, name) for name in project.files or _named_by(environment)]
    if not files and project.folder:
        files = [path for names in (_BY_DEFAULT, _OVERRIDES) for path in [_first(folder, names)] if path]
    missing = [path for path in files if not os.path.isfile(path)]
    if not files or missing:
        why = f"{', '.join(missing)} is not there" if missing else f"{folder} has none of {', '.join(_BY_DEFAULT)}"
        raise BadInput("There is no Compose file", where=folder, why=why, next_step="correct the folder, or name the Compose files")
    secret: t.List[str] = [environment]
    notes: t.List[str] = []
    try:
        more, notes = _environment_files(project, folder)
        secret += more
    except (RunbookError, ValueError) as error:
        notes = [f"environment files of services could not be found out: {getattr(error, 'why', '') or error}"]
    images, unknown = running_images(options)
    secret = list(dict.fromkeys(secret))
    return Found([*files, *secret], secret, images, notes=[*notes, *unknown])


def _named_by(environment: str) -> t.List[str]:
    """The Compose files that COMPOSE_FILE names, in our environment or in the project's."""
    variables: t.Dict[str, t.Optional[str]] = {}
    try:
        with open(environment, encoding="utf-8") as stream:
            variables = read(stream.read(), "compose")
    except (OSError, UnicodeDecodeError, BadInput):
        pass  # Compose will say so
    variables.update(os.environ)
    return [name for name in (variables.get("COMPOSE_FILE") or "").split(variables.get("COMPOSE_PATH_SEPARATOR") or os.pathsep) if name]


def _first(folder: str, names: t.Iterable[str]) -> str:
    return next((path for path in (os.path.join(folder, name) for name in names) if os.path.isfile(path)), "")


def _environment_files(project: compose.Project, folder: str) -> t.Tuple[t.List[str], t.List[str]]:
    """The environment files of all services, whatever their profiles, and notes on those whose names nobody knows."""
    done = _shown(project, "--no-env-resolution")
    if done.status != 0:  # a variable that is required may be missing here; and Compose before 2.35 reads the files, and does not name them
        done = _shown(project, "--no-interpolate")
    if done.status != 0:
        raise project.compose("config").failure(done.status, compose.words(done.stderr))
    services = (json.loads(done.stdout).get("services") or {}).values()
    names = [str(one["path"] if isinstance(one, dict) else one) for service in services for one in service.get("env_file") or ()]
    # Dollar signs that stay are doubled, with values put in as without.
    found = {name: literal(name) for name in names}
    notes = [
        f"{os.path.join(folder, name)} is not kept: Compose does not tell the variables in its name"
        for name, path in found.items()
        if path is None
    ]
    return [os.path.join(folder, path) for path in found.values() if path is not None], notes


def _shown(project: compose.Project, flag: str) -> Completed:
    """What Compose understands. Services of several profiles need not fit together (`--no-consistency`)."""
    words = ("--profile", "*", "config", "--no-consistency", flag, "--format", "json")
    return run(project.compose(*words, timeout_s=_PATIENCE_S), check=False)


def running_images(options: t.Mapping[str, t.Any]) -> t.Tuple[t.List[t.Dict[str, t.Any]], t.List[str]]:
    """Images of the running containers of a Compose project, and a note where they cannot be found out. Its files are not read."""
    try:
        return _images(project_named(options)), []
    except (RunbookError, ValueError, KeyError) as error:
        return [], [f"images of running containers could not be found out: {getattr(error, 'why', '') or error}"]


def _images(project: compose.Project) -> t.List[t.Dict[str, t.Any]]:
    containers = [one for one in compose.containers_of(project) if one["State"]["Running"]]
    if not containers:
        return []
    ids = sorted({one["Image"] for one in containers})
    images = json.loads(compose.docker("image", "inspect", *ids, check=False).stdout or "[]")
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
        done = compose.docker("image", "inspect", "--format", "{{.Id}}", name, check=False)
        found[name] = done.stdout.strip() if done.status == 0 else ""
    return found


def of_units(unit: str, instances: t.Sequence[str]) -> Found:
    """The files of units: the unit, its drop-in folder, its environment files. Of a template without instances those of the template.

    Raises:
        BadInput: systemd knows no such unit.
        Unreachable: It does not answer.
    """
    target = systemd.target_of(unit, instances)
    known = systemd.units_of(target)
    paths: t.List[str] = []
    secret: t.List[str] = []
    for one in known or systemd.show([target.of("1")]):
        fragment = one.get("FragmentPath", "")
        if not fragment:
            raise BadInput("A unit has no file", where=one.name, next_step="correct service_systemd_unit")
        names = (one.name, os.path.basename(fragment)) if known else (os.path.basename(fragment),)
        paths += [fragment, *(os.path.join(_OWN_UNITS, f"{name}.d") for name in names), *one.get("DropInPaths", "").split()]
        for pattern, _may_be_missing in one.environment_files:
            secret += sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]
    secret = list(dict.fromkeys(secret))
    return Found([*dict.fromkeys(paths), *secret], secret, units=[one.name for one in known] or [target.unit])
