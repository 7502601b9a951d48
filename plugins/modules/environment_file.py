#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: environment_file
short_description: Set and remove variables in an environment file
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Changes variables in a file of Docker Compose (C(.env), C(env_file)), of systemd (C(EnvironmentFile=)) or of C(docker run --env-file).
    Everything else in it stays as it is, order, comments, owner and mode included. Values are put in quotes as the format wants them, so
    that the program gets exactly what was given.
  - A variable that is there is changed where it stands, a new one comes at the end. Of a variable that is set several times the last counts.
  - The file is replaced in one step, and not at all when somebody else changes it meanwhile.
extends_documentation_fragment:
  - sre.runbooks.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Of secret values, of variables whose names speak of secrets, and of those that are removed, only the names are shown.
  idempotent:
    support: full
options:
  path:
    description: The file. It is made when there is none and something is set. A symbolic link is followed.
    type: path
    required: true
  format:
    description:
      - V(compose) for C(.env) and C(env_file) of Docker Compose, V(systemd) for C(EnvironmentFile=), V(raw) for files without quotes, which
        C(docker run --env-file) and C(env_file) with C(format=raw) read.
    type: str
    choices: [compose, systemd, raw]
    default: compose
  values:
    description: Variables to set, by name. Numbers are taken as they are written, V(true) and V(false) in lower case.
    type: dict
    default: {}
  secret_values:
    description: The same for values that nobody shall see.
    type: dict
    default: {}
  remove:
    description: Names of variables that shall not be in the file.
    type: list
    elements: str
    default: []
  mode:
    description: Mode of a file that is made, in octal with a leading zero. One that is there keeps its own.
    type: str
    default: "0600"
seealso:
  - module: sre.runbooks.rollback_point
"""

EXAMPLES = r"""
- name: Raise the limit, and set a new key
  sre.runbooks.environment_file:
    path: /srv/rag7/.env.prod
    values:
      MAX_CONCURRENT: 20
      LOG_LEVEL: info
    secret_values:
      API_KEY: "{{ vault_api_key }}"
    remove: [OLD_API_KEY]

- name: The same for a unit of systemd
  sre.runbooks.environment_file:
    path: /etc/default/wrapper
    format: systemd
    values:
      GREETING: it's $5
"""

RETURN = r"""
path:
  description: The file, links followed.
  returned: success
  type: str
created:
  description: Whether the file was made, or would be.
  returned: success
  type: bool
added:
  description: Variables that the file did not have.
  returned: success
  type: list
  elements: str
updated:
  description: Variables with another value than before.
  returned: success
  type: list
  elements: str
removed:
  description: Variables that were there and are gone, or would be.
  returned: success
  type: list
  elements: str
sha256:
  description: SHA-256 of the file as it is now, or would be. Empty when there is none.
  returned: success
  type: str
diff:
  description: The variables that change, secret values left out.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.configuration.change_environment import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
