# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Well-known phrases in the last lines of replicas that are not well. They point to a cause; they prove none."""

from __future__ import annotations

from .model import LIKELY
from .phrases import in_log

_ADDRESS = r"(?:.*?((?:\d{1,3}\.){3}\d{1,3}:\d{2,5}|[\w.-]{2,60}:\d{2,5}|port \d{2,5}))?"

RULES = (
    in_log(
        "log_variable_missing",
        LIKELY,
        "The log speaks of a variable or setting that is missing",
        r"KeyError: '([A-Z][A-Z0-9_]{2,60})'|(?:environment variable|env var|required (?:variable|setting|key)"
        r"|missing (?:required )?(?:environment variable|setting|config\w*))"
        r"[ :]+[\"'`]?([A-Za-z_][\w.-]{1,60})"
        r"|([A-Z][A-Z0-9_]{2,60}) (?:is (?:required|missing)|must be set|is not set|not set|environment variable)",
        "its log speaks of a variable or setting that is missing: {0}{1}{2}",
        "set it in the environment file or the ConfigMap of the service",
    ),
    in_log(
        "log_password_refused",
        LIKELY,
        "The log says that a log-in was refused",
        r"password authentication failed(?: for user \"?([\w.-]{1,60}))?|NOAUTH|WRONGPASS|access denied for user"
        r"|authentication failed|invalid (?:api key|credentials)|SASL authentication",
        "its log says that a log-in was refused",
        "compare the credentials of the service with those of the server; after a rotation restart what still has the old ones",
    ),
    in_log(
        "log_too_many_connections",
        LIKELY,
        "The log says that a server has too many connections",
        r"too many (?:clients already|connections)|remaining connection slots are reserved|max number of clients reached|QueuePool limit",
        "its log says that a server takes no further connections",
        "see who holds them (procedure database_sessions), then restart the holder or raise the limit",
    ),
    in_log(
        "log_database_missing",
        LIKELY,
        "The log says that a database, table or role does not exist",
        r"((?:database|relation|role|table|column) \"[^\"]{1,60}\" does not exist)|(Unknown database '[^']{1,60}')|no such table: \w+",
        "its log says that something in the database does not exist: {0}{1}",
        "check the name of the database, and run the migrations of this version",
    ),
    in_log(
        "log_certificate",
        LIKELY,
        "The log says that a certificate has expired or is not trusted",
        r"certificate (?:has|is) expired|certificate verify failed|x509: |unable to get local issuer certificate"
        r"|self.signed certificate|ERR_CERT|certificate is not yet valid",
        "its log says that a certificate has expired or is not trusted",
        "check the certificate's dates and chain, the trusted authorities in the image, and the clock",
    ),
    in_log(
        "log_name_resolution",
        LIKELY,
        "The log says that a name is not known",
        r"name or service not known|temporary failure in name resolution|could not translate host name \"([^\"]{1,80})\""
        r"|getaddrinfo (?:ENOTFOUND|EAI_AGAIN)(?: ([\w.-]{1,80}))?"
        r"|no such host|nodename nor servname|name resolution",
        "its log says that the name of a server is not known: {0}{1}",
        "check the host in the configuration, and name resolution in the service's network",
    ),
    in_log(
        "log_address_in_use",
        LIKELY,
        "The log says that an address is in use",
        r"address already in use|EADDRINUSE|only one usage of each socket address|bind: .*in use",
        "its log says that the address it wants to listen on is in use",
        "find the holder with: ss -ltnp; end it, or give the service another port",
    ),
    in_log(
        "log_connection_refused",
        LIKELY,
        "The log says that a connection was refused",
        r"(?:connection refused|ECONNREFUSED|actively refused|could not connect to server)" + _ADDRESS,
        "its log says that a server refused the connection {0}",
        "check that the server runs, and the address in the configuration",
    ),
    in_log(
        "log_time_out",
        LIKELY,
        "The log says that a server did not answer in time",
        r"connection timed out|ETIMEDOUT|connect timeout|timed out (?:connecting|waiting for)|i/o timeout",
        "its log says that a server did not answer in time",
        "check the server, the firewall and the route to it",
    ),
    in_log(
        "log_out_of_memory",
        LIKELY,
        "The log says that memory ran out",
        r"out of memory|OutOfMemoryError|MemoryError|cannot allocate memory|heap out of memory|bad_alloc",
        "its log says that memory ran out",
        "give it more memory (procedure service_limits), or find what uses it",
    ),
    in_log(
        "log_disk_full",
        LIKELY,
        "The log says that a disk is full",
        r"no space left on device|ENOSPC|disk quota exceeded",
        "its log says that a file system is full",
        "find which: df -h; df -i; make room there (procedure cleanup)",
    ),
    in_log(
        "log_read_only",
        LIKELY,
        "The log says that a file system is read-only",
        r"read-only file ?system|EROFS",
        "its log says that it wants to write to a read-only file system",
        "give it a writable volume or tmpfs there; of a disk see the kernel's messages (journalctl --dmesg)",
    ),
    in_log(
        "log_permission_denied",
        LIKELY,
        "The log says that something is not permitted",
        r"permission denied[:, ]*(?:'?(/[^'\s:]{1,150}))?|(?:EACCES|PermissionError)(?:.{0,80}?'(/[^'\s]{1,150}))?|operation not permitted",
        "its log says that it may not do something: {0}{1}",
        "check the owner and the rights of the file, and the account that the service runs as",
    ),
    in_log(
        "log_module_missing",
        LIKELY,
        "The log says that a module or library is missing",
        r"ModuleNotFoundError: No module named '([\w.]{1,80})'|ImportError: (.{1,100})|Cannot find module '([^']{1,100})'"
        r"|error while loading shared libraries: ([\w.+-]{1,80})"
        r"|could not load library \"?([^\"]{1,80})",
        "its log says that a module or library is missing: {0}{1}{2}{3}{4}",
        "build the image again with all that it needs, or go back to the version before",
    ),
    in_log(
        "log_no_such_file",
        LIKELY,
        "The log says that a file does not exist",
        r"no such file or directory[:, ]*(?:'?(/[^'\s:]{1,150}))?|(?:ENOENT|FileNotFoundError)(?:.{0,80}?'(/[^'\s]{1,150}))?"
        r"|can't open file '([^']{1,150})'"
        r"|cannot open '?(/[^'\s:]{1,150})|: not found$",
        "its log says that a file or command does not exist: {0}{1}{2}{3}",
        "check the mounts, the paths of the configuration and the image",
    ),
    in_log(
        "log_configuration",
        LIKELY,
        "The log says that the configuration cannot be read",
        r"(?:invalid|unknown|unrecognized|unsupported|bad|malformed) (?:configuration|config|directive|option|setting"
        r"|argument)|(?:configuration|config) (?:file )?.{0,60}(?:invalid|error)"
        r"|syntax error|parse error|JSONDecodeError|yaml\.\w+\.\w*Error|ValidationError",
        "its log says that its configuration is not valid",
        "mend what the line names, or go back to the configuration before (procedure rollback_point_restore)",
    ),
    in_log(
        "log_last_error",
        LIKELY,
        "The log ends with an exception or a fatal error",
        r"^(?:[\w.]+(?:Error|Exception)): (.{1,160})|(?:panic|fatal(?: error)?|unhandled exception)[: ]+(.{1,160})",
        "its log ends with an error: {0}{1}",
        "read the lines around it (procedure service_logs)",
    ),
)
