"""A Docker engine and a BuildKit: the ones of this machine, else private ones in a state folder.

A private engine is started as root on Debian and Ubuntu only. It leaves the machine's firewall
rules alone and has a bridge of its own: published ports work on 127.0.0.1, and a container reaches
nothing outside (builds do: they run on the host's network).
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import os
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model_gitops.adapters import docker_config, process
from model_gitops.errors import ExternalError
from model_gitops.runner import say
from model_gitops_local import runtime, toolchain
from model_gitops_local.daemon import Daemon, birth, locked, remove_tree

BUILDER = "model-gitops-local"
# From this engine on, the BuildKit inside it knows named build contexts.
_ENGINE_WITH_CONTEXTS = (23, 0)
_LONGEST_SOCKET = 100  # the kernel's limit is 107 bytes


@dataclass(frozen=True)
class Engine:
    """A Docker engine that answers, and how a child process reaches it."""

    state: Path
    host: str  # DOCKER_HOST
    version: tuple[int, ...]
    private: bool

    @property
    def config(self) -> Path:
        """DOCKER_CONFIG: ours, so that nothing in the user's own is changed."""
        return self.state / "docker-config"

    def variables(self) -> dict[str, str]:
        """Return what a child's environment must hold to use this engine and its builder."""
        variables = {
            "DOCKER_HOST": self.host,
            "DOCKER_CONFIG": str(self.config.resolve()),
            "BUILDX_CONFIG": str((self.config / "buildx").resolve()),
            "DOCKER_CONTEXT": "",
            # In a workflow an action takes no plugin from an account's folder: here its owner says so.
            docker_config.PLUGINS: str(
                (self.config / "cli-plugins/docker-buildx").resolve().parent
            ),
        }
        if builder := Builder(self.state).name:
            variables["BUILDX_BUILDER"] = builder
        return variables

    def docker(
        self, *args: str | Path, check: bool = True, timeout: float = 600
    ) -> process.Completed:
        """Run the docker command line on this engine."""
        return process.run(["docker", *args], env=self.variables(), check=check, timeout=timeout)


def ensure_engine(state: Path) -> Engine:
    """Return the machine's engine if one answers, else the private one in `state`, started.

    It has buildx. Raises ExternalError with what to do where there is none and none can be started.
    """
    engine = start_engine(state)
    add_buildx(engine, toolchain.ensure("docker-buildx"))
    return engine


def start_engine(state: Path) -> Engine:
    """Return the engine of `ensure_engine`, which may have no buildx yet."""
    with locked(state / "engine.lock"):
        private = _private(state)
        engine = private if _daemon(state).pid() else _existing(state)
        if engine is None:
            _install()
            # A distribution's package may have started its own service.
            engine = _existing(state) or _start(state)
        _write_config(engine)
        return engine


def stop_engine(state: Path) -> None:
    """Stop the private builder and engine of `state`, if any, and take off their mounts."""
    Builder(state).stop()
    daemon = _daemon(state)
    bridge = daemon.facts().get("bridge", "")
    daemon.stop()
    _end_orphans(runtime_folder(state))
    if bridge and Path("/sys/class/net", bridge).exists():
        process.run(["ip", "link", "delete", bridge], check=False)
    remove_tree(runtime_folder(state) / "exec")


def remove_engine(state: Path) -> None:
    """Stop the private builder and engine and delete all that they stored."""
    stop_engine(state)
    for folder in (state / "docker", state / "buildkit", state / "docker-config"):
        remove_tree(folder)
    if runtime_folder(state) != state / "run":
        remove_tree(runtime_folder(state))
    remove_tree(state / "run")
    (state / "engine.lock").unlink(missing_ok=True)


def runtime_folder(state: Path) -> Path:
    """Return where sockets are: in `state`, or in /run where its path is too long for a socket."""
    folder = state.resolve() / "run"
    if len(os.fsencode(folder / "exec/containerd/containerd-debug.sock.ttrpc")) < _LONGEST_SOCKET:
        return folder
    return Path("/run") / f"model-gitops-{_short(state)}"


def free_subnet(routes: str, seed: int) -> str:
    """Return a private /24 network that `ip -4 route` does not have, such as `10.213.7.0/24`."""
    taken = []
    for line in routes.splitlines():
        for word in line.split()[:2]:
            try:
                taken.append(ipaddress.ip_network(word, strict=False))
            except ValueError:
                continue
    for offset in range(256):
        network = ipaddress.ip_network(f"10.213.{(seed + offset) % 256}.0/24")
        if not any(network.overlaps(other) for other in taken if other.prefixlen > 0):
            return str(network)
    raise ExternalError("every network 10.213.0.0/24 to 10.213.255.0/24 is in use")


