# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a proxy is named and reached, and what HAProxy says."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.service.haproxy import parse_servers, parse_sessions
from ansible_collections.sre.runbooks.plugins.module_utils.service.proxies import inside, proxy_from
from ansible_collections.sre.runbooks.plugins.module_utils.service.proxy import Reach


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
