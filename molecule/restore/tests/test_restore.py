# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must hold in the container after `converge`; asked from outside, not by the playbooks themselves."""

from __future__ import annotations

import typing as t

testinfra_hosts = ["docker://sre-runbooks-molecule-database"]


def test_the_server_answers(host: t.Any) -> None:
    answer = host.run("runuser -u postgres -- psql -X -At -c 'SELECT 1'")
    assert answer.rc == 0, answer.stderr
    assert answer.stdout.strip() == "1"
