# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The program that serves the page. Argument: a JSON file of `Settings`; the password comes by the environment."""

from __future__ import annotations

import json
import os
import sys
import typing as t

from ..errors import RunbookError
from .access import Guard
from .app import create
from .protocol import bounded_protocol
from .settings import PASSWORD_VARIABLE, Settings, settings_of

_CANNOT = 2


def serve(settings: Settings, password: str) -> None:
    """Serve the page until the process is told to end (SIGTERM).

    Raises:
        ImportError: Starlette or uvicorn is not installed.
    """
    import uvicorn

    uvicorn.run(
        create(settings, Guard(settings.user, password)),
        host=settings.address,
        port=settings.port,
        http=bounded_protocol(),
        ws="none",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_level="warning",
        limit_concurrency=settings.connections,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=1,
        ssl_certfile=settings.tls_certificate or None,
        ssl_keyfile=settings.tls_key or None,
    )


def main(argv: t.Sequence[str]) -> int:
    """Read the settings and serve; the exit status is 2 when it cannot be."""
    try:
        with open(argv[0], encoding="utf-8") as stream:
            given = json.load(stream)
        # Nothing that this process starts, and no trace of an error, shall show it.
        password = os.environ.pop(PASSWORD_VARIABLE, "")
        serve(settings_of(given, has_password=bool(password)), password)
    except RunbookError as error:
        sys.stderr.write(f"{error.message}\n")
        return _CANNOT
    except ImportError as error:
        sys.stderr.write(f"{error}. Next: {sys.executable} -m pip install starlette uvicorn.\n")
        return _CANNOT
    except (OSError, ValueError, KeyError, IndexError) as error:
        sys.stderr.write(f"The settings of the status page cannot be used: {error}.\n")
        return _CANNOT
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
