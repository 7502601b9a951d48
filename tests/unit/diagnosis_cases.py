# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""For each rule of the diagnosis an observation in which it must find something, and words that it must say."""

from __future__ import annotations

import typing as t

from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis import model
from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis.model import (
    COMPOSE,
    KUBERNETES,
    SYSTEMD,
    Address,
    Condition,
    Dependency,
    Image,
    Message,
    Missing,
    Mount,
    Observation,
    Port,
    Replica,
    Space,
)

ENDED = {"state": "exited", "exit_status": 1}


def seen(runtime: str = COMPOSE, **parts: t.Any) -> Observation:
    """An observation of a service that does not run, with these parts."""
    parts.setdefault("replicas", [Replica("api-1", "exited", exit_status=1)])
    return Observation(runtime, "api", 1, **parts)


def replica(runtime: str = COMPOSE, **parts: t.Any) -> Observation:
    """One with one replica."""
    return seen(runtime, replicas=[Replica(**{"name": "api-1", "state": "exited", **parts})])


def said(source: str, text: str, runtime: str = COMPOSE) -> Observation:
    """One in which somebody said something."""
    return seen(runtime, messages=[Message(source, text)])


def missing(kind: str, name: str, *more: str) -> Observation:
    return seen(missing=[Missing(kind, name, *more)])


def log(line: str) -> Observation:
    return replica(exit_status=1, log=("starting", line))


def unit(**properties: str) -> Observation:
    given = {"LoadState": "loaded", "ActiveState": "failed", "Result": "exit-code", **properties}
    return seen(SYSTEMD, replicas=[Replica("api.service", "failed")], properties={"api.service": given})


def unit_said(text: str, **properties: str) -> Observation:
    found = unit(**properties)
    found.messages.append(Message("systemd", text))
    return found


def condition(kind: str, type_: str, status: str, reason: str = "", message: str = "", name: str = "api-0") -> Observation:
    return seen(KUBERNETES, replicas=[Replica(name, "Pending")], conditions=[Condition(kind, name, type_, status, reason, message)])


def event(message: str, reason: str = "Failed") -> Observation:
    return condition("Pod", "Event", "Warning", reason, message)


def pod(reason: str, **parts: t.Any) -> Observation:
    return replica(KUBERNETES, **{"state": reason, "reason": reason, **parts})


def image(**parts: t.Any) -> Observation:
    return seen(images=[Image(**{"reference": "shop/api:7", "present": False, **parts})])


def server(problem: str) -> Observation:
    return seen(addresses=[Address("DATABASE_URL", "db", 5432, problem)])


def space(**parts: t.Any) -> Observation:
    return seen(spaces=[Space(**{"path": "/data", "what": "volume data", "used_percent": 50.0, "free_bytes": 1 << 40, **parts})])


def mount(problem: str, target: str = "/etc/app.conf") -> Observation:
    return seen(mounts=[Mount("/srv/app.conf", target, problem)])


