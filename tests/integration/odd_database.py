# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server with a database whose names and contents go wrong elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.sre.runbooks.plugins.module_utils.command import run
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.connection import identifier
from integration.postgresql_server import PostgresqlServer, running_server

ODD = "My DB; drop \"x\" dbname=postgres '1' \\ $(id) é"
OWNER = 'Owner; drop "y"'
ODD_SQL = Path(__file__).with_name("odd_database.sql")


@contextlib.contextmanager
def odd_server() -> Iterator[PostgresqlServer]:
    """A server with the odd database."""
    with running_server() as one:
        one.sql(f"""
            CREATE ROLE {identifier(OWNER)} LOGIN CONNECTION LIMIT 7 PASSWORD 'owner-password';
            CREATE ROLE "b owner" NOINHERIT CREATEDB;
            CREATE ROLE "Reader 'r' \\" LOGIN BYPASSRLS IN ROLE "b owner", pg_monitor;
            CREATE ROLE unrelated LOGIN SUPERUSER;
        """)
        one.load_reference("reference", 1)
        run(one.connection.command("psql", "-qX", "-v", "ON_ERROR_STOP=1", "-f", str(ODD_SQL), database="reference"))
        one.sql(f"ALTER DATABASE reference RENAME TO {identifier(ODD)}")
        name = identifier(ODD)
        one.sql(f"""
            ALTER DATABASE {name} OWNER TO {identifier(OWNER)};
            ALTER DATABASE {name} CONNECTION LIMIT 42;
            COMMENT ON DATABASE {name} IS 'It''s a \\ "comment"; -- with é';
            REVOKE ALL ON DATABASE {name} FROM PUBLIC;
            GRANT CONNECT ON DATABASE {name} TO "b owner" WITH GRANT OPTION;
            GRANT TEMPORARY ON DATABASE {name} TO PUBLIC;
            ALTER DATABASE {name} SET search_path TO "$user", s, "s a", public;
            ALTER DATABASE {name} SET work_mem TO '7MB';
            ALTER DATABASE {name} SET app.some_setting TO 'a ''b'' \\ c';
            ALTER ROLE "b owner" IN DATABASE {name} SET statement_timeout TO '5s';
            ALTER DATABASE {name} SET default_transaction_read_only TO off;
        """)
        yield one
