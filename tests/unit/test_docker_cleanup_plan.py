# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container engine can do without is decided from what was found, without an engine."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.docker_model import (
    CacheEntry,
    Container,
    Facts,
    Image,
    Item,
    Network,
    Plan,
    Wishes,
    bytes_of,
    moment,
    repository_of,
)
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.docker_plan import fits, plan

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def image(number: int, *tags: str, hours: float = 1000, **more: t.Any) -> Image:
    return Image(f"sha256:{number:064x}", tags, created=ago(hours), **{"arrived": ago(hours), **more})


def names(items: t.Sequence[Item]) -> list[str]:
    return [item.name for item in items]


def reasons(decided: Plan) -> dict[str, str]:
    return {item.name: item.reason for item in decided.kept}


OLD, YOUNG = image(1, "app:1"), image(2, "app:2", hours=100)


def test_an_old_image_without_containers_goes_and_a_young_one_stays() -> None:
    decided = plan(Facts(NOW, [OLD, YOUNG]), Wishes())
    assert names(decided.remove) == ["app:1"]
    assert reasons(decided) == {"app:2": "it was built 4 days 4 h ago, and the limit is 168 h"}


@pytest.mark.parametrize("running", [True, False])
def test_an_image_of_a_container_stays_whether_that_runs_or_not(running: bool) -> None:
    decided = plan(Facts(NOW, [OLD], [Container("c", "web", OLD.id, running=running)]), Wishes())
    assert not decided.remove
    assert "the container web uses it" in reasons(decided)["app:1"]


@pytest.mark.parametrize("named", ["app:latest", "app", "docker.io/library/app", "app:latest@sha256:0"])
def test_the_image_from_which_a_container_would_be_made_again_stays(named: str) -> None:
    newer = replace(OLD, tags=("app:latest",), digests=("app:latest@sha256:0",))
    decided = plan(Facts(NOW, [newer], [Container("c", "web", "sha256:another", named)]), Wishes())
    assert not decided.remove
    assert "was made by this name" in next(iter(reasons(decided).values()))


def test_a_container_that_goes_gives_its_image_and_network_free_in_the_same_run() -> None:
    ended = Container("c", "job", OLD.id, running=False, since=ago(300), networks=frozenset({"n"}))
    network = Network("n", "job_net", ago(300), project="jobs")
    wishes = Wishes(containers_older_than_h=168, networks_older_than_h=24)
    assert names(plan(Facts(NOW, [OLD], [ended], [network]), wishes).remove) == ["job", "app:1", "job_net"]
    still = replace(ended, since=ago(100))
    assert not plan(Facts(NOW, [OLD], [still], [network]), wishes).remove


def test_what_has_just_come_to_the_host_stays_though_it_was_built_long_ago() -> None:
    pulled = replace(OLD, arrived=ago(0.5))
    assert "it came to this host 30 min ago" in reasons(plan(Facts(NOW, [pulled]), Wishes()))["app:1"]
    assert names(plan(Facts(NOW, [pulled]), Wishes(image_arrived_h=0.25)).remove) == ["app:1"]
    unseen = replace(OLD, arrived=None)
    assert "cannot be told" in reasons(plan(Facts(NOW, [unseen]), Wishes()))["app:1"]
    assert names(plan(Facts(NOW, [unseen]), Wishes(image_arrived_h=0)).remove) == ["app:1"]


def test_an_image_of_unknown_age_stays() -> None:
    assert "cannot be told" in reasons(plan(Facts(NOW, [replace(OLD, created=None)]), Wishes()))["app:1"]


def test_only_untagged_images_go_where_only_those_are_wanted() -> None:
    nameless = Image("sha256:ab", digests=("app@sha256:cd",), created=ago(1000), arrived=ago(1000))
    assert names(plan(Facts(NOW, [OLD, nameless]), Wishes("untagged")).remove) == ["app@sha256:cd"]
    assert not plan(Facts(NOW, [OLD, nameless]), Wishes("none")).remove


@pytest.mark.parametrize("pattern", ["app:1", "app", "ap?:*", "docker.io/library/app:1", OLD.id, OLD.id[7:], OLD.id[:25], "sha256:77"])
def test_an_image_is_kept_by_name_repository_digest_or_the_beginning_of_its_id(pattern: str) -> None:
    known = replace(OLD, digests=("app@sha256:77",))
    assert pattern in reasons(plan(Facts(NOW, [known]), Wishes(keep=[pattern])))["app:1"]
    assert not fits(["other:1"], [pattern])


def test_the_newest_of_each_repository_stay_where_that_is_wanted() -> None:
    images = [image(n, f"host:5000/app:{n}", hours=1000 - n) for n in range(5)] + [image(9, "db:1")]
    assert names(plan(Facts(NOW, images), Wishes(keep_newest=2)).remove) == [f"host:5000/app:{n}" for n in range(3)]


def test_an_image_on_which_a_staying_one_is_built_stays_and_children_go_first() -> None:
    base, step, child = image(1, "base:1"), image(2, parent=OLD.id), image(3, "child:1", parent=f"sha256:{2:064x}")
    assert names(plan(Facts(NOW, [base, step, child]), Wishes()).remove) == ["child:1", "base:1"], "the step has no name of its own"
    decided = plan(Facts(NOW, [base, step, replace(child, created=ago(1))]), Wishes())
    assert not decided.remove
    assert "child:1, which stays, is built on it" in reasons(decided)["base:1"]


