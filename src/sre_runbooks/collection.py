# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the collection is, and the environment in which `ansible-playbook` finds it by name.

ansible-runner starts Ansible in a way that changes two settings behind the user's back (collections path by working folder, host
key checking); `ansible_environment` gives Ansible what the user's own configuration says.
"""

from __future__ import annotations

import configparser
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .errors import AnsibleMissing, BadInput, CollectionNotFound

NAMESPACE = "sre"
NAME = "runbooks"
FQCN = f"{NAMESPACE}.{NAME}"
CATALOGUE = Path("meta/procedures.yml")
_PATH_VARIABLE = "ANSIBLE_COLLECTIONS_PATH"
_DEFAULT_PATHS = ("~/.ansible/collections", "/usr/share/ansible/collections")
"""Ansible's default of COLLECTIONS_PATHS (Ansible documentation, "Ansible Configuration Settings")."""

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Collection:
    """The collection in use.

    Attributes:
        folder: The collection itself (it holds `playbooks/` and `meta/`).
        collections_path: The entry of Ansible's collections path by which it was found.
        from_checkout: Whether it is the source checkout that this package belongs to.
    """

    folder: Path
    collections_path: Path
    from_checkout: bool

    def playbook(self, name: str) -> Path:
        """The path of the playbook of procedure `name`."""
        return self.folder / "playbooks" / f"{name}.yml"


@dataclass(frozen=True)
class AnsibleConfiguration:
    """The part of the user's ansible.cfg that matters here, found as Ansible finds it.

    Attributes:
        file: The configuration file; None when there is none.
    """

    file: Path | None

    @classmethod
    def found(cls) -> AnsibleConfiguration:
        """ANSIBLE_CONFIG, the working folder, the home folder, /etc: the first that exists ("Ansible Configuration Settings")."""
        named = os.environ.get("ANSIBLE_CONFIG")
        candidates = [Path(named).expanduser()] if named else []
        candidates += [Path.cwd() / "ansible.cfg", Path.home() / ".ansible.cfg", Path("/etc/ansible/ansible.cfg")]
        for candidate in candidates:
            file = candidate / "ansible.cfg" if candidate.is_dir() else candidate
            if file.is_file():
                return cls(file.absolute())
        return cls(None)

    @cached_property
    def _defaults(self) -> Mapping[str, str]:
        if self.file is None:
            return {}
        parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=(";",), strict=False)
        try:
            parser.read(self.file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError) as error:
            raise BadInput(f"The Ansible configuration {self.file} cannot be read: {error}", next_step="correct the file") from error
        return dict(parser["defaults"]) if parser.has_section("defaults") else {}

    @property
    def collections_paths(self) -> list[Path]:
        """The collections path that it sets; empty when it sets none."""
        value = self._defaults.get("collections_path") or self._defaults.get("collections_paths") or ""
        folder = self.file.parent if self.file else Path.cwd()
        return [folder / Path(part.strip()).expanduser() for part in value.split(":") if part.strip()]

    @property
    def callbacks_enabled(self) -> str:
        """The callback plugins that it enables, separated by commas."""
        return self._defaults.get("callbacks_enabled", "")

    @property
    def host_key_checking(self) -> str:
        """Whether ssh host keys are checked; Ansible's own default is that they are."""
        return self._defaults.get("host_key_checking", "True")


