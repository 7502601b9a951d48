# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is decided about a service of Docker Compose, without an engine: limits, replicas that are brought back, the state that is read."""

from __future__ import annotations

import contextlib
import itertools
import time
import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, CommandFailed, DeadlineExceeded
from ansible_collections.sre.runbooks.plugins.module_utils.service import info
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose import limits_plan as limits
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose import (
    rehearsal as compose_rehearsal,
)
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose import (
    replicas_plan as compose_replicas,
)
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.project import Project, replicas_listed
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.state import as_left, replica_of, state_of, whole_state_of
from ansible_collections.sre.runbooks.plugins.module_utils.service.journal import Journal
from ansible_collections.sre.runbooks.plugins.module_utils.service.state import RUNNING, Replica, State

MIB, BILLION = 1 << 20, limits.BILLION
sizes = st.integers(limits.SMALLEST_BYTES, 1 << 50)
known = st.one_of(sizes, st.just(limits.UNLIMITED))


def host(**config: int) -> dict[str, t.Any]:
    return {"HostConfig": config}


def test_sizes_are_read_as_docker_writes_them_and_nothing_else_is() -> None:
    assert [limits.limit_bytes(text, "memory") for text in ("512m", "2g", "1.5G", "2147483648", "64 MiB", "-1", "none")] == [
        512 * MIB,
        2048 * MIB,
        1536 * MIB,
        2048 * MIB,
        64 * MIB,
        limits.UNLIMITED,
        limits.UNLIMITED,
    ]
    for text in ("", "2x", "g", "None", "null", "-2", "1e9", "4m", "0", "2g; rm"):
        with pytest.raises(BadInput):
            limits.limit_bytes(text, "memory")


@given(sizes)
def test_a_size_that_is_shown_is_read_back_the_same(number: int) -> None:
    assert limits.limit_bytes(limits.shown_size(number), "memory") == number


@given(st.text(max_size=20))
def test_any_other_text_is_a_clear_mistake(text: str) -> None:
    with contextlib.suppress(BadInput):
        assert limits.SMALLEST_BYTES <= limits.limit_bytes(text, "memory") <= limits.UNLIMITED


@given(known, known, st.one_of(st.none(), sizes), st.one_of(st.none(), sizes))
def test_memory_is_never_set_above_memory_with_swap(memory: int, swap: int, wanted: int | None, wanted_swap: int | None) -> None:
    before = limits.Limits(min(memory, swap), max(memory, swap))
    asked = limits.Wanted(wanted, wanted_swap)
    needed, allowed = wanted or before.memory, wanted_swap or before.memory_swap
    if needed > allowed:
        with pytest.raises(BadInput, match="name memory_swap too"):
            limits.target("app-1", before, asked)
        return
    after = limits.target("app-1", before, asked)
    assert after.memory <= after.memory_swap
    assert limits.target("app-1", after, asked) == after, "a second run changes nothing"
    words = [word.split("=")[0] for word in limits.update_words(after, before, 2)]
    assert words == ([] if after == before else ["--memory", "--memory-swap"]), "the engine refuses one without the other"


def test_only_limits_that_change_are_given_and_processors_as_the_container_has_them() -> None:
    free, quota = limits.present(host()), limits.present(host(CpuQuota=50_000, CpuPeriod=200_000))
    asked = limits.Wanted(nano_cpus=1_500_000_000)
    assert limits.update_words(limits.target("a", free, asked), free, 2) == ["--cpus=1.5"]
    assert limits.update_words(free, limits.target("a", free, asked), 2) == ["--cpus=2"], "all of the host are no limit"
    assert limits.update_words(limits.target("a", quota, asked), quota, 2) == ["--cpu-quota=300000"]
    assert limits.update_words(quota, limits.target("a", quota, asked), 2) == ["--cpu-quota=50000"]
    assert limits.update_words(limits.target("a", free, limits.Wanted(memory=64 * MIB)), free, 2)[0] == f"--memory={64 * MIB}"


