# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No password and no key is ever seen: not on a command line, not at -vvv, not in a log, a record, a report or a set."""

from __future__ import annotations

import os
import threading
import time
import typing as t
from collections.abc import Iterable, Iterator

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.connection import literal
from integration.object_store import SECRET_KEY, option, running_store
from integration.playbook_runs import Finished, Profile
from integration.postgresql_server import running_server

PASSWORD = "pw 'Zebra7Quokka\" \\ $(id) {{ x }} é"
WRONG_PASSWORD = "wrong 'Numbat3Wombat\" \\ $(id)"
WRONG_KEY = "Wrong+Pangolin9/Key="
# Parts that no quoting changes.
TELLTALES = ("Zebra7Quokka", "Numbat3Wombat", "Pangolin9", "Okapi4Secret")
LOOKUP = "{{{{ lookup('ansible.builtin.env', '{}') }}}}"
CONFIRM = ("-e", "confirm=reference")
STEPS: list[tuple[str, tuple[str, ...], dict[str, str], str, int]] = [
    # playbook, options, what is wrong, part of the message, exit status
    ("backup", (), {}, "", 0),
    ("backup", ("-e", "backup_method=physical"), {}, "", 0),
    ("restore_drill", (), {}, "", 0),
    ("restore", CONFIRM, {}, "", 0),
    ("restore", ("--check", "--diff", *CONFIRM), {}, "", 0),
    ("restore_undo", CONFIRM, {}, "", 0),
    ("backup", (), {"login_password": WRONG_PASSWORD}, "refused the login", 2),
    ("restore", CONFIRM, {"login_password": WRONG_PASSWORD}, "refused the login", 2),
    ("backup", (), {"secret_key": WRONG_KEY}, "SignatureDoesNotMatch", 2),
    ("backup", ("-e", "backup_method=phisical"), {"login_password": WRONG_PASSWORD, "secret_key": WRONG_KEY}, "must be one of", 2),
    ("backup", ("-e", "backup_store=nothing"), {"login_password": WRONG_PASSWORD, "secret_key": WRONG_KEY}, "has no store", 2),
]


class Watcher:
    """Reads the command line of every process, over and over.

    Args:
        telltales: What must not be seen on one.

    Attributes:
        programs: Names of what was seen.
        told: Command lines that show a secret.
    """

    def __init__(self, telltales: Iterable[str] = TELLTALES) -> None:
        self._needles = [text.encode() for text in telltales]
        self.programs: set[str] = set()
        self.told: list[str] = []
        self.looks = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_error: t.Any) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.004):
            self.looks += 1
            for name in os.listdir("/proc"):
                if not name.isdigit():
                    continue
                try:
                    with open(f"/proc/{name}/cmdline", "rb") as stream:
                        line = stream.read()
                except OSError:
                    continue
                self.programs.add(os.path.basename(line.split(b"\0", 1)[0]).decode(errors="replace"))
                if any(needle in line for needle in self._needles):
                    self.told.append(line.replace(b"\0", b" ").decode(errors="replace"))


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Profile, Watcher, list[Finished]]]:
    """All the steps, run and watched."""
    folder = tmp_path_factory.mktemp("secrets")
    with running_server() as server, running_store(folder / "s3") as store:
        server.load_reference("reference", 1)
        server.sql(f"ALTER ROLE postgres PASSWORD {literal(PASSWORD)}")
        server.password = PASSWORD
        assert server.sql("SELECT 1") == "1"
        profile = Profile(folder / "profile", server)
        done = []
        with Watcher() as watcher:
            for playbook, options, wrong, _said, _status in STEPS:
                # The right ones are looked up, as profiles should; the wrong ones stand in the inventory.
                profile.store["login_password"] = wrong.get("login_password", LOOKUP.format("TRIAL_PASSWORD"))
                profile.variables["backup_offsite"] = option(store, secret_key=wrong.get("secret_key", LOOKUP.format("TRIAL_KEY")))
                done.append(profile.run(playbook, "-vvv", *options, TRIAL_PASSWORD=PASSWORD, TRIAL_KEY=SECRET_KEY))
                time.sleep(0.05)
        yield profile, watcher, done


def test_every_step_ended_as_it_should(trial: tuple[Profile, Watcher, list[Finished]]) -> None:
    for (playbook, options, _wrong, said, status), done in zip(STEPS, trial[2], strict=True):
        assert done.status == status, f"{playbook} {options}: {done.output[-3000:]}"
        assert said in done.output
        assert "Traceback" not in done.output


def test_no_command_line_shows_a_secret(trial: tuple[Profile, Watcher, list[Finished]]) -> None:
    _profile, watcher, _done = trial
    assert watcher.looks > 500
    assert {"pg_dump", "pg_restore", "psql", "pg_basebackup", "postgres", "rclone"} <= watcher.programs, "the watcher missed programs"
    assert watcher.told == []


def test_ansible_s_output_shows_no_secret_even_at_vvv(trial: tuple[Profile, Watcher, list[Finished]]) -> None:
    for (playbook, options, _wrong, _said, _status), done in zip(STEPS, trial[2], strict=True):
        for telltale in TELLTALES:
            at = done.output.find(telltale)
            assert at < 0, f"{playbook} {options}: {done.output[max(0, at - 300) : at + 50]}"


def test_no_file_that_a_run_left_holds_a_secret(trial: tuple[Profile, Watcher, list[Finished]]) -> None:
    profile, _watcher, _done = trial
    files = [path for path in profile.folder.rglob("*") if path.is_file() and "inventory" not in path.parts]
    assert profile.logs in files
    assert any(path.name == "record.json" for path in files) and any(path.name == "manifest.json" for path in files)
    for path in files:
        content = path.read_bytes()
        for telltale in TELLTALES:
            assert telltale.encode() not in content, f"{path}: {telltale}"
    manifests = [path.read_text() for path in profile.backups.glob("*/manifest.json")]
    globals_files = [path.read_text() for path in profile.backups.glob("*/globals.sql")]
    assert manifests and globals_files
    assert not any("SCRAM-SHA-256" in text for text in manifests + globals_files), "no password hashes unless they were asked for"


def test_sets_records_and_reports_are_for_their_owner_alone(trial: tuple[Profile, Watcher, list[Finished]]) -> None:
    profile, _watcher, _done = trial
    for top in (profile.backups, profile.state):
        for path in top.iterdir():
            shut = not path.stat().st_mode & 0o077 or not top.stat().st_mode & 0o077
            assert shut, f"{path} can be entered by others"
    assert not list((profile.folder / "tmp").iterdir()), "something was left in the folder for temporary files"


def test_a_run_that_succeeds_records_no_more_than_one_that_fails(trial: tuple[Profile, Watcher, list[Finished]]) -> None:
    profile, _watcher, _done = trial
    states = [record["status"] for record in profile.records()]
    assert (states.count("succeeded"), states.count("failed")) == (5, 4)
