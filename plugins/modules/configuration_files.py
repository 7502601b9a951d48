#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: configuration_files
short_description: Give files of configuration their content, all of them or none
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Writes several files in one call. Each is replaced in one step and keeps its owner and mode. When one cannot be written, those written before it
    get their content back. A file that somebody else changes meanwhile is left alone.
extends_documentation_fragment:
  - sre.runbooks.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Of secret content, and of files that only their owner may read, only the names are shown.
  idempotent:
    support: full
options:
  files:
    description: The files.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Where. A symbolic link is followed.
        type: path
        required: true
      content:
        description: What shall be in it. This or O(files[].secret_content) is needed.
        type: str
      secret_content:
        description: The same for what nobody shall see.
        type: str
      mode:
        description: Its mode, in octal with a leading zero. By default it keeps its own; a new file gets V(0644), one with secret content V(0600).
        type: str
        default: ""
seealso:
  - module: sre.runbooks.environment_file
  - module: sre.runbooks.rollback_point
"""

EXAMPLES = r"""
- name: Place two files
  sre.runbooks.configuration_files:
    files:
      - {path: /etc/wrapper/limits.json, content: '{"requests": 20}'}
      - path: /etc/wrapper/key.pem
        secret_content: "{{ vault_wrapper_key }}"
"""

RETURN = r"""
written:
  description: Files that were written, or would be.
  returned: success
  type: list
  elements: str
created:
  description: Those of them that were not there.
  returned: success
  type: list
  elements: str
diff:
  description: What changes, by file, secret content left out.
  returned: success
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.configuration.change_files import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