def test_taking_limits_away_gives_memory_without_end_and_all_processors_once() -> None:
    asked = limits.wanted_of("none", "", "none", 2)
    of_numbers, of_quotas = host(Memory=64 * MIB, MemorySwap=64 * MIB, NanoCpus=BILLION // 2), host(CpuQuota=50_000, CpuPeriod=200_000)
    before = limits.present(of_numbers, 2)
    after = limits.target("a", before, asked)
    assert limits.update_words(after, before, 2) == [f"--memory={1 << 62}", f"--memory-swap={limits.UNLIMITED}", "--cpus=2"]
    assert limits.sentence("a", before, after) == "a: memory 64m -> no limit, memory with swap 64m -> no limit, processors 0.5 -> all"
    assert (after.shown(), limits.compose_lines("app", after)) == ({"memory_bytes": None, "memory_swap_bytes": None, "cpus": None}, [])
    assert limits.update_words(before, after, 2) == [f"--memory={64 * MIB}", f"--memory-swap={64 * MIB}", "--cpus=0.5"], "the way back"
    told = limits.present(host(Memory=limits.UNLIMITED, MemorySwap=-1, NanoCpus=2 * BILLION), 2)
    assert limits.target("a", told, asked) == told == after, "a second run changes nothing"
    quota = limits.present(of_quotas, 2)
    away = limits.target("a", quota, limits.Wanted(nano_cpus=0))
    assert limits.update_words(away, quota, 2) == ["--cpu-quota=-1"]
    told = limits.present(host(CpuQuota=-1, CpuPeriod=200_000), 2)
    assert (told, limits.update_words(quota, told, 2)) == (away, ["--cpu-quota=50000"]), "the engine takes no --cpus where a period is set"


def test_limits_that_make_no_sense_are_refused_before_anything_is_asked() -> None:
    for memory, swap, cpus, part in (
        ("none", "1g", None, "less than memory"),
        ("", "", "many", "or none for no limit"),
        ("", "", float("nan"), "which this host has"),
        ("", "", None, "No limit is named"),
        ("2g", "1g", None, "less than memory"),
        ("", "", 3.0, "which this host has"),
        ("", "", 0.0, "which this host has"),
    ):
        with pytest.raises(BadInput, match=part):
            limits.wanted_of(memory, swap, cpus, 2)
    with pytest.raises(BadInput, match="More memory is used now"):
        limits.check_use("app-1", limits.Limits(64 * MIB), 65 * MIB)


def test_limits_are_read_from_every_form_that_the_engine_has() -> None:
    assert limits.present(host()) == limits.Limits()
    assert limits.present(host(Memory=limits.UNLIMITED, MemorySwap=-1)) == limits.Limits()
    told = limits.present(host(Memory=64 * MIB, MemorySwap=128 * MIB, CpuQuota=50_000, CpuPeriod=100_000))
    assert told.shown() == {"memory_bytes": 64 * MIB, "memory_swap_bytes": 128 * MIB, "cpus": 0.5}
    assert limits.compose_lines("app", told)[-3:] == ["        limits:", "          memory: 64m", '          cpus: "0.5"']
    assert limits.sentence("app-1", limits.Limits(), told) == (
        "app-1: memory no limit -> 64m, memory with swap no limit -> 128m, processors all -> 0.5"
    )


def replicas(states: t.Mapping[str, str]) -> State:
    return State(None, tuple(Replica(name, state) for name, state in states.items()))


@given(
    st.dictionaries(st.sampled_from("abcde"), st.sampled_from([RUNNING, "exited"]), min_size=1),
    st.dictionaries(st.sampled_from("abcdefg"), st.sampled_from([RUNNING, "exited", "created", "paused", "restarting", "dead"])),
)
def test_what_is_brought_back_is_as_many_running_and_as_many_stopped_as_before(before: dict[str, str], now: dict[str, str]) -> None:
    listed = [{"name": name, "state": state} for name, state in before.items()]
    plan = compose_replicas.plan(listed, replicas(now))
    after = {name: state for name, state in now.items() if name not in plan.remove}
    after.update(dict.fromkeys([*plan.start, *plan.unpause], RUNNING))
    after.update({name: before[name] for name in plan.gone})
    after.update(dict.fromkeys(plan.stop, "exited"))
    alive = sorted(state in (RUNNING, "restarting") for state in after.values())
    assert alive == sorted(state == RUNNING for state in before.values())
    again = compose_replicas.plan([{"name": name, "state": state} for name, state in after.items()], replicas(after))
    assert not any(again._replace(start=[], stop=[])), "nothing is made or removed a second time"


def row(number: int, project: str = "p", folder: str = "/srv/p", oneoff: str = "False") -> str:
    return "\t".join([f"id{number}", project, folder, oneoff, "app", str(number)])


def test_containers_are_found_by_their_labels_in_the_order_of_their_numbers() -> None:
    text = "\n".join([row(10), row(2), row(3, oneoff="True"), row(4, folder="/srv/other"), "broken line"])
    assert replicas_listed(text, Project("/srv/p")) == ["id2", "id10"]
    assert replicas_listed(text, Project("/srv/p", name="p")) == ["id2", "id4", "id10"], "a name outweighs the folder"
    with pytest.raises(BadInput, match="Two Compose projects"):
        replicas_listed("\n".join([row(1), row(2, project="q")]), Project("/srv/p"))


def container(status: str = "running", health: str = "", **state: t.Any) -> dict[str, t.Any]:
    told = {"Status": status, "StartedAt": "2026-11-22T05:23:01.5Z", **state, **({"Health": {"Status": health}} if health else {})}
    return {"Name": "/p-app-1", "State": told, "Config": {"Image": "app:1"}, "HostConfig": {"NanoCpus": 1_500_000_000}}


def test_a_replica_says_in_the_engines_words_why_it_is_not_well() -> None:
    well = replica_of(container(health="healthy"))
    assert (well.name, well.is_well, well.started_at, well.limits["cpus"]) == ("p-app-1", True, "2026-11-22T05:23:01Z", 1.5)
    unlimited = {**container(), "HostConfig": {"Memory": limits.UNLIMITED, "CpuQuota": 50_000}}
    assert replica_of(unlimited).limits == {"memory_bytes": None, "cpus": 0.5}
    killed = replica_of(container("exited", OOMKilled=True, ExitCode=137))
    assert (killed.exit_status, killed.started_at, "more memory than its limit" in killed.reason) == (137, "", True)
    ill = container(health="unhealthy")
    ill["State"]["Health"]["Log"] = [{"ExitCode": 1, "Output": "refused\npassword=hunter2"}]
    assert replica_of(ill).reason == "refused password=********"


@given(st.sampled_from(["running", "exited", "paused", ""]), st.text(max_size=30), st.integers(0, 1 << 40))
def test_what_an_engine_leaves_out_stays_empty(status: str, error: str, memory: int) -> None:
    for told in ({}, {"State": None}, container(status, Error=error), {"State": {"Status": status}, "HostConfig": {"Memory": memory}}):
        state = state_of([told])
        assert (state.running, len(state.replicas)) == (int(state.replicas[0].state == RUNNING), 1)
        assert state.as_dict()["conclusion"]


def test_waiting_ends_early_when_it_cannot_help_and_late_when_it_might() -> None:
    with pytest.raises(CommandFailed, match="does not become healthy"):
        info.wait_until_well(lambda: replicas({"a": RUNNING, "b": "exited"}), 30)
    with pytest.raises(CommandFailed, match="Nothing of it runs"):
        info.wait_until_well(lambda: State(None), 30)
    with pytest.raises(DeadlineExceeded, match=r"within 0.4 s"):
        info.wait_until_well(lambda: State(1, (Replica("a", RUNNING, "starting"),)), 0.4)
    answers: t.Iterator[State | Exception] = iter(
        [CommandFailed("the engine does not answer"), replicas({"a": "restarting"}), State(None, (Replica("a", RUNNING, "healthy"),))]
    )

    def read() -> State:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert info.wait_until_well(read, 30).is_well


def told_in_turn(*states: State) -> t.Callable[[], State]:
    """Each state once, the last one ever after."""
    left = list(states)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def test_what_has_no_health_check_must_go_on_running_and_a_health_check_that_fails_from_the_start_is_not_waited_for() -> None:
    def one(started_at: str, restarts: int = 0, health: str = "") -> State:
        return State(1, (Replica("a", RUNNING, health, started_at=started_at, restarts=restarts),))

    with pytest.raises(CommandFailed, match="a is exited"):
        info.wait_until_well(told_in_turn(one("1"), replicas({"a": "exited"})), 30)
    began = time.monotonic()
    assert info.wait_until_well(told_in_turn(one("1"), one("1", 1)), 2).replicas[0].restarts == 1
    assert time.monotonic() - began >= info.SETTLE_S
    counts = itertools.count()
    with pytest.raises(DeadlineExceeded, match="but not for 1 s"):
        info.wait_until_well(lambda: one("1", next(counts)), 0.1)
    began = time.monotonic()
    assert info.wait_until_well(lambda: one("1", health="healthy"), 30).is_well
    assert time.monotonic() - began < info.SETTLE_S / 2, "a health check is enough"
    with pytest.raises(CommandFailed, match="a is unhealthy"):
        info.wait_until_well(told_in_turn(one("1", health="starting"), one("1", health="unhealthy")), 30)
    ill = (one("1", health=health) for health in ("unhealthy", "unhealthy", "unhealthy", "healthy"))
    assert info.wait_until_well(lambda: next(ill), 30).is_well, "who was ill before the waiting may get well"


def test_of_a_whole_project_what_has_done_its_work_is_not_waited_for_and_of_one_service_it_is() -> None:
    done, served = container("exited", ExitCode=0), container(health="healthy")
    again = {**done, "HostConfig": {"RestartPolicy": {"Name": "always"}}}
    whole = whole_state_of([done, served])
    assert (whole.is_well, info.is_hopeless(whole), whole.conclusion) == (True, False, "1 of 1 replicas runs and is healthy")
    for state in (state_of([done, served]), whole_state_of([again, served]), whole_state_of([container("exited", ExitCode=1), served])):
        assert (state.is_well, info.is_hopeless(state)) == (False, True)
    assert not whole_state_of([done]).is_well, "something must run"


def test_what_a_killed_run_has_left_beside_the_replicas_is_none_of_them(tmp_path: Path) -> None:
    def one(name: str, status: str = "running", **state: t.Any) -> dict[str, t.Any]:
        labels = {"com.docker.compose.project": "p", "com.docker.compose.service": "app"}
        return {**container(status, **state), "Id": name, "Name": f"/{name}", "Config": {"Labels": labels}}

    def names(*there: dict[str, t.Any]) -> list[tuple[str, bool]]:
        return [(replica.name, replica.is_running) for replica in state_of(as_left(there, str(tmp_path))).replicas]

    former, pattern = one("p-app-1.former", "exited"), one("p-app-3", "created", StartedAt="0001-01-01T00:00:00Z")
    assert names(former, one("p-app-1"), one("p-app-2")) == [("p-app-1", True), ("p-app-2", True)], "the new one is well"
    assert names(former, one("p-app-1", "created"), one("p-app-2")) == [("p-app-1", False), ("p-app-2", True)], "the former one comes back"
    assert len(names(one("p-app-1"), pattern)) == 2, "it may be somebody's own"
    journal = Journal.of(str(tmp_path), "p", "app")
    with journal.held():
        journal.note(pattern_beside=["p-app-1"])
    assert names(one("p-app-1"), pattern) == [("p-app-1", True)]


def test_one_that_writes_to_a_volume_is_tried_only_where_several_do_so_already() -> None:
    data = {"volumes": [{"type": "volume", "source": "data", "target": "/var/lib"}]}
    read_only = {"volumes": [{"type": "bind", "source": "/srv", "read_only": True}]}

    def why(service: dict[str, t.Any], count: int, **more: bool) -> str:
        return compose_rehearsal.why_not(service, [{}] * count, ["a"], only_when_outdated=more.get("only", False))

    assert "must be the only one" in why(data, 1)
    assert (why(data, 2), why(read_only, 1), why({}, 0)) == ("", "", "")
    assert "its ports are taken" in why({"network_mode": "host"}, 2)
    assert "already" in compose_rehearsal.why_not({}, [{}], [], only_when_outdated=True)
    for networks, part in (({"front": {"ipv4_address": "10.1.1.1"}}, "10.1.1.1"), ({"front": None}, ""), (["front"], "")):
        assert part in why({"networks": networks}, 2)
        assert bool(why({"networks": networks}, 2)) == bool(part)