CASES: dict[str, tuple[Observation, str]] = {
    # The engine and the compose files
    "engine_missing": (said("engine", "the engine: The program docker is missing"), "docker is not installed"),
    "engine_refuses_account": (
        said("engine", "Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock"),
        "may not use the Docker Engine",
    ),
    "engine_unreachable": (said("engine", "Cannot connect to the Docker daemon at unix:///var/run/docker.sock."), "does not answer"),
    "compose_missing": (said("compose", "unknown shorthand flag: 'f' in -f"), "no Compose"),
    "compose_file_missing": (said("compose", "no configuration file provided: not found"), "no compose file"),
    "required_variable_missing": (missing("required_variable", "DB_HOST", "services.api", "must be set"), "DB_HOST"),
    "environment_file_missing": (missing("environment_file", "/srv/.env.prod"), "/srv/.env.prod does not exist"),
    "service_not_defined": (said("compose", "no such service: apo (the compose files have: api, db)"), "no service apo"),
    "compose_file_invalid": (
        said("compose", "go-yaml load error in parser (while parsing a block mapping) at L2.C3-L4.C4: did not find expected key"),
        "L2.C3",
    ),
    "variable_not_set": (missing("variable", "COLOUR"), "COLOUR, which is not set"),
    "container_name_taken": (missing("container_name", "api", "api", "running, of no project"), "belongs to another container"),
    "container_name_refused": (
        said("failure", 'Conflict. The container name "/api" is already in use by container "01"'),
        "the name api",
    ),
    "network_missing": (missing("network", "shop"), "the network shop"),
    "network_refused": (said("failure", "network shop declared as external, but could not be found"), "the network shop does not exist"),
    "address_pool_exhausted": (
        said("failure", "could not find an available, non-overlapping IPv4 address pool among the defaults"),
        "no addresses left",
    ),
    "volume_missing": (missing("volume", "data"), "the volume data"),
    "volume_refused": (said("failure", 'external volume "data" not found'), "the volume data does not exist"),
    "device_missing": (said("engine", 'could not select device driver "nvidia" with capabilities: [[gpu]]'), "a device"),
    "compose_refused": (said("compose", "failed to read /srv/.env: line 2"), "/srv/.env: line 2"),
    # Units
    "systemd_missing": (said("systemd", "System has not been booted with systemd as init system (PID 1).", SYSTEMD), "does not run"),
    "unit_missing": (unit(LoadState="not-found"), "no unit api.service"),
    "unit_masked": (unit(LoadState="masked"), "is masked"),
    "unit_invalid": (unit(LoadState="bad-setting", FragmentPath="/etc/systemd/system/api.service"), "is not valid"),
    "account_missing": (seen(SYSTEMD, missing=[Missing("account", "app", "api.service")]), "the account app"),
    "program_missing": (mount("no_program", "ExecStart"), "does not exist (203/EXEC)"),
    "program_not_executable": (mount("not_executable", "ExecStart"), "may not be executed"),
    "working_folder_missing": (mount("no_folder", "WorkingDirectory"), "200/CHDIR"),
    "systemd_status": (unit(ExecMainCode="1", ExecMainStatus="226"), "226/NAMESPACE"),
    "pre_start_failed": (
        unit(ExecStartPre="{ path=/bin/check ; argv[]=/bin/check ; pid=7 ; code=exited ; status=2 }"),
        "/bin/check, which api.service runs before",
    ),
    "start_timeout": (unit(Result="timeout", Type="notify", TimeoutStartUSec="1min 30s"), "1min 30s"),
    "watchdog": (unit(Result="watchdog"), "watchdog"),
    "protocol": (unit(Result="protocol", Type="forking"), "its type forking"),
    "environment_file_refused": (
        unit_said("api.service: Failed to load environment files: Permission denied", Result="resources"),
        "Permission denied",
    ),
    "resources": (unit(Result="resources"), "could not set up"),
    "needs_reload": (unit(NeedDaemonReload="yes"), "still has the old ones"),
    "unit_variable_unset": (
        unit_said("api.service: Referenced but unset environment variable evaluates to an empty string: PORT"),
        "uses PORT",
    ),
    "start_limit": (unit(Result="start-limit-hit", StartLimitBurst="5"), "no longer tries"),
    "condition_not_met": (
        unit_said(
            "api.service was skipped because of an unmet condition check (ConditionPathExists=/x).",
            ActiveState="inactive",
            ConditionResult="no",
        ),
        "ConditionPathExists=/x",
    ),
    "not_started": (unit(ActiveState="inactive", UnitFileState="disabled"), "is stopped, and it is not started when the host is"),
    # Workloads
    "cluster_refuses": (
        said("kubernetes", "the workload: Kubernetes does not accept the credentials (401): Unauthorized", KUBERNETES),
        "refuses these credentials",
    ),
    "cluster_unreachable": (
        said("kubernetes", "the workload: The API server of Kubernetes does not answer: connection refused", KUBERNETES),
        "cannot be asked",
    ),
    "workload_missing": (condition("Workload", "Exists", "False", name="api"), "no workload api"),
    "quota_exceeded": (
        event('pods "api-0" is forbidden: exceeded quota: small, requested: limits.memory=2Gi, used: limits.memory=1Gi, limited: 2Gi'),
        "the quota small",
    ),
    "limit_range": (event("maximum memory usage per Container is 1Gi, but limit is 2Gi"), "the memory that the pod asks for"),
    "webhook_refused": (event('admission webhook "policy.example" denied the request: no latest tags'), "policy.example"),
    "service_account_missing": (event('error looking up service account shop/api: serviceaccount "api" not found'), "service account api"),
    "config_missing": (
        pod("CreateContainerConfigError", error="couldn't find key DATABASE_URL in Secret shop/rag7-secrets"),
        "the Secret rag7-secrets has no key DATABASE_URL",
    ),
    "config_error": (pod("CreateContainerConfigError", error="container has runAsNonRoot"), "runAsNonRoot"),
    "image_pull": (pod("ImagePullBackOff", error='Back-off pulling image "shop/api:8"'), "cannot be pulled"),
    "unschedulable": (
        condition("Pod", "PodScheduled", "False", "Unschedulable", "0/3 nodes are available: 3 Insufficient cpu, 1 Insufficient memory."),
        "no node has enough cpu, memory",
    ),
    "claim_pending": (condition("PersistentVolumeClaim", "Phase", "Pending", name="data"), "the volume claim data"),
    "volume_not_mounted": (event('MountVolume.SetUp failed for volume "data" : timeout', "FailedMount"), "the volume data"),
    "node_not_ready": (condition("Node", "Ready", "Unknown", "NodeStatusUnknown", name="n1"), "the node n1 is not ready"),
    "node_pressure": (condition("Node", "DiskPressure", "True", name="n1"), "short of disk"),
    "evicted": (condition("Pod", "Phase", "Failed", "Evicted", "The node was low on resource: memory."), "was evicted"),
    "rollout_paused": (condition("Deployment", "Paused", "True", name="api"), "is paused"),
    "liveness": (event("Liveness probe failed: HTTP probe failed with statuscode: 500", "Unhealthy"), "statuscode: 500"),
    "not_ready": (replica(KUBERNETES, state="running", health="unhealthy"), "is not ready"),
    "crash_loop": (pod("CrashLoopBackOff", exit_status=1, restarts=7), "7 restarts, last with exit status 1"),
    "progress_deadline": (condition("Deployment", "Progressing", "False", "ProgressDeadlineExceeded", name="api"), "is stuck"),
    "replicas_unknown": (seen(replicas=[], unanswered="the containers: docker did not end within 10 s"), "question for the containers"),
    # Images
    "image_access_denied": (image(registry="denied: requested access to the resource is denied"), "refuses the image shop/api:7"),
    "image_unknown": (image(registry="no such manifest: shop/api:7"), "shop/api:7 cannot be pulled"),
    "image_rate_limited": (
        said("failure", "toomanyrequests: You have reached your pull rate limit"),
        "limit of pulls",
    ),
    "image_registry_unreachable": (
        image(registry='error pinging v2 registry: Get "https://x/v2/": dial tcp: lookup x: no such host'),
        "cannot be reached",
    ),
    "image_not_here": (image(is_built=True), "has not been built"),
    "image_refused": (said("failure", "Error response from daemon: No such image: shop/api:7"), "shop/api:7 is not on this host"),
    "image_name_invalid": (said("failure", "invalid reference format"), "name of the image is not valid"),
    "image_architecture": (image(present=True, architecture="arm64", host_architecture="amd64"), "is for arm64"),
    "exec_format": (said("engine", "exec /app: exec format error"), "another architecture"),
    "image_to_be_pulled": (image(present=None), "its registry has it"),
    "image_pull_fails": (event('Failed to pull image "shop/api:8": rpc error'), "shop/api:8"),
    # The host
    "port_taken": (seen(ports=[Port(8000, "process 7 (nginx)", "end it")]), "port 8000 is held by process 7 (nginx)"),
    "port_refused": (said("engine", "listen tcp4 0.0.0.0:80: bind: address already in use"), "0.0.0.0:80 was in use"),
    "disk_full": (space(used_percent=100.0, free_bytes=0), "is full"),
    "disk_full_said": (said("engine", "mkdir /var/lib/x: no space left on device"), "a file system is full"),
    "inodes_exhausted": (space(inodes_percent=100.0), "no inodes left"),
    "disk_nearly_full": (space(used_percent=95.0), "nearly full"),
    "mount_missing": (mount("missing"), "does not exist on this host"),
    "mount_is_empty_folder": (mount("empty_folder"), "should be a file"),
    "mount_not_readable": (mount("not_readable"), "cannot be read"),
    "mount_refused": (said("engine", 'error mounting "/srv/a" to rootfs at "/a": not a directory'), "/srv/a"),
    # How it ended
    "out_of_memory": (replica(exit_status=137, out_of_memory=True, memory_limit=64 << 20), "(limit 64 MiB)"),
    "probably_out_of_memory": (replica(exit_status=137, memory_limit=64 << 20), "suggests"),
    "memory_near_limit": (replica(state="running", health="unhealthy", memory_limit=64 << 20, memory_percent=97.0), "97 %"),
    "limits_refused": (said("failure", "Minimum memory limit allowed is 6MB"), "refuses the limits"),
    "command_not_found": (replica(exit_status=127), "does not exist in its image"),
    "not_executable": (replica(exit_status=126), "may not be executed"),
    "command_refused": (said("failure", 'exec: "gunicorn": executable file not found in $PATH'), "the command gunicorn"),
    "paused": (replica(state="paused"), "is paused"),
    "health_program_missing": (
        replica(state="running", health="unhealthy", health_says=('exec: "curl": executable file not found in $PATH',)),
        "does not have",
    ),
    "crashed": (replica(exit_status=139), "segmentation fault"),
    "health_failing": (replica(state="running", health="unhealthy", health_says=("503",)), "it says: 503"),
    "health_timeout": (
        replica(state="running", health="unhealthy", health_says=("Health check exceeded timeout (2s)",)),
        "within its time limit",
    ),
    "refused_to_start": (replica(state="created", started=False, error="something new"), "something new"),
    "killed": (replica(exit_status=137), "was killed (exit status 137)"),
    "ended_with_status": (replica(exit_status=3), "exit status 3"),
    "ended_on_request": (replica(exit_status=143), "was asked to end"),
    "ended_well": (replica(exit_status=0), "without an error"),
    "restart_loop": (replica(state="restarting", restarts=9), "restarts so far: 9"),
    "never_started": (replica(state="created", started=False), "never started"),
    "too_few": (seen(replicas=[]), "no replica of it"),
    "health_undecided": (replica(state="running", health="starting"), "not decided yet"),
    # What it needs of others
    "dependency_down": (seen(dependencies=[Dependency("db", "is exited (1)")]), "db, which must run before, is exited (1)"),
    "dependency_failed": (said("failure", "dependency failed to start: container shop-db-1 is unhealthy"), "container shop-db-1"),
    "server_stopped": (server("stopped"), "a container that does not run"),
    "server_other_network": (server("network"), "shares no network"),
    "server_without_endpoints": (server("endpoints"), "db:5432 is a Service without a ready endpoint"),
    "server_no_service": (server("service"), "no Service db"),
    "server_other_port": (server("service_port"), "db has no port 5432"),
    "server_refuses": (server("refused"), "nothing listens at db:5432"),
    "server_silent": (server("timeout"), "db:5432 does not answer"),
    "server_unknown": (server("name"), "the name db is not known"),
    "server_out_of_reach": (server("other"), "no way to db:5432"),
    "server_is_itself": (server("itself"), "the container itself"),
    # What its log says
    "log_variable_missing": (log("KeyError: 'DATABASE_URL'"), "DATABASE_URL"),
    "log_password_refused": (log('FATAL:  password authentication failed for user "app"'), "a log-in was refused"),
    "log_too_many_connections": (log("FATAL:  sorry, too many clients already"), "no further connections"),
    "log_database_missing": (log('FATAL:  database "shop" does not exist'), 'database "shop" does not exist'),
    "log_certificate": (log("ssl.SSLCertVerificationError: certificate verify failed: certificate has expired"), "certificate"),
    "log_name_resolution": (log('could not translate host name "db" to address'), "not known: db"),
    "log_address_in_use": (log("OSError: [Errno 98] Address already in use"), "is in use"),
    "log_connection_refused": (log("Error: connect ECONNREFUSED 10.0.0.7:5432"), "10.0.0.7:5432"),
    "log_time_out": (log("dial tcp 10.0.0.7:5432: i/o timeout"), "in time"),
    "log_out_of_memory": (log("java.lang.OutOfMemoryError: Java heap space"), "memory ran out"),
    "log_disk_full": (log("OSError: [Errno 28] No space left on device"), "is full"),
    "log_read_only": (log("OSError: [Errno 30] Read-only file system: '/x'"), "read-only"),
    "log_permission_denied": (log("PermissionError: [Errno 13] Permission denied: '/data/x'"), "/data/x"),
    "log_module_missing": (log("ModuleNotFoundError: No module named 'psycopg'"), "psycopg"),
    "log_no_such_file": (log("FileNotFoundError: [Errno 2] No such file or directory: '/etc/app.yml'"), "/etc/app.yml"),
    "log_configuration": (log('nginx: [emerg] unknown directive "sever" in /etc/nginx.conf:3'), "configuration is not valid"),
    "log_last_error": (log("RuntimeError: the flux is off"), "the flux is off"),
}
WELL = model.RUNNING
