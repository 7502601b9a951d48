# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rolling action decides, and what it does step by step with a scripted engine and a scripted proxy."""

from __future__ import annotations

import copy
import json
import os
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, CommandFailed, RunbookError, Unreachable
from ansible_collections.sre.runbooks.plugins.module_utils.progress import Progress
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose import repairs, rolling_turn
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.containers import Container, parse
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.engine import Engine, _frames
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.project import Project
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.removal import remove_all
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.repairs import planned_repairs, put_right
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.rolling_model import Limits, Unwell
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.rolling_plan import (
    Wanted,
    as_named,
    as_repaired,
    left_pattern,
    make_plan,
    make_removal,
    make_repair,
    make_repairs,
)
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.rolling_project import call
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.rolling_turn import Turns
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.successor import (
    Pattern,
    check_renewable,
    obstacles,
    successor_of,
)
from ansible_collections.sre.runbooks.plugins.module_utils.service.haproxy import parse_servers, parse_sessions
from ansible_collections.sre.runbooks.plugins.module_utils.service.journal import Journal
from ansible_collections.sre.runbooks.plugins.module_utils.service.proxies import inside, proxy_from
from ansible_collections.sre.runbooks.plugins.module_utils.service.proxy import Reach
from ansible_collections.sre.runbooks.tests.unit.rolling_fakes import FakeEngine, FakeProxy, Killed, container, inspected

STATES = st.sampled_from([("running", "healthy"), ("running", "unhealthy"), ("running", ""), ("exited", ""), ("restarting", "")])
REPLICAS = st.lists(STATES, min_size=1, max_size=6).map(lambda found: [container(at + 1, *state) for at, state in enumerate(found)])


@given(REPLICAS, st.data())
def test_each_replica_that_is_meant_has_one_turn_and_those_that_are_not_well_come_first(
    replicas: list[Container], data: st.DataObject
) -> None:
    only = data.draw(st.lists(st.sampled_from([one.name for one in replicas]), unique=True))
    plan = make_plan(replicas, way="restart", only=only)
    assert sorted(one.name for one in plan.order) == sorted(only or (one.name for one in replicas))
    assert set(plan.order) | set(plan.untouched) == set(replicas)
    assert not set(plan.order) & set(plan.untouched)
    well = [one.is_well for one in plan.order]
    assert well == sorted(well)
    for part in (True, False):
        numbers = [one.number for one in plan.order if one.is_well is part]
        assert numbers == sorted(numbers)
    assert len(plan.sentences("HAProxy", 20)) == len(plan.order)


@given(REPLICAS, st.sampled_from(["old", "new"]), st.sampled_from(["sha256:1", "sha256:2"]))
def test_only_what_differs_or_is_not_well_is_made_anew(replicas: list[Container], config: str, image: str) -> None:
    plan = make_plan(replicas, way="recreate", wanted=Wanted(config, {"app:1": image}))
    same = config == "old" and image == "sha256:1"
    assert {one.name for one in plan.untouched} == ({one.name for one in replicas if one.is_well} if same else set())


@given(REPLICAS, st.integers(0, 8))
def test_the_highest_numbers_go_and_never_all_that_is_well(replicas: list[Container], count: int) -> None:
    try:
        removal = make_removal(replicas, count)
    except BadInput:
        assert 0 < count < len(replicas)
        assert not any(one.is_well for one in replicas[:count])
        return
    assert list(removal.stays) == replicas[:count]
    assert list(removal.goes) == replicas[count:][::-1]
    assert removal.goes == make_removal(replicas[::-1], count).goes


def test_nothing_is_planned_for_a_service_without_replicas_nor_for_a_name_that_is_none() -> None:
    with pytest.raises(BadInput, match="no replica"):
        make_plan([], way="restart")
    with pytest.raises(BadInput, match=r"shop-app-9.*there are shop-app-1"):
        make_plan([container(1)], way="restart", only=["shop-app-9"])
    with pytest.raises(BadInput, match="-1 replicas"):
        make_removal([container(1)], -1)
    notes = make_plan([container(1)], way="restart", has_proxy=False).notes
    assert [("No proxy is named" in note, "the only replica" in note) for note in notes] == [(True, False), (False, True)]


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