class Builder:
    """The private BuildKit of a state folder, used where the engine's own is too old."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.folder = state / "buildkit"
        self._daemon = Daemon("BuildKit", self.folder)

    @property
    def name(self) -> str:
        """The name for `docker buildx --builder`; "" means the engine's own builder."""
        return BUILDER if self._daemon.pid() is not None else ""

    def ensure(self, engine: Engine, registry: str = "") -> str:
        """Return the builder's name ("": the engine's own), started if need be.

        `registry`: an address `127.0.0.1:PORT` that is reached by plain HTTP.
        """
        if not engine.private and engine.version >= _ENGINE_WITH_CONTEXTS:
            return ""
        with locked(self.state / "engine.lock"):
            if self._daemon.pid() is None or self._daemon.facts().get("registry") != registry:
                self._daemon.stop()
                self._start(registry)
            socket = f"unix://{self._socket}"
            known = engine.docker("buildx", "inspect", BUILDER, check=False)
            if f"Endpoint: {socket}" not in " ".join(known.stdout.split()):
                engine.docker("buildx", "rm", "--force", BUILDER, check=False)
                engine.docker("buildx", "create", "--name", BUILDER, "--driver", "remote", socket)
            return BUILDER

    def stop(self) -> None:
        """Stop it; its cache stays."""
        self._daemon.stop()

    @property
    def _socket(self) -> Path:
        return runtime_folder(self.state) / "buildkit.sock"

    def _start(self, registry: str) -> None:
        _require_root("the Docker engine here is older than 23 and can't do named build contexts")
        program = toolchain.ensure("buildkitd")
        runc = shutil.which("runc") or shutil.which("docker-runc")
        if runc is None:
            raise ExternalError("BuildKit needs `runc`", fix="apt-get install runc")
        self.folder.mkdir(parents=True, exist_ok=True)
        _make_private(runtime_folder(self.state))
        lines = [
            f"root = {json.dumps(str(self.folder.resolve() / 'root'))}",
            "[grpc]",
            f"address = [{json.dumps(f'unix://{self._socket}')}]",
            "[worker.oci]",
            "enabled = true",
            f"binary = {json.dumps(runc)}",
            'networkMode = "host"',  # so that builds reach what the host reaches, DNS included
            # Of its own it may keep 2 GB, and then drops between two builds what the second one needs.
            'reservedSpace = "10GB"',
            'maxUsedSpace = "10GB"',
            "[worker.containerd]",
            "enabled = false",
        ]
        if registry:
            lines += [f"[registry.{json.dumps(registry)}]", "http = true"]
        config = self.folder / "buildkitd.toml"
        config.write_text("\n".join(lines) + "\n", "utf-8")
        self._socket.unlink(missing_ok=True)
        self._daemon.start(
            [program, "--config", config], self._socket.exists, facts={"registry": registry}
        )


def _daemon(state: Path) -> Daemon:
    return Daemon("the Docker engine", state / "docker")


def _end_orphans(run: Path) -> None:
    """End what a killed engine left: its containerd, the containers' shims, the containers.

    A new engine would wait for that containerd in vain.
    """
    ours = os.fsencode(run / "exec")
    parents: dict[int, int] = {}
    orphans: set[int] = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stat = (folder / "stat").read_text("utf-8", "replace")
            parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
            if ours in (folder / "cmdline").read_bytes():
                orphans.add(int(folder.name))
    # A shim's child is the first process of a container, which takes the others with it.
    orphans |= {pid for pid, parent in parents.items() if parent in orphans}
    for pid in orphans:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 10
    while any(map(birth, orphans)) and time.monotonic() < end:
        time.sleep(0.05)
    (run / "exec/containerd/containerd.pid").unlink(missing_ok=True)


def _short(state: Path) -> str:
    return hashlib.sha256(os.fsencode(state.resolve())).hexdigest()[:8]


def _private(state: Path) -> Engine | None:
    return _asked(state, f"unix://{runtime_folder(state)}/docker.sock", private=True)


