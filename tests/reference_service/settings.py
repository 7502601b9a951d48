# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the service is told by its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

COLOURS = ("blue", "green")


@dataclass(frozen=True)
class Settings:
    """One instance's settings.

    Attributes:
        colour: Which of the two instances it is.
        version: Release that `/version` tells.
        faults: Whether `/faults` may be used.
        log_file: File for its log, one JSON object a line; empty for standard error.
        database_timeout_s: Seconds for which a statement may take or a lost database is tried again.
        probe_timeout_s: The same for a health check, which is to answer soon.
        cache_timeout_s: Seconds for the cache.
        cache_ttl_s: Seconds for which an answer is kept.
        breaker_failures: Failures in a row that open a circuit.
        breaker_reset_s: Seconds until an open circuit lets one call through.
    """

    database_host: str = "127.0.0.1"
    database_port: int = 5432
    database_name: str = "reference"
    database_user: str = "reference_app"
    database_password: str = field(default="", repr=False)
    cache_host: str = "127.0.0.1"
    cache_port: int = 6379
    cache_password: str = field(default="", repr=False)
    colour: str = "blue"
    version: str = "1.0.0"
    faults: bool = False
    log_file: str = ""
    database_timeout_s: float = 2.0
    probe_timeout_s: float = 1.0
    cache_timeout_s: float = 1.0
    cache_ttl_s: int = 300
    breaker_failures: int = 5
    breaker_reset_s: float = 30.0


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings that the environment names; the defaults where it names none.

    Raises:
        ValueError: A number is none, or the colour is not one of the two.
    """
    defaults = Settings()
    colour = environment.get("REFERENCE_SERVICE_COLOUR", defaults.colour)
    if colour not in COLOURS:
        raise ValueError(f"REFERENCE_SERVICE_COLOUR is {colour!r}; it must be one of {', '.join(COLOURS)}")
    return Settings(
        database_host=environment.get("DATABASE_HOST", defaults.database_host),
        database_port=int(environment.get("DATABASE_PORT", defaults.database_port)),
        database_name=environment.get("DATABASE_NAME", defaults.database_name),
        database_user=environment.get("DATABASE_USER", defaults.database_user),
        database_password=environment.get("DATABASE_PASSWORD", ""),
        cache_host=environment.get("CACHE_HOST", defaults.cache_host),
        cache_port=int(environment.get("CACHE_PORT", defaults.cache_port)),
        cache_password=environment.get("CACHE_PASSWORD", ""),
        colour=colour,
        version=environment.get("REFERENCE_SERVICE_VERSION", defaults.version),
        faults=environment.get("REFERENCE_SERVICE_FAULTS", "") == "1",
        log_file=environment.get("REFERENCE_SERVICE_LOG_FILE", ""),
        database_timeout_s=float(environment.get("REFERENCE_SERVICE_DATABASE_TIMEOUT_S", defaults.database_timeout_s)),
        probe_timeout_s=float(environment.get("REFERENCE_SERVICE_PROBE_TIMEOUT_S", defaults.probe_timeout_s)),
        breaker_failures=int(environment.get("REFERENCE_SERVICE_BREAKER_FAILURES", defaults.breaker_failures)),
        breaker_reset_s=float(environment.get("REFERENCE_SERVICE_BREAKER_RESET_S", defaults.breaker_reset_s)),
    )
