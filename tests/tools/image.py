# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The container images that tests run: Debian with Python and PostgreSQL, with systemd as process 1, and with HAProxy."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tools.engine import NoEngine, install_packages, one_at_a_time

REPOSITORY = "sre-runbooks/postgresql"
SUITE = "bookworm"
BASE = "debian:bookworm-slim"
PACKAGES = ("ca-certificates", "postgresql", "procps", "python3", "sudo")
# Debian's package makes and starts a cluster of its own when it is installed; the scenarios make theirs.
NO_CLUSTER = "mkdir -p /etc/postgresql-common && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf"
SYSTEMD_REPOSITORY = "sre-runbooks/systemd"
SYSTEMD_PACKAGES = ("python3", "systemd", "systemd-sysv")
HAPROXY_REPOSITORY = "sre-runbooks/haproxy"
HAPROXY_PACKAGES = ("haproxy", "wrk")
PULL_TIMEOUT_S = 300.0
# systemd runs as process 1 without --privileged, which not every machine that runs containers may give.
SYSTEMD_OPTIONS = (
    *(f"--cap-add={name}" for name in ("SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "SYS_NICE", "IPC_LOCK", "MKNOD", "DAC_READ_SEARCH")),
    "--security-opt=seccomp=unconfined",
    "--cgroupns=host",
    "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
    *(f"--tmpfs={folder}" for folder in ("/run", "/run/lock", "/tmp")),
    "--stop-signal=SIGRTMIN+3",
)


def postgresql_image(environment: dict[str, str]) -> str:
    """Return the image's name, building it where the engine does not have it yet.

    It is built from Debian's image of the registry; where no registry can be reached, from this machine's own package sources.

    Args:
        environment: Environment in which `docker` works.

    Raises:
        NoEngine: when neither way is open here.
        RuntimeError: when the build fails.
    """
    return _image(REPOSITORY, PACKAGES, NO_CLUSTER, environment)


def systemd_image(environment: dict[str, str]) -> str:
    """The same for the image with systemd; run it with SYSTEMD_OPTIONS and the command `/lib/systemd/systemd`.

    Args:
        environment: Environment in which `docker` works.

    Raises:
        NoEngine, RuntimeError: as there.
    """
    return _image(SYSTEMD_REPOSITORY, SYSTEMD_PACKAGES, "true", environment)


def haproxy_image(environment: dict[str, str]) -> str:
    """The same for the image with HAProxy, and with what sends requests to it.

    Args:
        environment: Environment in which `docker` works.

    Raises:
        NoEngine, RuntimeError: as there.
    """
    return _image(HAPROXY_REPOSITORY, HAPROXY_PACKAGES, "true", environment)


def _image(repository: str, packages: tuple[str, ...], before: str, environment: dict[str, str]) -> str:
    recipe = "\n".join([SUITE, BASE, *packages, before])
    name = f"{repository}:{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    with one_at_a_time("image"):
        if _docker(["image", "inspect", name], environment).returncode == 0:
            return name
        started = time.monotonic()
        if _docker(["pull", "--quiet", BASE], environment).returncode == 0:
            _from_registry(name, packages, before, environment)
        else:
            print(f"[image] no registry can be reached: building {name} from this machine's package sources", flush=True)
            _from_package_sources(name, packages, before, environment)
        print(f"[image] {name} built in {time.monotonic() - started:.0f} s", flush=True)
    return name


def _from_registry(name: str, packages: tuple[str, ...], before: str, environment: dict[str, str]) -> None:
    steps = [
        f"FROM {BASE}",
        f"RUN {before}",
        f"RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends {' '.join(packages)} && rm -rf /var/lib/apt/lists/*",
    ]
    _must(_docker(["build", "--quiet", "--tag", name, "-"], environment, given="\n".join(steps)))


def _from_package_sources(name: str, packages: tuple[str, ...], before: str, environment: dict[str, str]) -> None:
    if os.geteuid() != 0:
        raise NoEngine("no registry can be reached, and only root can build an image from package sources")
    if not shutil.which("mmdebstrap"):
        install_packages("mmdebstrap")
    with tempfile.TemporaryDirectory(prefix="sre-runbooks-image-") as folder:
        archive = Path(folder) / "image.tar"
        command = [
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            f"--include={','.join(packages)}",
            f'--essential-hook=chroot "$1" sh -c "{before}"',
            "--aptopt=Acquire::Check-Valid-Until false",
            SUITE,
            str(archive),
            *_sources(),
        ]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode != 0:
            raise NoEngine(f"neither a registry nor the package sources can be reached: {done.stderr.strip()[-500:]}")
        _must(_docker(["import", str(archive), name], environment))


def _sources() -> list[str]:
    """Files of package sources of this machine, if it is the same Debian; else mmdebstrap's own choice."""
    release = Path("/etc/os-release").read_text(encoding="utf-8")
    if f"VERSION_CODENAME={SUITE}" not in release:
        return []
    folder = Path("/etc/apt/sources.list.d")
    candidates = [Path("/etc/apt/sources.list"), *sorted(folder.glob("*.list")), *sorted(folder.glob("*.sources"))]
    return [str(path) for path in candidates if path.exists() and SUITE in path.read_text(encoding="utf-8")]


def _docker(arguments: list[str], environment: dict[str, str], given: str | None = None) -> subprocess.CompletedProcess[str]:
    # Engines without the buildx plugin build the old way only.
    return subprocess.run(
        ["docker", *arguments],
        env={**environment, "DOCKER_BUILDKIT": "0"},
        input=given or "",
        capture_output=True,
        text=True,
        timeout=PULL_TIMEOUT_S,
        check=False,
    )


def _must(done: subprocess.CompletedProcess[str]) -> None:
    """A build that fails is a mistake of ours, and no reason to skip anything."""
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(done.args[:3])} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-800:]}")
