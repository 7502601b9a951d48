# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A PostgreSQL cluster for a person's own machine: made once, with a password, fit to be run without root."""

from __future__ import annotations

import os
import shutil
import tempfile
import typing as t

from ..command import Command, Place, run
from ..errors import BadInput
from ..files import write_atomically
from .scratch import open_to_all, own, owner_of


def create_cluster(folder: str, tool_folder: str, password: str, settings: t.Mapping[str, str]) -> t.Dict[str, t.Any]:
    """Make `folder/data` a cluster unless it is one, and give it its settings.

    As root the server must run as another account. Where that account cannot enter the programs' folder (a virtual environment below
    /root), the programs are copied into `folder/programs` once.

    Args:
        folder: The server's folder; every account must be able to enter its parents.
        tool_folder: Folder of initdb and its like.
        password: Of the superuser `postgres`.
        settings: For postgresql.conf.

    Returns:
        `changed`, `data_folder`, `tool_folder` (where the server's programs are to be taken from), `account`.

    Raises:
        BadInput: The account that the server has to run as cannot enter the folder; nothing was changed.
        CommandFailed: initdb failed.
    """
    data = os.path.join(folder, "data")
    account = owner_of(data)
    _require_open(os.path.dirname(os.path.abspath(folder)), account)
    os.makedirs(folder, mode=0o755, exist_ok=True)
    own(folder, account)
    programs, copied = tool_folder, False
    if account and not open_to_all(tool_folder):
        programs = os.path.join(folder, "programs", "bin")
        copied = not os.path.isdir(programs)
        if copied:
            _copy_programs(os.path.dirname(os.path.abspath(tool_folder)), os.path.dirname(programs))
    made = not os.path.exists(os.path.join(data, "PG_VERSION"))
    if made:
        shutil.rmtree(data, ignore_errors=True)
        _initdb(data, programs, account, password)
    changed = _write_settings(data, settings, account)
    if made or not _leads_to(os.path.join(folder, "bin"), programs):
        _tell(folder, data, programs)
    return {"changed": made or copied or changed, "data_folder": data, "tool_folder": programs, "account": account}


def _require_open(parent: str, account: str) -> None:
    while not os.path.exists(parent):
        parent = os.path.dirname(parent)
    if account and not open_to_all(parent):
        raise BadInput(
            f"The account {account}, as which root has to run PostgreSQL, cannot enter the folder",
            where=parent,
            next_step="choose a folder that every account may enter, such as one below /var/lib, or do without root; nothing was changed",
        )


def _copy_programs(source: str, target: str) -> None:
    partial = target + ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(source, partial, symlinks=True)
    os.chmod(partial, 0o755)  # noqa: S103 - the server's account has to read it, and there is nothing secret in it
    os.rename(partial, target)


def _leads_to(link: str, target: str) -> bool:
    try:
        return os.readlink(link) == target
    except OSError:
        return False


def _tell(folder: str, data: str, programs: str) -> None:
    """Leave a link to the programs and the cluster's identity, for inventories to look up."""
    said = run(Command([Place(tool_folder=programs).program("pg_controldata"), data])).stdout
    identity = next(line.split()[-1] for line in said.splitlines() if line.startswith("Database system identifier"))
    write_atomically(os.path.join(folder, "system_identifier"), f"{identity}\n".encode(), 0o644)
    link = os.path.join(folder, "bin")
    if os.path.islink(link):
        os.unlink(link)
    os.symlink(programs, link)


def _initdb(data: str, programs: str, account: str, password: str) -> None:
    with tempfile.NamedTemporaryFile("w", prefix="sre-runbooks-") as secret:
        secret.write(password)
        secret.flush()
        own(secret.name, account)
        arguments = [
            "--username=postgres",
            "--auth=scram-sha-256",
            f"--pwfile={secret.name}",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--data-checksums",
        ]
        partial = data + ".partial"
        shutil.rmtree(partial, ignore_errors=True)
        run(Command([Place(tool_folder=programs).program("initdb"), f"--pgdata={partial}", *arguments], account=account))
    os.rename(partial, data)


def _write_settings(data: str, settings: t.Mapping[str, str], account: str) -> bool:
    path = os.path.join(data, "postgresql.auto.conf")
    wanted = "".join(f"{name} = '{str(value).replace(chr(39), chr(39) * 2)}'\n" for name, value in sorted(settings.items()))
    with open(path, encoding="utf-8") as stream:
        if stream.read() == wanted:
            return False
    write_atomically(path, wanted.encode())
    own(path, account)
    return True
