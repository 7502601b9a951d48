# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a service of Docker Compose is named."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of module_utils/service/compose/project.py."""

    DOCUMENTATION = r"""
options:
  project_folder:
    description: Folder of the Compose project.
    type: path
    default: ""
  compose_files:
    description: Its Compose files, relative to the folder; by default those that Compose finds.
    type: list
    elements: str
    default: []
  environment_file:
    description: File with the variables of the Compose files, relative to the folder; by default C(.env).
    type: str
    default: ""
  project_name:
    description: Name of the project; by default as Compose names it. Needed where two projects run from one folder.
    type: str
    default: ""
  service:
    description: The service; by default all of the project.
    type: str
    default: ""
"""
