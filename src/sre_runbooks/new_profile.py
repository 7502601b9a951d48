# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A new profile from a few facts: `sre-runbooks init` asks for them and writes an inventory that profile_check accepts."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .errors import BadInput
from .new_profile_files import content
from .new_profile_runtimes import RUNTIMES

ENVIRONMENTS = ("production", "staging", "development")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
_EMAIL = re.compile(r"[^@\s{}]+@[^@\s{}]+\.[A-Za-z]{2,}")
_HOST = re.compile(r"[A-Za-z0-9.\-]+|\[[0-9A-Fa-f:]+\]")


@dataclass(frozen=True)
class Server:
    """A store's address.

    Attributes:
        host: Name or address.
        port: TCP port.
        user: Account; empty for none.
        database: Database; empty for none.
    """

    host: str
    port: int
    user: str = ""
    database: str = ""


@dataclass(frozen=True)
class Facts:
    """What a profile is made from.

    Attributes:
        name: Short name of the service.
        title: Its name for readers.
        environment: production, staging or development.
        runtime: compose, kubernetes or systemd.
        place: Folder of Compose, namespace of Kubernetes; empty for systemd.
        workload: Service of Compose, Deployment of Kubernetes, unit of systemd.
        health_url: Address that answers 200 when the service is well.
        database: PostgreSQL; None for none.
        cache: Redis or Valkey; None for none.
        prometheus_url: Prometheus; empty for none.
        contact: Email address of who is called; empty for nobody yet.
    """

    name: str
    title: str
    environment: str
    runtime: str
    place: str
    workload: str
    health_url: str
    database: Server | None = None
    cache: Server | None = None
    prometheus_url: str = ""
    contact: str = ""

    @property
    def service_url(self) -> str:
        """Scheme, host and port of the health address."""
        parts = urlsplit(self.health_url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def health_path(self) -> str:
        """What comes after them."""
        return self.health_url[len(self.service_url) :] or "/"


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser], default: Callable[[argparse.Namespace], int]) -> None:
    """Add `init` to the console's commands."""
    parser = commands.add_parser(
        "init",
        help="write the inventory of a new service",
        description="Asks for what is not given as an option, writes a new inventory folder and never overwrites one. "
        "Without a terminal nothing is asked: --name and --health-url must be given.",
        allow_abbrev=False,
    )
    parser.add_argument("folder", nargs="?", metavar="FOLDER", help="folder to write; default: inventories/NAME")
    parser.add_argument("--name", help="short name: lower-case letters, digits, underscores")
    parser.add_argument("--title", help="name for readers")
    parser.add_argument("--environment", choices=ENVIRONMENTS)
    parser.add_argument("--runtime", choices=tuple(RUNTIMES), help="what runs the service")
    parser.add_argument("--place", help="where it runs: FOLDER:SERVICE of Compose, NAMESPACE/DEPLOYMENT of Kubernetes, UNIT of systemd")
    parser.add_argument("--health-url", metavar="URL", help="address that answers 200 when the service is well")
    parser.add_argument("--database", metavar="USER@HOST:PORT/NAME", help="PostgreSQL; none for none")
    parser.add_argument("--cache", metavar="HOST:PORT", help="Redis or Valkey; none for none")
    parser.add_argument("--prometheus", metavar="URL", help="Prometheus; none for none")
    parser.add_argument("--contact", metavar="EMAIL", help="who is called; none for nobody yet")
    parser.set_defaults(command=default)


def init(options: argparse.Namespace) -> int:
    """Ask, write, and say what to do next; the exit status of the command."""
    facts = facts_of(options, _asked if sys.stdin.isatty() else None)
    folder = Path(options.folder or Path("inventories") / facts.name).expanduser()
    write(folder, content(facts))
    print(f"Wrote the profile {folder} with {len(content(facts))} files.")
    print(f"check it    sre-runbooks run profile_check -i {folder}")
    print(f"try it      sre-runbooks run health_check -i {folder}")
    print("complete it docs/adopting_a_profile.md says what else a profile can hold; passwords are looked up, see secrets.yml in it")
    return 0


