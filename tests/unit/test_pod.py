# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kubectl exec: a broken connection never passes for a program's good end, and what failed is told apart."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.command import Command, Place, run
from ansible_collections.sre.runbooks.plugins.module_utils.errors import CommandFailed, RunbookError, Unreachable
from ansible_collections.sre.runbooks.plugins.module_utils.pipeline import Pipeline
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.connection import Connection
from ansible_collections.sre.runbooks.tests.unit.checks_servers import outcome

POD = Place(pod="db-0", namespace="prod")
# As kubectl 1.20 and 1.32 end, seen with a real cluster; BREAKS stands for a connection that is lost after the first line.
STAND_IN = """#!/bin/sh
while [ "$1" != -- ]; do
    if [ "$1" = no-such-pod ]; then echo 'Error from server (NotFound): pods "no-such-pod" not found' >&2; exit 1; fi
    shift
done
shift
echo 'Defaulted container "postgresql" out of: postgresql, exporter' >&2
if [ -n "$BREAKS" ]; then echo the first half; exit 0; fi
"$@"
status=$?
[ $status = 0 ] || echo "command terminated with exit code $status" >&2
exit $status
"""


@pytest.fixture(autouse=True)
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in that runs the program here."""
    (tmp_path / "kubectl").write_text(STAND_IN)
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


def test_a_program_that_ends_well_in_a_pod_has_ended_well() -> None:
    done = run(Command(["cat"], place=POD), stdin="é; $HOME 'x'")
    assert (done.stdout, done.status) == ("é; $HOME 'x'", 0)
    assert run(Command(["printenv", "A"], place=POD, environment={"A": "x y"})).stdout == "x y\n"
    with Pipeline(Command(["echo", "whole"], place=POD), Command(["cat"])) as pipeline:
        assert pipeline.stdout.read() == b"whole\n"


def test_a_connection_that_breaks_is_no_good_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BREAKS", "1")
    command = Command(["pg_dump"], place=POD)
    with pytest.raises(Unreachable, match="connection to the pod broke before pg_dump had ended") as found:
        run(command)
    assert "pod prod/db-0" in found.value.message and "Next: check" in found.value.message
    assert run(command, check=False).status != 0
    with pytest.raises(Unreachable, match="broke"), Pipeline(command, Command(["cat"]), stdout=subprocess.DEVNULL):
        pass
    with pytest.raises(Unreachable, match="broke before psql"):
        Connection(place=POD).ask("SELECT 1")


def test_the_program_s_own_failure_is_told_in_its_own_words() -> None:
    with pytest.raises(CommandFailed) as found:
        run(Command(["sh", "-c", "echo 'relation is missing' >&2; exit 3"], place=POD))
    assert (found.value.why, found.value.facts["exit_status"]) == ("relation is missing", 3)
    with pytest.raises(CommandFailed, match="exit status 3"):
        run(Command(["sh", "-c", "exit 3"], place=POD))
    with pytest.raises(CommandFailed, match=r"no-such-program.* Next: check that no-such-program is installed there"):
        run(Command(["no-such-program"], place=POD, environment={"A": "1"}))


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("error: unable to upgrade connection: container not found", "fail"),
        ("Error from server: error dialing backend: dial tcp 10.0.0.7:10250: connect: connection refused", "unknown"),
        ('Error from server (NotFound): pods "db-0" not found', "fail"),
    ],
)
def test_a_fault_on_the_way_to_the_pod_is_unknown_and_a_missing_pod_or_container_fails(said: str, verdict: str, tmp_path: Path) -> None:
    (tmp_path / "kubectl").write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    found = outcome(type="postgresql", pod="db-0", retries=0)
    assert found.verdict == verdict
    assert said[:30] in found.reason


def test_kubectl_s_failure_is_not_the_program_s() -> None:
    nowhere = Place(pod="no-such-pod")
    with pytest.raises(RunbookError) as found:
        Connection(place=nowhere).ask("SELECT 1")
    assert found.value.message == (
        'psql could not be run in the pod (pod no-such-pod): Error from server (NotFound): pods "no-such-pod" not found. '
        "Next: check pod, pod_namespace, pod_container and kube_context in the inventory, and that kubectl reaches the cluster."
    )
