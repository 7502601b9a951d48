# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs out of Debian packages, without installing these: nothing of the machine changes, and no service starts by itself."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import tempfile
from pathlib import Path

DEADLINE_S = 300
_FOLDERS = ("usr/bin", "usr/sbin", "bin", "sbin")


class NoPackage(Exception):
    """A program cannot be had on this machine; the text says why."""


def program(name: str, package: str, cache: Path) -> str:
    """Path of the program `name`: the machine's own where it is installed, else out of the Debian package `package`.

    The package is fetched with apt-get, which needs no root where its lists are there, and unpacked below `cache`, once. The program
    sees what its package has below /usr/share in its place, by a mount that it alone sees. Only programs that need no other package
    than the machine's C library can be had in this way, as those written in Go.

    Raises:
        NoPackage: This is no Debian or Ubuntu, its package sources cannot be reached, the package has no such program, or the kernel
            does not allow the mount.
    """
    installed = shutil.which(name)
    if installed:
        return installed
    folder = cache / "debian" / package
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{package}.lock").open("w") as lock:
        # Several test runs may share one checkout.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _unpack(package, folder)
        found = next((folder / place / name for place in _FOLDERS if (folder / place / name).is_file()), None)
        if found is None:
            raise NoPackage(f"the Debian package {package} has no program {name}")
        starter = folder / "starters" / name
        if not starter.is_file():
            _write_starter(starter, found, folder / "usr/share")
    return str(starter)


def _write_starter(starter: Path, program: Path, share: Path) -> None:
    """A script that starts the program where the package's /usr/share lies over the machine's."""
    mount = f'mount -t overlay overlay -o "lowerdir={share}:/usr/share" /usr/share'
    for separate in ("unshare --mount --map-root-user", "unshare --mount"):
        tried = _run([*separate.split(), "sh", "-c", mount], str(share))
        if tried.returncode == 0:
            break
    else:
        raise NoPackage(
            f"{program.name} needs files in /usr/share, and they cannot be mounted there for it alone: {tried.stderr.strip()[-300:]}"
        )
    starter.parent.mkdir(exist_ok=True)
    draft = starter.with_suffix(".new")
    # exec all the way, so that who started the script ends the program.
    draft.write_text(f'#!/bin/sh\nexec {separate} sh -c \'{mount} && exec {program} "$@"\' {program.name} "$@"\n')
    draft.chmod(0o755)
    draft.rename(starter)


def _unpack(package: str, folder: Path) -> None:
    for tool in ("apt-get", "dpkg-deb"):
        if not shutil.which(tool):
            raise NoPackage(f"{package}: not installed, and there is no {tool} here to fetch it")
    with tempfile.TemporaryDirectory(prefix=f"{package}-", dir=folder.parent) as name:
        fetch = ["apt-get", "download", "-qq", package]
        fetched = _run(fetch, name)
        if fetched.returncode != 0:
            # The lists of packages are missing on a fresh machine, and old on others; only root can renew them.
            _run(["apt-get", "update", "-qq"], name)
            fetched = _run(fetch, name)
        archives = sorted(Path(name).glob("*.deb"))
        if fetched.returncode != 0 or not archives:
            raise NoPackage(f"{' '.join(fetch)} ended with {fetched.returncode}: {fetched.stderr.strip()[-300:]}")
        unpacked = Path(name, "unpacked")
        done = _run(["dpkg-deb", "--extract", str(archives[0]), str(unpacked)], name)
        if done.returncode != 0:
            raise NoPackage(f"{archives[0].name} cannot be unpacked: {done.stderr.strip()[-300:]}")
        unpacked.rename(folder)


def _run(command: list[str], folder: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=DEADLINE_S, check=False
    )


def program_of_suite(name: str, package: str, suite: str, cache: Path) -> str:
    """Path of the program `name` out of the Debian package `package` of another suite than the machine's; nothing is installed.

    Only programs that get along with the machine's own libraries can be had in this way.

    Raises:
        NoPackage: This is no Debian, its package sources cannot be reached, or the package has no such program.
    """
    folder = cache / "debian" / f"{package}-{suite}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{package}-{suite}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _unpack_of_suite(package, suite, folder)
    found = next((folder / place / name for place in _FOLDERS if (folder / place / name).is_file()), None)
    if found is None:
        raise NoPackage(f"the Debian package {package} of {suite} has no program {name}")
    return str(found)


def _unpack_of_suite(package: str, suite: str, folder: Path) -> None:
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    for needed in (shutil.which("apt-get"), shutil.which("dpkg-deb"), Path(keys).exists()):
        if not needed:
            raise NoPackage(f"{package} of {suite}: no Debian here to fetch it")
    with tempfile.TemporaryDirectory(prefix=f"{package}-", dir=folder.parent) as name:
        for part in ("lists/partial", "archives/partial"):
            Path(name, part).mkdir(parents=True)
        Path(name, "sources.list").write_text(f"deb [signed-by={keys}] http://deb.debian.org/debian {suite} main\n", encoding="utf-8")
        options = {
            "Dir::Etc::sourcelist": f"{name}/sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State::lists": f"{name}/lists",
            "Dir::Cache::archives": f"{name}/archives",
            "Dir::Cache::pkgcache": "",
            "Dir::Cache::srcpkgcache": "",
        }
        apt = ["apt-get", "-qq", *(f"--option={key}={value}" for key, value in options.items())]
        for command in ([*apt, "update"], [*apt, "download", package]):
            done = _run(command, name)
            if done.returncode != 0:
                raise NoPackage(f"apt-get {command[-1]} for {suite} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        archives = sorted(Path(name).glob("*.deb"))
        unpacked = Path(name, "unpacked")
        done = _run(["dpkg-deb", "--extract", str(archives[0]), str(unpacked)], name)
        if done.returncode != 0:
            raise NoPackage(f"{archives[0].name} cannot be unpacked: {done.stderr.strip()[-300:]}")
        unpacked.rename(folder)
