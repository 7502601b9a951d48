# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a killed or failed rolling action has left is put right by the next run, with a scripted engine and a scripted proxy."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.errors import CommandFailed, RunbookError, Unreachable
from ansible_collections.sre.runbooks.plugins.module_utils.service import draining
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose import repairs
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.containers import Container, parse
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.removal import remove_all
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.repairs import planned_repairs, put_right
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.rolling_model import Unwell
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.rolling_plan import (
    as_named,
    as_repaired,
    left_pattern,
    make_removal,
    make_repair,
    make_repairs,
)
from ansible_collections.sre.runbooks.plugins.module_utils.service.journal import Journal
from ansible_collections.sre.runbooks.tests.unit.rolling_fakes import FakeEngine, FakeProxy, Killed, container, inspected
from ansible_collections.sre.runbooks.tests.unit.rolling_turns import PatternHeld, turns, without_pauses


def former(number: int) -> Container:
    """A replica that was set aside, and stopped before."""
    return container(number, "exited", "", Id=f"{number + 500:064x}", Name=f"/shop-app-{number}.former")


@given(st.integers(1, 3), st.sampled_from([None, ("running", "healthy"), ("running", "starting"), ("created", ""), ("exited", "")]))
def test_of_a_replica_and_the_one_before_it_exactly_one_is_kept_and_only_a_well_one_displaces_it(
    number: int, successor: tuple[str, str] | None
) -> None:
    there = [container(at) for at in (1, 2, 3) if at != number] + [former(number)]
    there += [container(number, *successor)] if successor else []
    noted = {"replica": f"shop-app-{number}", "servers": ["app-1"], "former": f"shop-app-{number}.former"}
    repair = make_repair(there, noted)
    kept = as_named(there, noted)
    assert repair is not None
    assert as_repaired(there, noted)[number - 1].is_well, "it is started"
    assert (repair.act == "finish") == (successor == ("running", "healthy"))
    assert sorted(one.name for one in kept) == ["shop-app-1", "shop-app-2", "shop-app-3"]
    assert any(one.id == former(number).id for one in kept) == (repair.act == "go_back")


def test_what_a_killed_run_had_noted_decides_what_is_put_right() -> None:
    there = [container(1), container(2, "exited", "")]
    acts = [
        make_repair(there, noted)
        for noted in (
            {},
            {"replica": "shop-app-1", "servers": []},
            {"replica": "shop-app-1", "servers": ["app-1"]},
            {"replica": "shop-app-2", "servers": ["app-2"]},
            {"replica": "shop-app-9", "servers": ["app-9"]},
        )
    ]
    assert [one.act if one else None for one in acts] == [None, None, "open", "start", "open"]
    both = {"replica": "shop-app-2", "servers": ["a"], "side_by_side": [{"replica": "shop-app-2", "servers": ["b", "a"]}]}
    assert [(one.act, one.servers) for one in make_repairs(there, both)] == [("start", ("b", "a"))]
    pattern = container(3, "created", "")
    noted = {"pattern_beside": [one.id for one in there]}
    assert left_pattern([*there, pattern], noted) == pattern
    assert left_pattern([*there, pattern], {**noted, "pattern": there[0].id}) is None
    assert left_pattern([*there, pattern], {}) is None
    assert left_pattern([*there, container(4)], noted) is None, "one that was started is no pattern"


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    without_pauses(monkeypatch)