def test_networks_with_containers_of_projects_with_containers_and_predefined_ones_stay() -> None:
    member = Container("c", "web", networks=frozenset({"id1"}), running=False, project="shop")
    networks = [
        Network("id1", "one", ago(900)),
        Network("id2", "shop_default", ago(900), project="shop"),
        Network("id3", "three", ago(900), endpoints=1),
        Network("id4", "bridge", ago(900), predefined=True),
        Network("id5", "young", ago(2), project="gone"),
        Network("id6", "old", ago(900), project="gone"),
        Network("id7", "by_hand", ago(900)),
    ]
    decided = plan(Facts(NOW, containers=[member], networks=networks), Wishes(networks_older_than_h=24, only=["one", "shop*", "three"]))
    assert not decided.remove
    assert set(reasons(decided)) == {"one", "shop_default", "three"}
    decided = plan(Facts(NOW, containers=[member], networks=networks), Wishes(networks_older_than_h=24, only=["by_*"]))
    assert names(decided.remove) == ["by_hand"]
    decided = plan(Facts(NOW, containers=[member], networks=networks), Wishes(networks_older_than_h=24))
    assert names(decided.remove) == ["old"]
    assert set(reasons(decided)) == {"shop_default", "young"}
    assert not plan(Facts(NOW, networks=networks), Wishes()).remove, "networks are left alone unless asked for"


def test_build_cache_goes_by_its_last_use_and_never_where_only_some_names_are_looked_at() -> None:
    cache = [CacheEntry("a", last_used=ago(500)), CacheEntry("b", last_used=ago(5)), CacheEntry("c", in_use=True, last_used=ago(500))]
    assert names(plan(Facts(NOW, cache=cache), Wishes(cache_older_than_h=168)).remove) == ["a"]
    assert not plan(Facts(NOW, cache=cache), Wishes(cache_older_than_h=168, only=["*"])).remove


HOURS = st.none() | st.sampled_from([0.1, 10.0, 200.0, 900.0])
WHEN = HOURS.map(lambda hours: None if hours is None else ago(hours))
IDS = st.integers(0, 5).map(lambda number: f"sha256:{number:064x}")
TAGS = st.lists(st.sampled_from(["app:1", "app:2", "db:1", "keep:1", "else:1"]), max_size=2, unique=True).map(tuple)
IMAGES = st.lists(
    st.builds(Image, IDS, TAGS, created=WHEN, arrived=WHEN, parent=st.just("") | IDS), max_size=6, unique_by=lambda one: one.id
)
CONTAINERS = st.lists(
    st.builds(Container, st.uuids().map(str), st.sampled_from("abc"), IDS, st.sampled_from(["app:1", "db"]), st.booleans(), WHEN),
    max_size=3,
)


@given(IMAGES, CONTAINERS, st.integers(0, 2), st.sampled_from([-1.0, 100.0]), st.sampled_from(["all", "untagged", "none"]))
def test_whatever_there_is_nothing_goes_that_is_young_used_named_to_be_kept_or_needed_by_what_stays(
    images: list[Image], containers: list[Container], newest: int, ended_h: float, which: str
) -> None:
    wishes = Wishes(which, keep_newest=newest, containers_older_than_h=ended_h, keep=["keep:*"], only=["app*", "keep*", "sha256:*", "a"])
    decided = plan(Facts(NOW, images, containers), wishes)
    gone = {item.id for item in decided.remove}
    assert not gone & {item.id for item in decided.kept}
    assert len(decided.remove) == len(gone)
    staying = [one for one in containers if one.id not in gone]
    assert all(not one.running and one.name == "a" for one in containers if one.id in gone)
    removed = [one for one in images if one.id in gone]
    for one in removed:
        assert (one.created or NOW) <= ago(168)
        assert (one.arrived or NOW) <= ago(1)
        assert one.id not in {container.image for container in staying}
        assert not any(tag.startswith("keep") for tag in one.tags)
        assert which == "all" or not one.tags
    for one in images:
        if one.id not in gone and (one.tags or one.id not in {other.parent for other in images}):
            assert not any(above.id == one.parent and above.id != one.id for above in removed), "a staying image is built on it"
    # Where the engine has done it, there is nothing left to do. Nameless images go with those that were built on them.
    steps = {one.parent for one in removed}
    left = [one for one in images if one.id not in gone and (one.tags or one.id not in steps)]
    assert not plan(Facts(NOW, left, staying), wishes).remove


def test_sizes_and_times_of_the_client_are_understood() -> None:
    assert [bytes_of(one) for one in ("480.1MB", "20.5kB", "0B", "27B", "1.5GB (10%)", "", None, "1KiB")] == [
        480_100_000,
        20_500,
        0,
        27,
        1_500_000_000,
        0,
        0,
        1024,
    ]
    at = datetime(2026, 11, 22, 5, 9, 24, 382998, tzinfo=UTC)
    texts = ("2026-11-22 05:09:24.382998842 +0000 UTC", "2026-11-22T05:09:24.382998842Z", "2026-11-22T07:09:24.382998+02:00")
    assert [moment(text) for text in texts] == [at] * 3
    assert [moment(text) for text in ("0001-01-01T00:00:00Z", "", None, "2026-13-01T00:00:00Z")] == [None] * 4
    assert [repository_of(one) for one in ("a:1", "h:5/a", "h:5/a:1", "a@sha256:1")] == ["a", "h:5/a", "h:5/a", "a"]


@given(st.text(max_size=40))
def test_no_text_makes_reading_sizes_times_or_patterns_fail(text: str) -> None:
    bytes_of(text)
    moment(text)
    fits([text], [text, "[", "*"])
