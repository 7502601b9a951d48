# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes a virtual environment ready for a drill or for the tests; does nothing when it already is.

Standard library only: it runs before anything is installed. From the command line:

    python3 tests/tools/environment.py .venv drill
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

OLDEST_PYTHON = (3, 11)
REPOSITORY = Path(__file__).resolve().parents[2]
SERVICE_REQUIREMENTS = "tests/reference_service/requirements.txt"
STAMP = "ready.json"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
"""Debian's and Ubuntu's, from the package ca-certificates."""


class NotReady(Exception):
    """The environment could not be made; the text says what to do."""


def say(text: str) -> None:
    """Print one line of progress at once."""
    print(f"[setup] {text}", flush=True)


def fingerprint(repository: Path = REPOSITORY) -> str:
    """SHA-256 over everything that decides which packages are wanted; a change of it means a new installation."""
    import tomllib

    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {key: project.get(key) for key in ("name", "version", "dependencies", "optional-dependencies", "scripts")}
    requirements = repository / SERVICE_REQUIREMENTS
    text = json.dumps(wanted, sort_keys=True) + (requirements.read_text(encoding="utf-8") if requirements.exists() else "")
    return hashlib.sha256((str(repository) + text).encode()).hexdigest()


def ensure(venv: Path, extras: list[str], *, python: str = sys.executable, repository: Path = REPOSITORY) -> Path:
    """Make `venv` hold the project and its `extras`, and return the path of its interpreter.

    Args:
        venv: The virtual environment's folder; made when it is missing.
        extras: Names under `[project.optional-dependencies]` of pyproject.toml.
        python: Interpreter to make it with.
        repository: The project's root folder.

    Raises:
        NotReady: with the last words of the tool that failed.
    """
    interpreter = venv / "bin" / "python"
    cache = repository / ".cache"
    cache.mkdir(exist_ok=True)
    venv.parent.mkdir(parents=True, exist_ok=True)
    with (cache / f"{venv.name.lstrip('.')}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = _stamp(venv)
        digest = fingerprint(repository)
        if done.get("fingerprint") == digest and set(extras) <= set(done.get("extras", [])) and interpreter.exists():
            return interpreter
        wanted = sorted({*extras, *(done.get("extras", []) if interpreter.exists() else [])})
        started = time.monotonic()
        if not interpreter.exists():
            _make(venv, python)
        _install(interpreter, wanted, repository)
        (venv / STAMP).write_text(json.dumps({"fingerprint": digest, "extras": wanted}), encoding="utf-8")
        say(f"{venv} is ready ({time.monotonic() - started:.0f} s)")
    return interpreter


def _stamp(venv: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((venv / STAMP).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _make(venv: Path, python: str) -> None:
    shutil.rmtree(venv, ignore_errors=True)
    uv = shutil.which("uv")
    if uv:
        say(f"making {venv} with {python} (uv)")
        _run([uv, "venv", "--quiet", "--python", python, str(venv)], "The virtual environment could not be made")
        return
    if _run_quietly([python, "-c", "import ensurepip, venv"]) != 0:
        _install_debian_venv(python)
    say(f"making {venv} with {python}")
    _run([python, "-m", "venv", str(venv)], "The virtual environment could not be made")


def _install_debian_venv(python: str) -> None:
    """Debian and Ubuntu keep venv and ensurepip in a package of their own."""
    version = subprocess.run(
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], stdout=subprocess.PIPE, text=True, check=False
    ).stdout.strip()
    package = f"python{version}-venv"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise NotReady(f"{python} cannot make virtual environments. Install its venv package first: sudo apt-get install {package}")
    say(f"installing {package} with apt-get")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    _run(["apt-get", "update", "-qq"], "apt-get update failed", environment)
    _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", package], f"{package} could not be installed", environment)


def _install(interpreter: Path, extras: list[str], repository: Path) -> None:
    requirements = ["-e", f"{repository}[{','.join(extras)}]" if extras else str(repository)]
    service = repository / SERVICE_REQUIREMENTS
    if "drill" in extras and service.exists():
        requirements += ["-r", str(service)]
    uv = shutil.which("uv") or _uv_inside(interpreter)
    say(f"installing {', '.join(extras) or 'the project'} from PyPI with {'uv' if uv else 'pip'}")
    if uv:
        command = [uv, "pip", "install", "--quiet", "--python", str(interpreter), *requirements]
    else:
        command = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
    _run(command, "The packages could not be installed", uv_environment())


def uv_environment() -> dict[str, str]:
    """The environment in which uv installs."""
    environment = dict(os.environ)
    if CERTIFICATES.exists():
        # Like pip, trust what the machine trusts: behind a company's proxy that is more than uv's own list.
        environment.setdefault("UV_SYSTEM_CERTS", "true")
    return environment


def install_beside(folder: Path, python_version: str, *requirements: str) -> None:
    """Put packages into a folder, for a Python that need not be here, from wheels alone.

    Raises:
        NotReady: They could not be had, with the installer's last words.
    """
    uv, wanted = find_uv(), ["--target", str(folder), f"--python-version={python_version}", "--only-binary=:all:", *requirements]
    installer = [uv, "pip", "install"] if uv else [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    _run([*installer, "--quiet", *wanted], "The packages could not be installed", uv_environment())


def find_uv() -> str | None:
    """Path of uv: on the PATH, or beside this interpreter."""
    return shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))


def _uv_inside(interpreter: Path) -> str | None:
    """uv installs the packages in seconds where pip takes a minute; without it pip does."""
    uv = interpreter.parent / "uv"
    if not uv.exists():
        _run_quietly([str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv"])
    return str(uv) if uv.exists() else None


def _run(command: list[str], failure: str, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        raise NotReady(f"{failure} ({' '.join(command)} ended with {done.returncode}):\n{done.stdout.strip()[-3000:]}")


def _run_quietly(command: list[str]) -> int:
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode


def find_python(minor: int) -> str | None:
    """Path of a working Python 3.`minor` that can make virtual environments: on the PATH, or one of pyenv's. None if there is none."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = shutil.which(f"python3.{minor}")
    candidates = [found] if found else []
    candidates += [str(path) for path in sorted(versions.glob(f"3.{minor}.*/bin/python3"), reverse=True)]
    question = f"import sys, venv; sys.exit(sys.version_info[:2] != (3, {minor}))"
    return next((candidate for candidate in candidates if _run_quietly([candidate, "-c", question]) == 0), None)


def main() -> int:
    """Command line: the folder of the environment, then the extras it shall hold."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("venv", type=Path)
    parser.add_argument("extras", nargs="*")
    arguments = parser.parse_args()
    if sys.version_info < OLDEST_PYTHON or importlib.util.find_spec("tomllib") is None:
        have = ".".join(map(str, sys.version_info[:2]))
        print(f"Python 3.11 or newer is needed, {sys.executable} is {have}. Name another: make PYTHON=python3.12 ...", file=sys.stderr)
        return 2
    try:
        ensure(arguments.venv.absolute(), arguments.extras)
    except NotReady as error:
        print(f"[setup] {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
