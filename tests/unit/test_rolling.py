# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rolling action decides, and what it does step by step with a scripted engine and a scripted proxy."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.containers import Container
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.removal import remove_all
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.rolling_model import Unwell
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.rolling_plan import (
    Wanted,
    make_plan,
    make_removal,
)
from ansible_collections.sre.runbooks.plugins.module_utils.service.journal import Journal
from ansible_collections.sre.runbooks.tests.unit.rolling_fakes import FakeEngine, FakeProxy, container, inspected
from ansible_collections.sre.runbooks.tests.unit.rolling_turns import PatternHeld, turns, without_pauses

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


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    without_pauses(monkeypatch)


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
