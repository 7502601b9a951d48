# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How Alertmanager reaches an address of notify_channels: what it can do itself, else by a webhook.

Fields: https://prometheus.io/docs/alerting/latest/configuration/#receiver-integration-settings. Secrets are files on Alertmanager's host.
"""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from ..checks.redaction import is_secret_name, shown_url

_ADDRESS = re.compile(r"[^\s@:/?#]+@[^\s@:/?#]+\Z")
_TEXT = (
    "{{ range .Alerts }}{{ .Annotations.summary }} ({{ .Status }})\n{{ .Annotations.what }}\n{{ .Annotations.why }}\n"
    "Next: {{ .Annotations.next_step }}\nProcedure: {{ .Annotations.procedure }}\n\n{{ end }}"
)
_SUBJECT = (
    "[{{ .Status | toUpper }}{{ if .CommonLabels.priority }} {{ .CommonLabels.priority }}{{ end }}] "
    "{{ .CommonLabels.service }}: {{ .CommonLabels.alertname }}"
)
_SECRET_HOSTS = ("hooks.slack.com", "discord.com", "outlook.office.com")
"""Hosts whose web hooks are secrets as a whole."""


@dataclass(frozen=True)
class Transports:
    """How Alertmanager sends.

    Attributes:
        secrets_folder: Folder of secret files on its host: slack_api_url, smtp_password, pagerduty_routing_key, opsgenie_api_key.
        smtp_smarthost: Mail server, `host:port`; empty for none.
        smtp_from: Sender's address.
        smtp_user: Account at the mail server; empty for none. Its password is in the file smtp_password.
        smtp_tls: Whether the mail server must speak TLS.
        webhook_url: Address that takes what Alertmanager cannot send itself; the channel is its parameter `to`. Empty for none.
        webhook_token_file: File with the bearer token for it; empty for none.
    """

    secrets_folder: str = "/etc/alertmanager/secrets"
    smtp_smarthost: str = ""
    smtp_from: str = ""
    smtp_user: str = ""
    smtp_tls: bool = True
    webhook_url: str = ""
    webhook_token_file: str = ""

    def secret(self, name: str) -> str:
        """Path of a secret file."""
        return os.path.join(self.secrets_folder, name)


class NotReached(Exception):
    """Alertmanager cannot send to the address; the text says why and what would help."""


def integration(channel: str, transports: Transports) -> t.Tuple[str, t.Dict[str, t.Any]]:
    """The key of the receiver under which the channel stands, and its settings there.

    Raises:
        NotReached: There is no way.
    """
    scheme, separator, rest = channel.partition("://")
    scheme = scheme.lower()
    if not separator or not rest.strip("/"):
        raise NotReached("it is not of the form kind://address")
    build = _NATIVE.get(scheme)
    if build is not None:
        return build(rest, transports)
    if scheme in ("http", "https", "json", "jsons"):
        return _web_hook(("https" if scheme in ("https", "jsons") else "http") + "://" + rest)
    if transports.webhook_url:
        joined = "&" if "?" in transports.webhook_url else "?"
        settings: t.Dict[str, t.Any] = {"url": f"{transports.webhook_url}{joined}to={quote(channel, safe='')}", "send_resolved": True}
        if transports.webhook_token_file:
            settings["http_config"] = {"authorization": {"type": "Bearer", "credentials_file": transports.webhook_token_file}}
        if _is_secret(channel) or _is_secret(transports.webhook_url):
            raise NotReached("it has a secret in it, which would stand in the configuration in clear")
        return "webhook_configs", settings
    raise NotReached(f"Alertmanager has no receiver for {scheme[:20]}://; name a web hook that takes it, in monitoring_webhook_url")


def shown_channel(channel: str) -> str:
    """A channel for the reader, without what could be a secret in it."""
    scheme, _separator, rest = channel.partition("://")
    if scheme.lower() in ("email", "mailto") and _ADDRESS.match(rest):
        return channel
    if not _is_secret(channel):
        return channel.partition("?")[0] if scheme.lower() not in ("http", "https") else shown_url(channel)
    return f"{scheme}://********"


def _is_secret(channel: str) -> bool:
    try:
        parts = urlsplit(channel)
        host = parts.hostname or ""
    except ValueError:
        return True
    if parts.scheme.lower() in ("email", "mailto") and _ADDRESS.match(channel.partition("://")[2]):
        return False
    if parts.scheme.lower() in ("slack", "sms", "pagerduty", "opsgenie", "teams", "tel", "phone"):
        # One word is a name; more are the tokens of an address in Apprise's form.
        return "/" in channel.partition("://")[2].strip("/") or bool(parts.password)
    names = [part.partition("=")[0] for part in parts.query.split("&")]
    return "@" in parts.netloc or host.endswith(_SECRET_HOSTS) or any(is_secret_name(name) for name in names)


def _slack(rest: str, transports: Transports) -> t.Tuple[str, t.Dict[str, t.Any]]:
    if _is_secret(f"slack://{rest}"):
        raise NotReached("it has tokens in it; put the web hook's address into the file slack_api_url, and name the channel alone")
    channel = rest.strip("/")
    return "slack_configs", {
        "api_url_file": transports.secret("slack_api_url"),
        "channel": channel if channel.startswith(("#", "@")) else f"#{channel}",
        "send_resolved": True,
        "title": _SUBJECT,
        "text": _TEXT,
    }


def _email(rest: str, transports: Transports) -> t.Tuple[str, t.Dict[str, t.Any]]:
    if not _ADDRESS.match(rest):
        raise NotReached("it is no plain address of mail (name@host)")
    if not transports.smtp_smarthost or not transports.smtp_from:
        raise NotReached("no mail server is named; set monitoring_smtp_smarthost and monitoring_smtp_from")
    settings: t.Dict[str, t.Any] = {
        "to": rest,
        "from": transports.smtp_from,
        "smarthost": transports.smtp_smarthost,
        "require_tls": transports.smtp_tls,
        "send_resolved": True,
        "headers": {"Subject": _SUBJECT},
        "html": "",
        "text": _TEXT,
    }
    if transports.smtp_user:
        settings.update(auth_username=transports.smtp_user, auth_password_file=transports.secret("smtp_password"))
    return "email_configs", settings


def _pagerduty(_rest: str, transports: Transports) -> t.Tuple[str, t.Dict[str, t.Any]]:
    return "pagerduty_configs", {
        "routing_key_file": transports.secret("pagerduty_routing_key"),
        "description": _SUBJECT,
        "severity": '{{ if eq .CommonLabels.severity "critical" }}critical{{ else }}warning{{ end }}',
        "send_resolved": True,
    }


def _opsgenie(rest: str, transports: Transports) -> t.Tuple[str, t.Dict[str, t.Any]]:
    return "opsgenie_configs", {
        "api_key_file": transports.secret("opsgenie_api_key"),
        "message": _SUBJECT,
        "description": _TEXT,
        "responders": [{"type": "team", "name": rest.strip("/")}],
        "send_resolved": True,
    }


def _web_hook(url: str) -> t.Tuple[str, t.Dict[str, t.Any]]:
    try:
        parts = urlsplit(url)
        sound = bool(parts.hostname) and not re.search(r"[\x00-\x20\x7f]", url) and (parts.port or 1) > 0
    except ValueError:
        sound = False
    if not sound:
        raise NotReached("it is no address of a web server")
    if _is_secret(url):
        raise NotReached("it has a secret in it, which would stand in the configuration in clear")
    return "webhook_configs", {"url": url, "send_resolved": True}


_NATIVE: t.Mapping[str, t.Callable[[str, Transports], t.Tuple[str, t.Dict[str, t.Any]]]] = {
    "slack": _slack,
    "email": _email,
    "mailto": _email,
    "pagerduty": _pagerduty,
    "opsgenie": _opsgenie,
}
