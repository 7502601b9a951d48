# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module that reads a profile is told of it."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of module_utils/profile/options.py."""

    DOCUMENTATION = r"""
requirements:
  - jsonschema >= 4.18 on the controller
options:
  folder:
    description: Folder of the inventory.
    type: path
    required: true
  variables:
    description: Values of the variables. The default is what the host of the task sees.
    type: dict
    default: {}
  unresolved:
    description: Variables that cannot be evaluated, each with the reason. Found by the task itself.
    type: dict
    default: {}
  role_options:
    description: Options of the roles' argument specs by name. The default is those of this collection.
    type: dict
    default: {}
  procedures:
    description: The catalogue of procedures. The default is that of this collection.
    type: dict
    default: {}
"""