class PatternHeld(Pattern):
    """A pattern that is there already."""

    def __init__(self, engine: FakeEngine) -> None:
        labels = {"com.docker.compose.container-number": "9", "com.docker.compose.config-hash": "new"}
        config = {"Image": "app:2", "Hostname": f"{9:064x}"[:12], "Labels": labels}
        self._engine, self._made = t.cast(Engine, engine), container(9, "created", "", Config=config)
        self._own_hash = ""


def turns(engine: FakeEngine, proxy: FakeProxy | None, folder: Path, **limits: t.Any) -> Turns:
    """Turns in which nothing is waited for long."""
    given = {"drain_s": 0.05, "stop_s": 1, "health_s": 0.05, "settle_s": 0.0, **limits}
    return Turns(t.cast(Engine, engine), proxy, Journal(str(folder), "shop", "app"), Limits(**given), Progress("test", path=""))


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions follow one another at once."""
    for name in ("_POLL_S", "_DRAIN_POLL_S", "_OTHERS_WAIT_S", "_UNKNOWN_WAIT_S"):
        monkeypatch.setattr(rolling_turn, name, 0.001)


@given(
    count=st.integers(2, 5),
    bad=st.integers(0, 5),
    way=st.sampled_from(["restart", "recreate"]),
    how=st.sampled_from(["unhealthy", "exited", "starting"]),
    left=st.integers(0, 4),
)
@settings(max_examples=60)
def test_at_most_one_replica_is_out_at_any_moment_and_a_bad_one_stops_it_with_the_rest_untouched(
    tmp_path_factory: pytest.TempPathFactory, count: int, bad: int, way: str, how: str, left: int
) -> None:
    replicas = [inspected(at + 1) for at in range(count)]
    engine = FakeEngine(replicas, [f"shop-app-{bad}"], how)
    proxy, fewest = FakeProxy(engine, left), [count]
    engine.watch = lambda: fewest.append(len(proxy.serving()))
    folder = tmp_path_factory.mktemp("journal")
    action, done, failure = turns(engine, proxy, folder, drain_s=5.0), 0, None
    try:
        for at in range(count):
            one = container(at + 1)
            if way == "restart":
                action.restart(one, needs_others=True)
            else:
                action.recreate(one, PatternHeld(engine), needs_others=True)
            done += 1
    except Unwell as error:
        failure = error
    assert failure is None or (failure.facts["failed"] == f"shop-app-{bad}" and "the last word" in failure.message)
    assert done == (bad - 1 if 1 <= bad <= count else count)
    assert min(fewest) >= count - 1
    touched = {call.split()[1].removesuffix(".former") for call in engine.calls}
    assert touched == {f"shop-app-{at + 1}" for at in range(min(done + 1, count))}
    assert not proxy.drained
    if way == "recreate":
        assert engine.running() == {f"shop-app-{at + 1}" for at in range(count)}, "the bad one is replaced by the one before it"
        assert not [one for one in engine.containers.values() if one["Name"].endswith(".former")]
    assert not list(folder.glob("*.json")), "nothing is under way"


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


def test_replicas_that_go_are_drained_and_stopped_side_by_side_while_those_that_stay_serve(tmp_path: Path) -> None:
    engine = FakeEngine([inspected(number) for number in (1, 2, 3, 4)])
    proxy, fewest = FakeProxy(engine, left=6), [4]
    engine.watch = lambda: fewest.append(len(proxy.serving()))
    action = turns(engine, proxy, tmp_path, drain_s=5.0)
    remove_all(make_removal([container(number) for number in (1, 2, 3, 4)], 2), action)
    assert (engine.running(), min(fewest), proxy.drained) == ({"shop-app-1", "shop-app-2"}, 2, set())
    assert action.steps == ["shop-app-4 was stopped and removed", "shop-app-3 was stopped and removed"]
    assert max(proxy.calls.index(f"drain 10.0.0.{number}") for number in (3, 4)) < 2, "both are drained before either is ready for others"
    assert not list(tmp_path.glob("*.json"))


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
    monkeypatch.setattr(repairs, "_NOTICES_S", 0.0)
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
    monkeypatch.setattr(repairs, "_NOTICES_S", 0.0)
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


def test_the_steps_of_a_turn_have_their_order_and_each_is_noted_before_it_is_done(tmp_path: Path) -> None:
    engine = FakeEngine([inspected(1), inspected(2)])
    proxy = FakeProxy(engine)
    action = turns(engine, proxy, tmp_path)
    seen: list[tuple[str, t.Any]] = []
    engine.watch = lambda: seen.append(((proxy.calls + engine.calls)[-1], Journal(str(tmp_path), "shop", "app").read()))
    action.recreate(container(1), PatternHeld(engine), needs_others=True)
    assert engine.calls == [
        "stop shop-app-1",
        "rename shop-app-1",
        "create shop-app-1",
        "start shop-app-1",
        "remove shop-app-1.former",
    ]
    assert proxy.calls == ["drain 10.0.0.1", "ready 10.0.0.1"]
    assert seen[0] == ("drain 10.0.0.1", {"replica": "shop-app-1", "servers": ["10.0.0.1"]})
    assert seen[2][1]["former"] == "shop-app-1.former"


def test_without_another_server_that_is_up_nothing_is_taken_out(tmp_path: Path) -> None:
    engine = FakeEngine([inspected(1), inspected(2)])
    proxy = FakeProxy(engine)
    proxy.held = {"10.0.0.2"}
    with pytest.raises(Unwell, match="nobody to serve"):
        turns(engine, proxy, tmp_path).restart(container(1), needs_others=True)
    assert (engine.calls, proxy.drained) == ([], set())


def test_a_request_that_does_not_end_is_told_and_one_that_the_proxy_never_takes_back_stops_it(tmp_path: Path) -> None:
    engine = FakeEngine([inspected(1), inspected(2)])
    action = turns(engine, FakeProxy(engine, left=10_000_000), tmp_path, drain_s=0.0)
    action.restart(container(1), needs_others=True)
    assert any("requests had not ended" in note for note in action.notes)
    with pytest.raises(Unwell, match="does not send it requests"):
        turns(engine, FakeProxy(engine, never_up=True), tmp_path).restart(container(2), needs_others=False)


def test_a_container_that_ends_again_and_again_is_not_waited_for(tmp_path: Path) -> None:
    engine = FakeEngine([inspected(1, health="")])
    count = iter(range(100))

    class Looping(FakeEngine):
        def ask(self, method: str, path: str, query: t.Any = None, body: t.Any = None, timeout_s: float = 0) -> t.Any:
            answer = super().ask(method, path, query, body, timeout_s)
            return {**answer, "RestartCount": next(count)} if method == "GET" else answer

    engine.__class__ = Looping
    with pytest.raises(RunbookError, match="again and again"):
        turns(engine, None, tmp_path, settle_s=5.0, health_s=5.0).wait_well("shop-app-1", inspected(1)["Id"])


PATTERN = {
    "Id": "ab" * 32,
    "Name": "/shop-app-4",
    "Config": {
        "Hostname": "ab" * 6,
        "Image": "app:2",
        "Volumes": {"/cache": {}},
        "Labels": {"com.docker.compose.container-number": "4", "com.docker.compose.config-hash": "new"},
    },
    "HostConfig": {"NetworkMode": "shop_front", "Binds": None, "Mounts": [{"Type": "volume", "Target": "/data"}], "Memory": 5},
    "NetworkSettings": {
        "Networks": {
            "shop_back": {"Aliases": ["shop-app-4", "app", "ab" * 6], "IPAddress": ""},
            "shop_front": {"Aliases": ["shop-app-4", "app"], "IPAMConfig": {"IPv4Address": "10.1.1.1"}, "MacAddress": "02:42"},
        }
    },
}


def test_a_successor_is_made_as_the_pattern_with_the_replica_s_own_name_number_and_nameless_volumes() -> None:
    volumes = [("c" * 64, "/cache"), ("d" * 64, "/data"), ("named", "/named")]
    before = container(2, Mounts=[{"Type": "volume", "Name": name, "Destination": place} for name, place in volumes])
    pattern = copy.deepcopy(PATTERN)
    made = successor_of(before, pattern)
    assert pattern == PATTERN, "the pattern is used for the next one too"
    body = made.body
    assert "Hostname" not in body
    assert body["Labels"] == {"com.docker.compose.container-number": "2", "com.docker.compose.config-hash": "new"}
    front = {"Aliases": ["shop-app-2", "app"], "IPAMConfig": {"IPv4Address": "10.1.1.1"}}
    assert body["NetworkingConfig"] == {"EndpointsConfig": {"shop_front": front}}
    assert made.networks == {"shop_back": {"Aliases": ["shop-app-2", "app"]}}
    assert body["HostConfig"]["Binds"] == [f"{'c' * 64}:/cache"]
    assert body["HostConfig"]["Mounts"] == [{"Type": "volume", "Target": "/data", "Source": "d" * 64}]
    assert (body["Image"], body["HostConfig"]["Memory"]) == ("app:2", 5)


def test_a_successor_made_from_another_description_bears_the_marks_of_the_project_s_own_files() -> None:
    files = {f"com.docker.compose.project.{name}": f"/srv/{name}" for name in ("config_files", "working_dir")}
    number = {"com.docker.compose.container-number": "1"}
    before = container(1, Config={"Labels": {**number, **files, "com.docker.compose.config-hash": "old"}})
    labels = successor_of(before, PATTERN, "own").body["Labels"]
    assert labels == {**number, "com.docker.compose.config-hash": "own", **files}


def test_what_compose_itself_puts_into_containers_and_a_fixed_name_keep_from_renewal_one_by_one() -> None:
    service = {"secrets": [{"source": "token"}, "file"], "configs": [{"source": "settings"}], "container_name": "one"}
    project = {
        "services": {"app": service, "plain": {}},
        "secrets": {"token": {"environment": "TOKEN"}, "file": {"file": "./x"}},
        "configs": {"settings": {"content": "a"}, "other": {"content": "b"}},
    }
    found = obstacles(project, "app", ["app-1"])
    assert [word for word in ("container_name", "configs settings", "secrets token") if not any(word in one for one in found)] == []
    assert not any("file" in one.split() or "other" in one for one in found)
    assert obstacles(project, "plain", ["app-1"]) == []
    assert "container_name" not in str(obstacles(project, "app", ["one"])), "the name is that of what is there"


def test_compose_is_given_the_project_without_the_fixed_name_of_the_one_replica(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described = {"name": "shop", "services": {"app": {"image": "x", "container_name": "one"}, "db": {"container_name": "db"}}}
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\ncase "$*" in *config*) echo \'{json.dumps(described)}\' ;; *) echo "$*"; cat ;; esac\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    project = Project(str(tmp_path), ("a.yml", "b.yml"), ".env.prod", service="app")
    text = check_renewable(project, [replace(container(1), name="one")])
    assert json.loads(text)["services"] == {"app": {"image": "x"}, "db": {"container_name": "db"}}
    words, _newline, read = call(project, "up", described=text).partition("\n")
    assert words == f"compose --file - --env-file .env.prod --project-directory {tmp_path} up"
    assert read == text
    assert check_renewable(replace(project, service="other"), [container(1)]) == ""
    with pytest.raises(BadInput, match="container_name is one, and there is shop-app-1"):
        check_renewable(project, [container(1)])


def test_links_on_the_way_to_a_socket_in_a_container_stay_in_its_file_system(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "run" / "haproxy").mkdir(parents=True)
    (root / "var").mkdir()
    (root / "var" / "run").symlink_to("/run")
    (root / "run" / "up").symlink_to("../../../../run/haproxy")
    (root / "run" / "round").symlink_to("round")
    for path in ("/run/haproxy/s", "/var/run/haproxy/s", "/run/up/s", "var/run/./up/../haproxy/s", "/../run/haproxy/s"):
        assert inside(str(root), path) == f"{root}/run/haproxy/s", path
    with pytest.raises(BadInput, match="circle"):
        inside(str(root), "/run/round/s")


SERVERS = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_check_state srv_fqdn srv_port
3 app 1 a 10.0.0.1 2 0 1 6 app 8000
3 app 2 b 10.0.0.2 0 8 1 6 - 8001
3 app 3 c - 0 32 1 14 app 8000
3 app 4 d 10.0.0.4 2 1 1 0 - 8000
"""


