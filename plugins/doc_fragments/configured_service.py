# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Compose project whose configuration is meant."""

from __future__ import annotations


class ModuleDocFragment:
    """The option `compose` of module_utils/configuration/sources.py; units are in the fragment `unit`."""

    DOCUMENTATION = r"""
options:
  compose:
    description: The Compose project, where Docker Compose runs the service.
    type: dict
    suboptions:
      project_folder:
        description: Its folder.
        type: path
        default: ""
      compose_files:
        description: Its Compose files, relative to the folder; by default those that Compose finds.
        type: list
        elements: str
        default: []
      environment_file:
        description: The file with the variables of the Compose files, relative to the folder; by default C(.env).
        type: str
        default: ""
      project_name:
        description: Its name; by default as Compose names it.
        type: str
        default: ""
"""
