#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: clear the caches of a service."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cache_clear
short_description: Clear the caches of a service, and see that it had an effect
version_added: "0.1.0"
description:
  - Clears caches by the service's own interface, or by a command, and compares what the service says of them before and after.
  - All caches are tried; the module fails when one could not be cleared, or does not become what its conditions say.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
attributes:
  check_mode:
    support: full
    details: Asks for the figures of every cache, and clears none.
  diff_mode:
    support: full
  idempotent:
    support: none
    details: Each run clears the caches anew.
options:
  endpoints:
    description: The caches of the service (C(cache_endpoints) of a profile).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What to call it.
        type: str
        required: true
      url:
        description: Address that clears it. Excludes O(endpoints[].command).
        type: str
      method:
        description: Method of that request.
        type: str
        default: DELETE
      body:
        description: What to send with it, as JSON.
        type: raw
      status:
        description: Statuses that say that it was cleared.
        type: list
        elements: int
        default: [200, 202, 204]
      command:
        description: Argument list that clears it, for caches without an address.
        type: list
        elements: str
      stats_url:
        description: Address of its figures, a JSON document.
        type: str
      conditions:
        description:
          - JMESPath expressions that must be true afterwards, of a document with the figures C(before) and C(after), for example
            C(after.keys < before.keys || after.keys == `0`).
        type: list
        elements: raw
        default: []
      observe:
        description: Names and JMESPath expressions of what shall be shown of the same document.
        type: dict
        default: {}
      settle_s:
        description: Seconds until the conditions must be true.
        type: float
        default: 5.0
      user:
        description: User for basic authentication.
        type: str
      password:
        description: Password for basic authentication.
        type: str
      token:
        description: Bearer token.
        type: str
      ca_file:
        description: Certificates that the server's certificate must lead to.
        type: path
      verify_tls:
        description: Whether the server's certificate is looked at.
        type: bool
        default: true
      timeout_s:
        description: Seconds for each request, or for the command.
        type: float
        default: 10.0
  names:
    description: Which of them to clear. By default all.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Clear the cache of answers
  sre.runbooks.cache_clear:
    endpoints:
      - name: answers
        url: http://127.0.0.1:8000/cache/clear
        stats_url: http://127.0.0.1:8000/cache/stats
        conditions: ["after.keys == `0`"]
        observe: {hit_ratio: after.hit_ratio}
"""

RETURN = r"""
caches:
  description: For each C(name), whether it was C(cleared), its figures C(before) and C(after), what was C(observed), and C(findings).
  returned: always
  type: list
  elements: dict
plan:
  description: What is done, in sentences.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.http_cache.clear import ENDPOINT, clear
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "endpoints": {"type": "list", "elements": "dict", "required": True, "options": ENDPOINT},
            "names": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    conclude(module, lambda: clear(module.params["endpoints"], module.params["names"], dry_run=module.check_mode))


if __name__ == "__main__":
    main()
