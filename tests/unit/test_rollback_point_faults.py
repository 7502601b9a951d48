# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rollback point is restored as a whole or not at all, and what is wrong is told before anything is changed."""

from __future__ import annotations

import itertools
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.configuration import swap, taking
from ansible_collections.sre.runbooks.plugins.module_utils.configuration.points import points_of
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, RunbookError, SetDamaged, SetNotFound
from ansible_collections.sre.runbooks.tests.unit.rollback_service import Service


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def at_the_third_exchange(patch: pytest.MonkeyPatch, happens: t.Callable[[str], None]) -> None:
    """What happens when the third file is to take the place of the live one; it is told which."""
    really, count = os.rename, itertools.count(1)

    def rename(source: t.Any, target: t.Any, **more: t.Any) -> None:
        if str(source).endswith(".restoring") and next(count) == 3:
            happens(str(target))
        really(source, target, **more)

    patch.setattr(os, "rename", rename)


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "add", "manifest"])
def test_a_damaged_point_is_refused_and_nothing_changed(service: Service, damage: str) -> None:
    folder = Path(service.create()["point_folder"])
    kept = folder / "files" / str(service.env)[1:]
    if damage == "flip":
        kept.write_bytes(kept.read_bytes()[:-2] + b"X\n")
    elif damage == "truncate":
        kept.write_bytes(b"")
    elif damage == "remove":
        kept.unlink()
    elif damage == "add":
        (folder / "files" / "more").write_text("x")
    else:
        text = (folder / "manifest.json").read_text().replace(str(service.env), str(service.folder / "evil"))
        (folder / "manifest.json").write_text(text)
    service.disturb()
    before = service.picture()
    with pytest.raises(SetDamaged, match="is damaged"):
        service.call("restore", point=folder.name)
    assert service.picture() == before
    assert service.info(verify=True)["points"][0]["problems"]


def test_a_point_that_is_not_there_is_told_with_those_that_are(service: Service) -> None:
    with pytest.raises(SetNotFound, match="none was taken yet"):
        service.call("restore")
    point = service.create()["point"]
    with pytest.raises(SetNotFound, match=point):
        service.call("restore", point="another")
    with pytest.raises(SetNotFound):
        service.call("restore", point="../home")


def test_a_failure_in_the_middle_puts_back_what_was_swapped(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.create()
    service.disturb()
    before, names = service.picture(), service.names()

    def fails(target: str) -> None:
        raise OSError(30, "Read-only file system", target)

    at_the_third_exchange(monkeypatch, fails)
    with pytest.raises(RunbookError, match="Read-only file system") as error:
        service.call("restore")
    assert (error.value.changed, "everything is as it was" in error.value.message) == (False, True)
    assert (service.picture(), service.names()) == (before, names)


def test_a_restore_that_died_is_taken_back_by_the_next_call(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.create()
    service.disturb()
    before, names = service.picture(), service.names()
    with monkeypatch.context() as patch:
        at_the_third_exchange(patch, lambda _target: os._exit(1))  # as a lost machine: only the process of the exchange is in here
        with pytest.raises(RunbookError, match="was interrupted") as error:
            service.call("restore")
    assert (error.value.changed, service.info()["interrupted"]) == (True, True)
    assert service.picture() != before
    assert "would be taken back" in str(service.call("prune", check_mode=True)["notes"])
    result = service.call("prune")
    assert (result["changed"], "had been interrupted" in result["notes"][0]) == (True, True)
    assert (service.picture(), service.names()) == (before, names)


def test_a_note_that_was_half_written_goes_with_the_next_call_and_that_of_another_service_stays(service: Service) -> None:
    service.create()
    left, other = (service.home / f"..{name}.change.json.4711.partial" for name in ("rag7", "other"))
    left.write_text("{")
    other.write_text("{")
    service.call("prune")
    assert (left.exists(), other.exists()) == (False, True)


def test_points_are_never_in_what_a_point_keeps(service: Service) -> None:
    service.create()
    for root in (service.folder, service.home, service.home.parent):
        with pytest.raises(BadInput, match="rollback points themselves are in"):
            service.call("create", paths=[str(root)])
    assert len(points_of(str(service.home))) == 1


def test_a_name_that_is_no_text_is_told_and_no_point_taken(service: Service) -> None:
    odd = os.fsdecode(b"\xff.conf")
    (service.conf / odd).write_text("x")
    with pytest.raises(BadInput, match=r"no text in UTF-8.*xff\.conf"):
        service.create()
    (service.conf / odd).unlink()
    (service.conf / "link").symlink_to(odd)
    with pytest.raises(BadInput, match="no text in UTF-8"):
        service.create()
    assert points_of(str(service.home)) == []


def test_what_cannot_be_put_back_is_told_with_where_its_files_are(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.create()
    service.disturb()

    def somebody_writes(_point: t.Any) -> None:
        later = service.folder / "current"
        later.unlink()
        later.mkdir()
        raise RunbookError("The files are not as the point has them")

    monkeypatch.setattr(swap, "_must_be_as", somebody_writes)
    with pytest.raises(RunbookError, match=r"could not be put back.*was a link then and is a folder now.*the files are in") as error:
        service.call("restore")
    assert (error.value.changed, service.info()["interrupted"]) == (True, True)


def test_too_much_and_unreadable_input_is_refused_before_anything_is_written(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    (service.conf / "data").write_bytes(b"x" * 2000)
    monkeypatch.setattr(taking, "MOST_BYTES", 1000)
    with pytest.raises(BadInput, match="too much for a rollback point"):
        service.create()
    with pytest.raises(BadInput, match="Nothing is named"):
        service.call("create")
    with pytest.raises(BadInput, match="no absolute path"):
        service.call("create", paths=["relative"])
    with pytest.raises(BadInput, match="no object of Kubernetes"):
        service.call("create", objects=[{"kind": "ConfigMap"}])
    with pytest.raises(BadInput, match="no JSON object"):
        service.call("create", secret_objects=["hidden-1"])
    assert points_of(str(service.home)) == []


def test_a_file_that_became_a_folder_is_told_and_left(service: Service) -> None:
    service.create()
    (service.conf / "a.conf").unlink()
    (service.conf / "a.conf").mkdir()
    with pytest.raises(BadInput, match="was a file then and is a folder now"):
        service.call("restore")
