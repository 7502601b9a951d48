#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: the status page of a service."""

from __future__ import annotations

DOCUMENTATION = r"""
module: status_page
short_description: Serve the status page of a service
version_added: "0.1.0"
description:
  - Starts or stops a small web server that shows what the history of a service says about it - score, verdict, severity, active alerts,
    one section for each component, charts over time, the latest lines of its logs as they come - as a page and as JSON.
  - It only reads. Everything that it shows says how old it is, and what is too old is shown as V(unknown), never as good.
  - It listens on the loopback address. Anywhere else it needs TLS and a password, and does not start without them.
  - One that runs with other settings, or from another version of the collection, is started anew.
author: The sre.runbooks authors (@sre-runbooks)
requirements:
  - starlette (Python library) on the host that serves
  - uvicorn (Python library) on the host that serves
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.state
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  state:
    description: Whether it shall run.
    type: str
    choices: [started, stopped]
    default: started
  service:
    description: The service that it is about.
    type: dict
    required: true
    suboptions:
      name:
        description: Its name, by which its history is found.
        type: str
        required: true
      title:
        description: What people call it.
        type: str
      environment:
        description: Which environment it is.
        type: str
  components:
    description: The parts of the service, each with C(name), C(title) and C(availability) (what is promised, from 0 to 1).
    type: list
    elements: dict
    default: []
  checks:
    description:
      - The checks of the profile. Of each the name, title, component and weight are used and kept, nothing else.
      - Checks that the history has and the profile has not do not count. Without any, all of the history count.
    type: list
    elements: dict
    default: []
  metrics:
    description: The metrics of the profile, in the same way; their units and thresholds are used, too.
    type: list
    elements: dict
    default: []
  logs:
    description: The logs of the profile. Those with a C(path) are shown; it may be a pattern, of which the newest file is taken.
    type: list
    elements: dict
    default: []
  address:
    description: IP address to listen on.
    type: str
    default: 127.0.0.1
  port:
    description: Its port.
    type: int
    default: 5000
  tls_certificate:
    description: File of the certificate chain.
    type: path
  tls_key:
    description: File of its private key.
    type: path
  user:
    description: Account of the page.
    type: str
    default: sre
  password:
    description: Its password, at least eight characters. Without one everybody who reaches the address may read.
    type: str
    default: ""
  password_file:
    description: File on this host whose first line is the password; nobody else may read it. It outweighs O(password).
    type: path
  names:
    description:
      - Host names under which the page may be called; others are refused.
      - By default those of this host's loopback address when it listens there, and any name elsewhere.
    type: list
    elements: str
    default: []
  stale_after_s:
    description: Age in seconds from which on a result counts as V(unknown).
    type: float
    default: 900
  python:
    description: Python interpreter that has Starlette and uvicorn. By default the one that runs this module.
    type: path
"""

EXAMPLES = r"""
- name: Serve the page to this host
  sre.runbooks.status_page:
    service:
      name: paralegal
      title: AI Paralegal
    components:
      - name: database
        title: PostgreSQL
        availability: 0.999
    checks: "{{ health_checks }}"
    logs:
      - name: app
        path: /opt/paralegal/logs/app_current.log

- name: Serve it to the network
  sre.runbooks.status_page:
    service:
      name: paralegal
    address: 0.0.0.0
    tls_certificate: /etc/ssl/status.pem
    tls_key: /etc/ssl/private/status.key
    password_file: /etc/sre-runbooks/status-page-password

- name: Stop it
  sre.runbooks.status_page:
    service:
      name: paralegal
    state: stopped
"""

RETURN = r"""
url:
  description: Where the page is; empty when it was stopped.
  returned: success
  type: str
  sample: http://127.0.0.1:5000/
pid:
  description: Number of its process; 0 when it does not run.
  returned: success
  type: int
folder:
  description: Folder of its program and settings.
  returned: success
  type: str
log_file:
  description: Where it says what goes wrong.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.status_page.process import OPTIONS, operate

SERVICE_OPTIONS = {"name": {"type": "str", "required": True}, "title": {"type": "str"}, "environment": {"type": "str"}}


def main() -> None:
    """Run the module."""
    specification = {**OPTIONS, "service": {**OPTIONS["service"], "options": SERVICE_OPTIONS}}
    # Checks as the profile has them hold credentials: they go neither to the system log nor back with the result.
    module = AnsibleModule(argument_spec=specification, supports_check_mode=True, no_log=True)
    parameters = dict(module.params)
    for name in ("checks", "metrics"):
        module.params[name] = f"{len(parameters[name])} {name}"
    conclude(module, lambda: operate(parameters, module.check_mode))


if __name__ == "__main__":
    main()