def _existing(state: Path) -> Engine | None:
    """Return the engine that the user's own docker command uses, if it answers."""
    if shutil.which("docker") is None:
        return None
    host = os.environ.get("DOCKER_HOST", "")
    if not host:
        show = ["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]
        host = process.run(show, check=False).stdout.strip() or "unix:///var/run/docker.sock"
    return _asked(state, host, private=False)


def _asked(state: Path, host: str, *, private: bool) -> Engine | None:
    if shutil.which("docker") is None:
        return None
    answer = process.run(
        ["docker", "version", "--format", "{{.Server.Version}}"],
        env={"DOCKER_HOST": host, "DOCKER_CONTEXT": ""},
        check=False,
        timeout=30,
    )
    version = toolchain.version_of(answer.stdout)
    if answer.returncode != 0 or not version:
        return None
    return Engine(state, host, version, private)


def _require_root(why: str) -> None:
    if os.geteuid() != 0 or not Path("/proc/self/mountinfo").exists():
        raise ExternalError(
            f"{why}; a private one can be started only by root on Linux",
            fix="install Docker (https://docs.docker.com/engine/install/), start it, and check"
            " that `docker info` answers",
        )


def _install() -> None:
    """Install what a private engine needs from the distribution, if it is not here."""
    _require_root("no Docker engine answers on this machine")
    needed = {"dockerd": "docker.io", "docker": "docker.io", "runc": "runc", "ip": "iproute2"}
    missing = sorted({needed[program] for program in needed if shutil.which(program) is None})
    if missing:
        apt_install(missing)
    if shutil.which("docker") is None:  # a package of its own from Debian 13 on
        apt_install(["docker-cli"])


def apt_install(packages: list[str]) -> None:
    """Install Debian packages. Raises ExternalError where there is no apt-get, or it fails."""
    words = " ".join(packages)
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise ExternalError(f"missing on this machine: {words}", fix=f"apt-get install {words}")
    say(f"installing {words} from the distribution")
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    with toolchain.apt():
        if process.run(install, env=env, check=False).returncode != 0:
            process.run(["apt-get", "update"], env=env)
            process.run(install, env=env)


def _make_private(folder: Path) -> None:
    """Make a folder that only we can enter: whoever reaches an engine's socket is root."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    if folder.stat().st_uid != os.geteuid():
        raise ExternalError(f"{folder} belongs to somebody else", fix=f"delete {folder}")


def _start(state: Path) -> Engine:
    folder = state.resolve() / "docker"
    run = runtime_folder(state)
    _make_private(run)
    bridge = _bridge(state)
    socket = run / "docker.sock"
    daemon = _daemon(state)
    daemon.stop()  # one that runs but no longer answers
    _end_orphans(run)
    for stale in (run / "docker.pid", socket):
        stale.unlink(missing_ok=True)
    program = shutil.which("dockerd")
    if program is None:
        raise ExternalError("`dockerd` is not on PATH", fix="apt-get install docker.io")
    arguments: list[str | Path] = [
        *(program, "--host", f"unix://{socket}", "--pidfile", run / "docker.pid"),
        *("--data-root", folder / "data", "--exec-root", run / "exec"),
        *("--config-file", folder / "daemon-settings.json"),
        *("--bridge", bridge, "--iptables=false", "--ip-forward=false", "--ip-masq=false"),
        "--group=root",
    ]
    folder.mkdir(parents=True, exist_ok=True)
    settings = json.dumps(runtime.settings())
    (folder / "daemon-settings.json").write_text(f"{settings}\n", "utf-8")
    say("starting a private Docker engine")
    try:
        daemon.start(arguments, lambda: _private(state) is not None, facts={"bridge": bridge})
    except ExternalError:
        stop_engine(state)
        raise
    engine = _private(state)
    if engine is None:
        raise ExternalError("the private Docker engine stopped again", fix=f"read {daemon.log}")
    return engine


def _bridge(state: Path) -> str:
    """Make the network bridge of the private engine: two engines can't share `docker0`."""
    name = f"mgo-{_short(state)}"
    # Two engines that start at once must not find the same network free.
    with locked(toolchain.cache_folder() / "bridges.lock"):
        if not Path("/sys/class/net", name).exists():
            routes = process.run(["ip", "-4", "route", "show", "table", "all"]).stdout
            network = ipaddress.ip_network(free_subnet(routes, int(_short(state), 16)))
            process.run(["ip", "link", "add", name, "type", "bridge"])
            address = f"{network.network_address + 1}/{network.prefixlen}"
            process.run(["ip", "address", "add", address, "dev", name])
            process.run(["ip", "link", "set", name, "up"])
    return name


def add_buildx(engine: Engine, buildx: Path) -> None:
    """Let the engine's command line have buildx as a plugin."""
    with locked(engine.state / "engine.lock"):
        link = engine.config / "cli-plugins" / "docker-buildx"
        link.parent.mkdir(parents=True, exist_ok=True)
        target = buildx.resolve()
        if not link.is_symlink() or link.readlink() != target:
            link.unlink(missing_ok=True)
            link.symlink_to(target)


def _write_config(engine: Engine) -> None:
    """Write the DOCKER_CONFIG folder: the host's proxies for builds."""
    engine.config.mkdir(parents=True, exist_ok=True)
    settings = engine.config / "config.json"
    if not settings.exists():
        proxies = proxies_of(os.environ)
        content = {"proxies": {"default": proxies}} if proxies else {}
        settings.touch(mode=0o600)  # a proxy's address may hold a password
        settings.write_text(json.dumps(content) + "\n", "utf-8")


def proxies_of(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the proxy variables in the form of Docker's config.json."""
    keys = {"httpProxy": "http_proxy", "httpsProxy": "https_proxy", "noProxy": "no_proxy"}
    found = {key: variables.get(name.upper()) or variables.get(name) for key, name in keys.items()}
    return {key: value for key, value in found.items() if value}