@pytest.mark.parametrize("way", ["restart", "recreate"])
@pytest.mark.parametrize("bad", ["", "shop-app-1"])
@pytest.mark.parametrize("how", ["unhealthy", "exited"])
def test_whatever_change_a_run_is_killed_after_the_next_one_puts_it_right(tmp_path: Path, way: str, bad: str, how: str) -> None:
    at, ended = 0, False
    while not ended:
        at += 1
        engine = FakeEngine([inspected(1), inspected(2)], [bad], how)
        proxy, left = FakeProxy(engine), iter(range(at))

        def die(left: t.Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise Killed

        engine.watch = die
        folder = tmp_path / str(at)
        folder.mkdir()
        try:
            action = turns(engine, proxy, folder)
            if way == "restart":
                action.restart(container(1), needs_others=True)
            else:
                action.recreate(container(1), PatternHeld(engine), needs_others=True)
            ended = True
        except Killed:
            pass
        except Unwell:
            ended = True
        engine.watch = lambda: None
        is_well = not bad or "new" in engine.hashes()
        next_one = turns(engine, proxy, folder)
        planned = planned_repairs([parse(one) for one in engine.containers.values()], Journal(str(folder), "shop", "app").read())
        put_right(next_one, "shop", "app")
        assert bool(planned) == bool(next_one.steps), at
        assert {one["Name"].lstrip("/") for one in engine.containers.values()} == {"shop-app-1", "shop-app-2"}, at
        assert (proxy.drained, "shop-app-2" in proxy.serving()) == (set(), True), at
        assert not is_well or proxy.serving() == {"shop-app-1", "shop-app-2"}, at
        assert not list(folder.glob("*.json")), at
        again = turns(engine, proxy, folder)
        put_right(again, "shop", "app")
        assert not again.steps, "it is put right once, and what is ill keeps nobody from the next run"
    assert at >= (4 if way == "restart" else 6)


def test_a_removal_that_was_killed_is_put_right_and_one_that_fails_leaves_the_replica_serving(tmp_path: Path) -> None:
    at, ended = 0, False
    while not ended:
        at += 1
        engine = FakeEngine([inspected(1), inspected(2)])
        proxy, left, folder = FakeProxy(engine), iter(range(at)), tmp_path / str(at)
        folder.mkdir()

        def die(left: t.Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise Killed

        engine.watch = die
        try:
            remove_all(make_removal([container(1), container(2)], 1), turns(engine, proxy, folder))
            ended = True
        except Killed:
            pass
        engine.watch = lambda: None
        next_one = turns(engine, proxy, folder)
        planned = planned_repairs([parse(one) for one in engine.containers.values()], Journal(str(folder), "shop", "app").read())
        there = put_right(next_one, "shop", "app")
        assert bool(planned) == bool(next_one.steps) == (not ended), at
        assert {one.name for one in there} == engine.running() == proxy.serving(), at
        assert (proxy.drained, list(folder.glob("*.json"))) == (set(), []), at
    assert at >= 4

    class Refusing(FakeEngine):
        def ask(self, method: str, path: str, query: t.Any = None, body: t.Any = None, timeout_s: float = 0) -> t.Any:
            if method == "DELETE":
                raise CommandFailed("the engine refuses", facts={"status": 500})
            return super().ask(method, path, query, body, timeout_s)

    engine.__class__ = Refusing
    engine.containers = {one["Id"]: one for one in (inspected(1), inspected(2))}
    with pytest.raises(RunbookError, match="shop-app-2 could not be removed"):
        remove_all(make_removal([container(1), container(2)], 1), turns(engine, proxy, tmp_path))
    assert (engine.running(), proxy.drained) == ({"shop-app-1", "shop-app-2"}, set())


class Restarting(FakeEngine):
    """An engine that is ended when the first replica is to be stopped, and does not answer from then on."""

    is_gone = False

    def ask(self, method: str, path: str, query: t.Any = None, body: t.Any = None, timeout_s: float = 0) -> t.Any:
        self.is_gone = self.is_gone or path.endswith("/stop")
        if self.is_gone:
            raise Unreachable("The Docker Engine cannot be reached")
        return super().ask(method, path, query, body, timeout_s)


def test_replicas_that_a_failed_removal_could_not_bring_back_are_brought_back_by_the_next_run(tmp_path: Path) -> None:
    engine = Restarting([inspected(number) for number in (1, 2, 3)])
    proxy = FakeProxy(engine)
    with pytest.raises(RunbookError, match="could not be removed"):
        remove_all(make_removal([container(number) for number in (1, 2, 3)], 1), turns(engine, proxy, tmp_path))
    assert proxy.drained == {"10.0.0.2", "10.0.0.3"}
    engine.is_gone = False
    # One of them was ended with the engine.
    engine.containers[inspected(3)["Id"]]["State"]["Status"] = "exited"
    put_right(turns(engine, proxy, tmp_path), "shop", "app")
    assert proxy.serving() == {"shop-app-1", "shop-app-2", "shop-app-3"}
    assert not list(tmp_path.glob("*.json"))


def test_while_the_proxy_is_down_containers_are_put_right_and_its_servers_wait_for_the_next_run(tmp_path: Path) -> None:
    engine = FakeEngine([inspected(1), inspected(2, "exited"), inspected(3)])
    proxy = FakeProxy(engine)
    proxy.drained = {"10.0.0.1", "10.0.0.2"}
    left = turns(engine, proxy, tmp_path)
    left.journal.note(replica="shop-app-2", servers=["10.0.0.2"], left=["10.0.0.9"])
    left.journal.note(side_by_side=[{"replica": "shop-app-1", "servers": ["10.0.0.1"]}])
    proxy.is_down = True
    first, second = turns(engine, proxy, tmp_path), turns(engine, None, tmp_path)
    put_right(first, "shop", "app")
    put_right(second, "shop", "app", away="The container of the proxy does not run")
    assert engine.running() == {"shop-app-1", "shop-app-2", "shop-app-3"}
    assert (first.steps, second.steps) == (["An interrupted run had stopped shop-app-2: it is started"], [])
    for one in (first, second):
        assert all(server in one.notes[0] for server in ("10.0.0.1", "10.0.0.2", "10.0.0.9", "until the next run")), one.notes
    proxy.is_down = False
    put_right(turns(engine, proxy, tmp_path), "shop", "app")
    assert (proxy.drained, list(tmp_path.glob("*.json"))) == (set(), [])


def test_a_replica_that_the_proxy_does_not_take_back_yet_stays_noted_until_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "_NOTICES_S", 0.0)
    engine = FakeEngine([inspected(1), inspected(2)], ["shop-app-1"], "exited")
    proxy = FakeProxy(engine, keeps=True)
    with pytest.raises(Unwell, match="ended after its start"):
        turns(engine, proxy, tmp_path).restart(container(1), needs_others=True)
    put_right(turns(engine, proxy, tmp_path), "shop", "app")
    assert proxy.drained == {"10.0.0.1"}
    engine.bad, proxy.keeps = set(), False
    put_right(turns(engine, proxy, tmp_path), "shop", "app")
    assert (proxy.serving(), list(tmp_path.glob("*.json"))) == ({"shop-app-1", "shop-app-2"}, [])


def test_a_server_that_the_proxy_does_not_let_go_is_asked_for_by_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "_NOTICES_S", 0.0)
    engine = FakeEngine([inspected(1), inspected(2)])
    proxy = FakeProxy(engine, keeps=True)
    first = turns(engine, proxy, tmp_path)
    repairs.release_gone(first, ["10.0.0.2"], 0)
    assert "10.0.0.2 drained until the next run" in first.notes[0]
    second = turns(engine, proxy, tmp_path)
    put_right(second, "shop", "app")
    assert (second.steps, len(second.notes), second.journal.read()) == ([], 1, {"left": ["10.0.0.2"]})
    proxy.keeps = False
    third = turns(engine, proxy, tmp_path)
    put_right(third, "shop", "app")
    assert (third.steps, third.notes, list(tmp_path.glob("*.json"))) == ([], [], [])
