#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_replicas_remove
short_description: Remove replicas of a Docker Compose service without losing a request
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Takes the replicas with the highest numbers out of the proxy, and stops and removes each when its requests have ended, side by side, so that
    O(count_to_keep) are left. The servers of the proxy that led to them are ready for others then.
  - When none of those that would stay is well, nothing is removed.
  - What a run that was killed has left (a server that is drained, a container that is stopped or set aside) is put right first.
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.compose_service
  - sre.runbooks.service_rolling
  - sre.runbooks.state
attributes:
  check_mode:
    support: full
    details: Tells the plan as sentences.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  count_to_keep:
    description: How many replicas stay.
    type: int
    required: true
  health_timeout_s:
    description: Seconds within which those that stay must be well when others have gone.
    type: float
    default: 100.0
seealso:
  - module: sre.runbooks.service_rolling_restart
"""

EXAMPLES = r"""
- name: Scale down to two replicas
  sre.runbooks.service_replicas_remove:
    project_folder: /opt/rag7
    environment_file: .env.prod
    service: langgraph-api
    count_to_keep: 2
    proxy: {kind: haproxy, backend: api, container: rag7-proxy-1, socket: /run/haproxy/admin.sock}
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
removed:
  description: Names of the replicas that were removed, or would be.
  returned: success
  type: list
  elements: str
untouched:
  description: Names of the replicas that stay.
  returned: success
  type: list
  elements: str
before:
  description: What ran before, as M(sre.runbooks.service_info) tells it.
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
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.removal import OPTIONS, operate


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
