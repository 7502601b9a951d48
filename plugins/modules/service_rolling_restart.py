#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_rolling_restart
short_description: Restart the replicas of a Docker Compose service, or make them anew, one after the other
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Takes one replica out of the proxy, waits until its requests have ended, restarts it or makes it anew, waits until it is well and
    until the proxy sends it requests again, and only then goes on to the next. Replicas that are not well come first, since nobody is
    served by them.
  - The first replica that does not become well stops it; the rest is left alone and serves. A replica that was made anew is then replaced
    by the container that it had replaced, which is kept until then.
  - A new container is made from the present compose file and environment, with the number and name of the one before it. What is wrong with
    the file shows before anything is touched.
  - What a run that was killed has left (a server that is drained, a container that is stopped or set aside) is put right first.
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.compose_service
  - sre.runbooks.service_rolling
  - sre.runbooks.files_read
  - sre.runbooks.state
attributes:
  check_mode:
    support: full
    details: Tells the plan as sentences.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details: With O(way=recreate) and without O(force) replicas that are well and as the compose file says are left alone. A restart is always one.
options:
  way:
    description:
      - Restart the containers that there are, or make new ones from the present compose file and environment. One that is as these say, and only has
        former O(files), is restarted then, too.
    type: str
    choices: [restart, recreate]
    default: restart
  only:
    description: Names of the replicas that are meant. By default all.
    type: list
    elements: str
    default: []
  force:
    description: With O(way=recreate), whether replicas are made anew that are as the compose file says.
    type: bool
    default: false
  health_timeout_s:
    description: Seconds that a replica has from its start until it is well, and then again until the proxy sends it requests.
    type: float
    default: 100.0
  settle_s:
    description: Seconds that a replica without a health check must run without ending, to count as well.
    type: float
    default: 5.0
seealso:
  - module: sre.runbooks.service_replicas_remove
"""

EXAMPLES = r"""
- name: Restart the replicas one after the other, without losing a request
  sre.runbooks.service_rolling_restart:
    project_folder: /opt/rag7
    compose_files: [docker-compose.prod.yml]
    environment_file: .env.prod
    service: langgraph-api
    proxy: {kind: haproxy, backend: api, socket: /run/haproxy/admin.sock}

- name: Make new containers from the changed environment file
  sre.runbooks.service_rolling_restart:
    project_folder: /opt/rag7
    environment_file: .env.prod
    service: langgraph-api
    way: recreate
    proxy: {kind: haproxy, backend: api, address: "10.0.0.5:9999"}
"""

RETURN = r"""
steps:
  description: What was done, or would be, in sentences.
  returned: success
  type: list
  elements: str
notes:
  description: What the reader should know.
  returned: success
  type: list
  elements: str
conclusion:
  description: The outcome in one sentence.
  returned: success
  type: str
renewed:
  description: Names of the replicas that were renewed, or would be, in their order.
  returned: success
  type: list
  elements: str
untouched:
  description: Names of the replicas that were left alone.
  returned: success
  type: list
  elements: str
before:
  description: What ran before, as M(sre.runbooks.service_info) tells it.
  returned: success
  type: dict
repaired:
  description:
    - What there was when that had been put right which a killed run had left, or would be; what a failed restart goes back to.
      In an error it is C(error.repaired).
  returned: success
  type: dict
state:
  description: What runs now, as M(sre.runbooks.service_info) tells it.
  returned: success
  type: dict
diff:
  description: The steps.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.rolling import OPTIONS, operate


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