def test_haproxy_s_tables_are_read_and_nothing_else_is_taken_for_one() -> None:
    servers = {one.name: one for one in parse_servers(SERVERS)}
    assert [one.name for one in servers.values() if one.is_up] == ["a"]
    assert [one.name for one in servers.values() if one.is_dead] == ["b", "c", "d"]
    assert [one.name for one in servers.values() if one.is_held_back] == ["b", "d"]
    assert (servers["c"].address, servers["b"].is_named, servers["a"].is_named) == ("", False, True)
    stat = "# pxname,svname,qcur,qmax,scur,smax\napp,a,1,5,2,9\nother,a,7,7,7,7\napp,b,,,,\n"
    assert parse_sessions(stat, "app") == {"a": 3, "b": 0}
    for bad in ("", "Can't find backend.\n", "1\n# a b\n1 2\n", "Permission denied\n"):
        with pytest.raises(ValueError, match=r".+"):
            parse_servers(bad)
        with pytest.raises(ValueError, match=r".+"):
            parse_sessions(bad, "app")


@given(st.text(max_size=200))
def test_whatever_haproxy_says_is_read_or_refused(text: str) -> None:
    for read in (parse_servers, lambda said: parse_sessions(said, "app")):
        try:
            read(text)
        except ValueError:
            pass


