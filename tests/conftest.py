# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every test may ask for. The servers that a test needs are started in the conftest.py of its own folder."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import typing as t
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

from tools.engine import NoEngine, docker_engine

REPOSITORY = Path(__file__).resolve().parents[1]

# Tests may be started from anywhere and with an interpreter that is not on the PATH: Ansible and the tools that it starts by name
# must be those of this environment, and this collection must be found in this checkout.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(REPOSITORY / "collections")

# How fast a busy machine makes up examples, and how long one takes on it, says nothing about what is tested.
settings.register_profile("repository", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
settings.load_profile("repository")
EXAMPLES = "SRE_RUNBOOKS_TEST_EXAMPLES"
"""Environment variable: the share of each test's made-up examples that is tried, 0.3 for 30 %; all of them without it."""

IN_MEMORY = Path("/dev/shm")
ROOM_BYTES = 6_000_000_000
FOLDER_PREFIX = "sre-"
"""Behind it the number of the process that runs the tests."""


def has_room(folder: Path) -> bool:
    """Whether the tests' servers fit in there, and programs can be run and device files made: containers' folders often forbid it."""
    if not os.access(folder, os.W_OK | os.X_OK):
        return False
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize > ROOM_BYTES and not found.f_flag & (os.ST_NOEXEC | os.ST_NODEV)


def remove_old_folders(memory: Path) -> None:
    """Remove what earlier runs left in memory, but for the newest, which somebody may want to look at."""
    named = [(one, re.match(rf"{FOLDER_PREFIX}(\d+)-", one.name)) for one in memory.iterdir()]
    old = [one for one, found in named if found and not Path("/proc", found[1]).exists()]
    for folder in sorted(old, key=lambda one: one.stat().st_mtime)[:-1]:
        shutil.rmtree(folder, ignore_errors=True)


# The hundreds of small servers of a whole run wait for the disk most of their time. Memory survives kill -9 as the page cache does.
# The folder's name is short, since sockets lie in it: their paths hold at most 107 characters.
FOLDER_OF_RUN: Path | None = None
if "TMPDIR" not in os.environ and has_room(IN_MEMORY):
    remove_old_folders(IN_MEMORY)
    FOLDER_OF_RUN = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-", dir=IN_MEMORY))
    FOLDER_OF_RUN.chmod(0o1777)  # as every folder for temporary files: a database server has an account of its own
    os.environ["TMPDIR"] = tempfile.tempdir = str(FOLDER_OF_RUN)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(exitstatus: int) -> None:
    """What killed programs left in memory goes with a run that was well; after a failure it stays, to be looked at."""
    if FOLDER_OF_RUN is not None and exitstatus == pytest.ExitCode.OK:
        shutil.rmtree(FOLDER_OF_RUN, ignore_errors=True)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test that needs root says what for, and is skipped without."""
    mark = item.get_closest_marker("needs_root")
    if mark is not None and os.geteuid() != 0:
        pytest.skip(f"needs root: {mark.args[0]}" if mark.args else "needs root")


def share_from(text: str) -> float:
    """The share of examples that a text says.

    Raises:
        UsageError: It says none.
    """
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise pytest.UsageError(f"{EXAMPLES} is {text!r}, and must be a share of the examples: more than 0 and at most 1, 0.3 for 30 %")
    return share


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Heed the share of examples, also where a test has a number of its own."""
    if EXAMPLES not in os.environ:
        return
    share = share_from(os.environ[EXAMPLES])
    for test in filter(is_hypothesis_test, {getattr(item, "function", None) for item in items}):
        own = t.cast(t.Any, test)._hypothesis_internal_use_settings
        fewer = settings(own, max_examples=max(1, round(own.max_examples * share)))
        t.cast(t.Any, test)._hypothesis_internal_use_settings = fewer


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: t.Any) -> t.Any:
    """Tests of different files run side by side (`-n`); without pytest-xdist nobody asks."""
    from tools.side_by_side import PartByPart

    return PartByPart(config, log)


TOLD = "told"
LONGEST_FILES = 40


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """What a test has measured, for the end of the run's output: a line for each call."""
    return lambda line: record_property(TOLD, line)


def pytest_terminal_summary(terminalreporter: t.Any) -> None:
    """What tests had to tell, whatever became of them; and which files took longest (tools/side_by_side.py hands those out first)."""
    reports = [one for found in terminalreporter.stats.values() for one in found if isinstance(one, pytest.TestReport)]
    lines = sorted({str(line) for one in reports for name, line in one.user_properties if name == TOLD})
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.line(line)
    took: Counter[str] = Counter()
    for one in reports:
        took[one.nodeid.partition("::")[0]] += round(one.duration * 1000)
    if len(took) > LONGEST_FILES:
        terminalreporter.section(f"files that took longest, of {sum(took.values()) / 1000:.0f} s")
        for file, milliseconds in took.most_common(LONGEST_FILES):
            terminalreporter.line(f"{milliseconds / 1000:5.0f} s  {file}")


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root folder of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def docker_environment(cache: Path) -> Iterator[dict[str, str]]:
    """Environment in which `docker` reaches the engine that all tests share; it is held until the last test of this process has ended."""
    try:
        with docker_engine(cache / "docker") as environment:
            yield environment
    except NoEngine as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def cache(repository: Path) -> Path:
    """Folder for things that are dear to make and safe to lose."""
    folder = repository / ".cache"
    folder.mkdir(exist_ok=True)
    return folder