def find_collection(collections_path: PathLike | Sequence[PathLike] | None = None) -> Collection:
    """Find the collection `sre.runbooks`.

    Looked at in this order: `collections_path`, the environment variable ANSIBLE_COLLECTIONS_PATH, the checkout that this package was
    installed from in development mode, the user's ansible.cfg, Ansible's defaults, Python's site-packages.

    Args:
        collections_path: Folder, or folders, that hold `ansible_collections/`; then nothing else is looked at.

    Raises:
        CollectionNotFound: It is in none of these places.
    """
    looked: list[Path] = []
    checkout = _checkout_path()
    for path in _given(collections_path) if collections_path is not None else _search_path():
        base = path.parent if path.name == "ansible_collections" else path
        folder = base / "ansible_collections" / NAMESPACE / NAME
        if (folder / CATALOGUE).is_file():
            return Collection(folder=folder.resolve(), collections_path=base, from_checkout=base == checkout)
        looked.append(base)
    raise CollectionNotFound(
        f"The Ansible collection {FQCN} was not found in {', '.join(dict.fromkeys(map(str, looked)))}",
        next_step=f"run `ansible-galaxy collection install {FQCN}`, or name the folder that holds ansible_collections/ in {_PATH_VARIABLE}",
    )


def ansible_environment(collection: Collection) -> dict[str, str]:
    """The variables by which `ansible-playbook`, started by ansible-runner, acts as it would for the user and finds `collection`.

    Raises:
        AnsibleMissing: `ansible-playbook` is neither beside this Python nor on the search path.
        BadInput: The user's ansible.cfg cannot be read.
    """
    configuration = AnsibleConfiguration.found()
    others = [path for path in _search_path() if path != collection.collections_path]
    environment = {
        _PATH_VARIABLE: ":".join(dict.fromkeys(str(path) for path in [collection.collections_path, *others])),
        "PATH": _search_path_of_programs(),
        "ANSIBLE_NOCOLOR": "1",
        # ansible-runner would switch the check off when the variable is not set (ansible_runner/config/_base.py, prepare_env).
        "ANSIBLE_HOST_KEY_CHECKING": os.environ.get("ANSIBLE_HOST_KEY_CHECKING", configuration.host_key_checking),
    }
    if (collection.folder / "plugins" / "callback" / "progress.py").is_file():
        # It notes when each step began and ended, for the record of the run.
        enabled = os.environ.get("ANSIBLE_CALLBACKS_ENABLED", configuration.callbacks_enabled).split(",")
        names = [*filter(None, map(str.strip, enabled)), f"{FQCN}.progress"]
        environment["ANSIBLE_CALLBACKS_ENABLED"] = ",".join(dict.fromkeys(names))
    if configuration.file is not None:
        environment["ANSIBLE_CONFIG"] = str(configuration.file)
    elif collection.from_checkout and (collection.folder / "ansible.cfg").is_file():
        environment["ANSIBLE_CONFIG"] = str(collection.folder / "ansible.cfg")
    return environment


def _given(paths: PathLike | Sequence[PathLike]) -> Iterator[Path]:
    for path in [paths] if isinstance(paths, (str, os.PathLike)) else paths:
        yield Path(path).expanduser().absolute()


def _search_path() -> Iterator[Path]:
    for part in os.environ.get(_PATH_VARIABLE, "").split(":"):
        if part:
            yield Path(part).expanduser().absolute()
    if checkout := _checkout_path():
        yield checkout
    yield from AnsibleConfiguration.found().collections_paths
    yield from (Path(path).expanduser() for path in _DEFAULT_PATHS)
    yield Path(sysconfig.get_path("purelib"))


def _checkout_path() -> Path | None:
    """`collections/` of the checkout when this file is its `src/sre_runbooks/collection.py`."""
    path = Path(__file__).resolve().parents[2] / "collections"
    return path if (path / "ansible_collections" / NAMESPACE / NAME).is_dir() else None


def _search_path_of_programs() -> str:
    """PATH with the folder of this Python's programs in front: a virtual environment need not be activated."""
    path = os.environ.get("PATH", os.defpath)
    beside = os.path.dirname(os.path.abspath(sys.executable))
    if os.access(os.path.join(beside, "ansible-playbook"), os.X_OK):
        return path if path.split(":")[0] == beside else f"{beside}:{path}"
    if shutil.which("ansible-playbook") is None:
        raise AnsibleMissing(
            "The program ansible-playbook is neither beside this Python nor on the search path",
            next_step="install ansible-core 2.19 or newer (`pip install ansible-core`)",
        )
    return path