def test_a_server_is_the_replica_s_by_its_address_or_by_its_published_port() -> None:
    reach = Reach(frozenset({"10.0.0.1"}), frozenset({8001}), frozenset({"127.0.0.1", "10.0.0.254"}))
    assert [reach.is_at(*one) for one in (("10.0.0.1", 80), ("127.0.0.1", 8001), ("127.0.0.1", 8002), ("10.0.0.2", 8001))] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"socket": "/run/x"}, "backend is missing"),
        ({"backend": "app"}, "either socket or address"),
        ({"backend": "app", "socket": "/a", "address": "b:1"}, "either socket or address"),
        ({"backend": "app", "address": "nowhere"}, "host:port"),
        ({"backend": "app", "address": ":9999"}, "host:port"),
        ({"backend": "app", "address": "x:99999"}, "host:port"),
        ({"backend": "app", "kind": "nginx", "socket": "/a"}, "it is no nginx"),
        ({"backend": "app", "socket": "/a", "colour": "red"}, "it has no colour"),
    ],
)
def test_a_proxy_that_is_described_badly_is_refused(options: dict[str, str], problem: str) -> None:
    with pytest.raises(BadInput) as caught:
        proxy_from(options, lambda _name: ("10.0.0.9", 1))
    assert problem in caught.value.message


def test_a_proxy_is_named_by_a_socket_a_port_or_a_container() -> None:
    found = [
        proxy_from(given, lambda _name: ("10.0.0.9", 4321))
        for given in (
            {},
            {"kind": "haproxy", "backend": None, "socket": None},
            {"backend": "app", "socket": "/run/a.sock"},
            {"backend": "app", "address": "[::1]:99"},
            {"backend": "app", "container": "proxy", "address": ":99"},
            {"backend": "app", "container": "proxy", "socket": "/run/a.sock"},
        )
    ]
    assert found[:2] == [None, None]
    runtimes = [str(t.cast(t.Any, one)._runtime) for one in found[2:]]
    assert runtimes == ["/run/a.sock", "::1:99", "10.0.0.9:99", "/proc/4321/root/run/a.sock"]


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_logs_are_read_in_frames_and_bare(lines: list[bytes]) -> None:
    framed = b"".join(b"\1\0\0\0" + len(line).to_bytes(4, "big") + line for line in lines)
    assert _frames(framed) == b"".join(lines)
    assert _frames(b"plain text of a terminal\n") == b"plain text of a terminal\n"
