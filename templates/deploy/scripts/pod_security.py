"""What the restricted level of Kubernetes' Pod Security Standards forbids in a pod.

The rules are those of https://kubernetes.io/docs/concepts/security/pod-security-standards/ (Kubernetes 1.35,
Linux, pods in the host's user namespace). A control has the name that its field or its check has there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

EXEMPTION = "model-gitops/pod-security-exemption"
CONTROLS = (
    "allowPrivilegeEscalation", "appArmorProfile", "capabilities", "hostNamespaces", "hostPorts", "hostProbes",
    "privileged", "procMount", "runAsNonRoot", "runAsUser", "seLinuxOptions", "seccompProfile", "sysctls",
    "volumes", "windowsHostProcess",
)  # fmt: skip
VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected",
    "secret",
}  # fmt: skip
SELINUX = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
SYSCTLS = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem", "net.ipv4.tcp_syncookies", "net.ipv4.tcp_wmem",
}  # fmt: skip
APPARMOR = "container.apparmor.security.beta.kubernetes.io/"


def violations(metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is not restricted in a pod: the control's name, and what to change."""
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield "hostNamespaces", f"{field} must not be true"
    for volume in _list(spec, "volumes"):
        kinds = [key for key, value in volume.items() if key != "name" and value is not None]
        if kinds and not set(kinds) & VOLUMES:  # one that names no kind is an emptyDir
            yield "volumes", f"volume {volume.get('name')!r} must not be a {' '.join(kinds)}"
    pod = _dict(spec, "securityContext")
    for sysctl in _list(pod, "sysctls"):
        if sysctl.get("name") not in SYSCTLS:
            yield "sysctls", f"securityContext.sysctls must not set {sysctl.get('name')!r}"
    for key, value in _dict(metadata, "annotations").items():
        if key.startswith(APPARMOR) and not str(value).startswith(
            ("runtime/default", "localhost/")
        ):
            yield "appArmorProfile", f"annotation {key} must not be {value!r}"
    yield from _either("securityContext", pod)
    for key in ("initContainers", "containers", "ephemeralContainers"):
        for container in _list(spec, key):
            yield from _container(f"container {container.get('name')!r}: ", container, pod)


def _container(
    where: str, container: Mapping[str, Any], pod: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    own = _dict(container, "securityContext")
    place = f"{where}securityContext"
    yield from _either(place, own)
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation", f"{place}.allowPrivilegeEscalation must be false"
    if own.get("privileged"):
        yield "privileged", f"{place}.privileged must not be true"
    capabilities = _dict(own, "capabilities")
    if "ALL" not in (capabilities.get("drop") or ()):
        yield "capabilities", f"{place}.capabilities.drop must have ALL"
    for one in capabilities.get("add") or ():
        if one != "NET_BIND_SERVICE":
            yield "capabilities", f"{place}.capabilities.add must not have {one}"
    if own.get("procMount") not in (None, "", "Default"):
        yield "procMount", f"{place}.procMount must be Default"
    # The pod's setting counts where the container has none of its own.
    if own.get("runAsNonRoot") is None and pod.get("runAsNonRoot") is not True:
        yield "runAsNonRoot", f"{place}.runAsNonRoot, or the pod's, must be true"
    if own.get("seccompProfile") is None and pod.get("seccompProfile") is None:
        yield "seccompProfile", f"{place}.seccompProfile.type, or the pod's, must be RuntimeDefault"
    yield from _host(where, container)


def _host(where: str, container: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield where a container asks for the node's ports, or lets the node ask another host."""
    for port in _list(container, "ports"):
        if port.get("hostPort"):
            yield "hostPorts", f"{where}hostPort {port['hostPort']} must go"
    probes = [
        _dict(container, name) for name in ("livenessProbe", "readinessProbe", "startupProbe")
    ]
    hooks = [_dict(_dict(container, "lifecycle"), name) for name in ("postStart", "preStop")]
    for handler in (*probes, *hooks):
        for name in ("httpGet", "tcpSocket"):
            if _dict(handler, name).get("host"):
                yield "hostProbes", f"{where}{name}.host must go: a probe asks the pod itself"


def _either(place: str, context: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what neither a pod's nor a container's securityContext may say."""
    if context.get("runAsNonRoot") is False:
        yield "runAsNonRoot", f"{place}.runAsNonRoot must be true"
    if context.get("runAsUser") == 0:
        yield "runAsUser", f"{place}.runAsUser must not be 0"
    for name in ("seccompProfile", "appArmorProfile"):
        profile = context.get(name)
        if profile is not None and profile.get("type") not in ("RuntimeDefault", "Localhost"):
            yield name, f"{place}.{name}.type must be RuntimeDefault or Localhost"
    linux = _dict(context, "seLinuxOptions")
    if linux.get("type", "") not in SELINUX or linux.get("user") or linux.get("role"):
        yield (
            "seLinuxOptions",
            f"{place}.seLinuxOptions must have no user, no role and no such type",
        )
    if _dict(context, "windowsOptions").get("hostProcess"):
        yield "windowsHostProcess", f"{place}.windowsOptions.hostProcess must not be true"


def judge(metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield `error` or `notice` and a text: what is not restricted, and what is exempt from it and why.

    A pod says what it needs and why in one annotation, `CONTROL, CONTROL: REASON`. What it does not need
    it must not ask for.
    """
    found = list(violations(metadata, spec))
    text = _dict(metadata, "annotations").get(EXEMPTION)
    names, _, reason = str(text or "").partition(":")
    exempt = {name.strip() for name in names.split(",")} - {""}
    if text is not None:
        if unknown := sorted(exempt - set(CONTROLS)):
            yield (
                "error",
                f"{EXEMPTION} names no control {', '.join(unknown)}: there are {', '.join(CONTROLS)}",
            )
        elif not exempt or not reason.strip():
            yield "error", f"{EXEMPTION} must be `CONTROL, CONTROL: REASON`, not {text!r}"
        elif idle := sorted(exempt - {control for control, _ in found}):
            yield "error", f"{EXEMPTION} names {', '.join(idle)}, which this pod keeps: take it out"
        elif found:
            yield "notice", f"exempt from {', '.join(sorted(exempt))}: {reason.strip()}"
    for control, problem in found:
        if control not in exempt or not reason.strip():
            yield "error", f"{problem} (Pod Security `restricted`, {control})"


def _dict(node: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = node.get(key)
    return found if isinstance(found, dict) else {}


def _list(node: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = node.get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