def facts_of(options: argparse.Namespace, ask: Callable[[str, str], str] | None) -> Facts:
    """The facts, from options and, for what these leave out, from the answers to questions.

    Args:
        options: As `add_command` defines them.
        ask: Takes a question and the default; None where nobody can be asked: then the default counts.

    Raises:
        BadInput: A fact makes no sense, or one is missing that has no default.
    """

    def fact(given: str | None, question: str, default: str) -> str:
        value = given if given is not None else ask(question, default) if ask else default
        value = value.strip()
        if "{{" in value or "{%" in value or "{#" in value or any(ord(character) < 32 for character in value):
            raise BadInput(f"{question}: templates and control characters have no place here", next_step="give the plain value")
        return "" if value.lower() == "none" else value

    name = fact(options.name, "Short name of the service (a-z, 0-9, _)", "")
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name!r} is no short name of a service", next_step="use lower-case letters, digits and underscores: --name")
    title = fact(options.title, "Its name for readers", name.replace("_", " ").capitalize()) or name
    environment = _one_of(ENVIRONMENTS, fact(options.environment, f"Environment ({', '.join(ENVIRONMENTS)})", "production"), "environment")
    runtime = _one_of(tuple(RUNTIMES), fact(options.runtime, f"What runs it ({', '.join(RUNTIMES)})", "compose"), "runtime")
    question, default, form, *_written = RUNTIMES[runtime]
    where = fact(options.place, question, default.format(name, name.replace("_", "-")))
    place = re.fullmatch(form, where)
    if place is None:
        raise BadInput(f"{where!r} does not say where it runs", next_step=f"give {question[0].lower()}{question[1:]}: --place")
    health = _url(fact(options.health_url, "Address that answers 200 when it is well (http://host:port/health)", ""), "--health-url")
    database = fact(options.database, "PostgreSQL (user@host:port/database, or none)", "none")
    cache = fact(options.cache, "Redis or Valkey (host:port, or none)", "none")
    prometheus = fact(options.prometheus, "Prometheus (http://host:9090, or none)", "none")
    contact = fact(options.contact, "Email address of who is called (or none)", "none")
    if contact and not _EMAIL.fullmatch(contact):
        raise BadInput(f"{contact!r} is no email address", next_step="give one, or none: --contact")
    return Facts(
        name=name,
        title=title,
        environment=environment,
        runtime=runtime,
        place=place[1],
        workload=place[2],
        health_url=health,
        database=_server(database, 5432, "--database", with_database=True) if database else None,
        cache=_server(cache, 6379, "--cache") if cache else None,
        prometheus_url=_url(prometheus, "--prometheus").rstrip("/") if prometheus else "",
        contact=contact,
    )


def write(folder: Path, files: dict[str, str]) -> None:
    """Write a new folder with these files: all of them or none.

    Raises:
        BadInput: Something is there already, or the folder cannot be made.
    """
    if folder.exists() or folder.is_symlink():
        raise BadInput(f"{folder} is there already, and nothing is overwritten", next_step="name another folder, or move that one away")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            fresh.chmod(0o755)
            for name, text in files.items():
                path = fresh / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            os.rename(fresh, folder)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
    except OSError as error:
        raise BadInput(f"The profile {folder} cannot be written: {error.strerror or error}", next_step="name another folder") from error


def _asked(question: str, default: str) -> str:
    try:
        return input(f"{question}{f' [{default}]' if default else ''}: ").strip() or default
    except EOFError:
        return default


def _one_of(choices: tuple[str, ...], value: str, what: str) -> str:
    if value not in choices:
        raise BadInput(f"{value!r} is no {what}", next_step=f"use one of {', '.join(choices)}")
    return value


def _url(value: str, option: str) -> str:
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or re.search(r"\s", value):
        raise BadInput(f"{value!r} is no address of a web server", next_step=f"write http://host:port/path: {option}")
    if "@" in parts.netloc:
        raise BadInput("An account has no place in the address", next_step=f"leave it out; secrets.yml is for passwords: {option}")
    return value


def _server(value: str, port: int, option: str, *, with_database: bool = False) -> Server:
    """A store from `user@host:port/database`, also with a scheme in front. A password is refused: it would stand in clear."""
    account, at, place = re.sub(r"^\w+://", "", value).rpartition("@")
    address, _slash, database = place.partition("/")
    if ":" in account:
        raise BadInput("A password has no place in the address", next_step=f"leave it out; secrets.yml looks it up: {option}")
    host, colon, given = address.rpartition(":") if re.search(r":\d*$", address) else (address, "", "")
    good = bool(_HOST.fullmatch(host)) and (not colon or (given.isdigit() and 0 < int(given) < 65536))
    if not good or (with_database and not re.fullmatch(r"[A-Za-z_][\w-]*", database)) or (at and not re.fullmatch(r"[\w.-]+", account)):
        form = "user@host:port/database" if with_database else "host:port"
        raise BadInput(f"{value!r} is no address of the form {form}", next_step=f"correct {option}, or give none")
    return Server(host.strip("[]"), int(given) if colon else port, account, database)
