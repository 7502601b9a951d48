# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes meta/profile.schema.json, the schema of profiles for editors. Run: make schema"""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.sre.runbooks.plugins.module_utils.profile.shape.document import schema
from ansible_collections.sre.runbooks.plugins.plugin_utils.profile import role_options

FILE = Path(__file__).resolve().parents[2] / "meta" / "profile.schema.json"


def content() -> str:
    """The schema as the file holds it."""
    return json.dumps(schema(role_options()), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(content(), encoding="utf-8")
