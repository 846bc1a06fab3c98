"""What doctor judges of a deploy repository's manifests: containers against the image, Argo CD's own."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model_gitops.adapters.doctor import deploy_files
from model_gitops.core.deploy import containers as manifests
from model_gitops.core.doctor import argocd, containers, deploying
from model_gitops.core.doctor.finding import Finding
from model_gitops.core.document import load_yaml
from model_gitops.core.flow import promotion
from model_gitops.core.flow.environment import Environment
from model_gitops.core.image.runtime import Runtime, runtime

# --- containers ---------------------------------------------------------------------------------------


def container(text: str) -> manifests.Container:
    pod = load_yaml(text, source="x")
    (found,) = manifests.read({"kind": "Deployment", "spec": {"template": {"spec": pod}}}, "d.yaml")
    return found


@pytest.mark.parametrize(
    ("security", "user", "ok"),
    [
        ("{runAsNonRoot: true, runAsUser: 7}", "7:7", True),
        ("{runAsUser: 7}", "8", False),
        ("{runAsNonRoot: true, runAsUser: 0}", "", False),
        ("{runAsNonRoot: true}", "root", False),
        ("{runAsNonRoot: true}", "0", False),
        ("{runAsNonRoot: true}", "app", False),
        ("{runAsNonRoot: true}", "7", True),
        ("{runAsNonRoot: true}", "", None),
        ("{runAsUser: 7}", "app", True),
        ("{}", "", True),
    ],
)
def test_who_runs_a_container(security: str, user: str, ok: bool | None) -> None:
    one = container(f"securityContext: {security}\ncontainers: [{{name: c, image: m}}]")
    found = containers.user([one], Runtime(user=user))
    assert found.ok is ok
    assert ok or found.fix


@pytest.mark.parametrize(
    ("command", "dockerfile", "ok"),
    [
        ("command: [/v/uwsgi, --ini, x]", 'CMD ["/v/uwsgi"]', True),
        ("command: [uwsgi]", 'CMD ["/v/uwsgi"]', True),
        ("command: [/other/uwsgi]", 'CMD ["/v/uwsgi"]', False),
        ("command: [gunicorn]", "CMD uwsgi --ini x", False),
        ("command: [gunicorn]", "# gunicorn\nRUN pip install gunicorn\nCMD uwsgi", True),
        ("command: [gunicorn]", "# no gunicorn here\nCMD uwsgi", False),
        ("command: [python, -m, app]", "FROM python:3.12 AS x\nCMD uwsgi", True),
        ("command: [sh, -c, x]", 'ENTRYPOINT ["/v/uwsgi"]', True),
        ("args: [--x]", 'ENTRYPOINT ["/v/uwsgi"]', True),
        ("", 'ENTRYPOINT ["/v/uwsgi"]', True),
        ("", "RUN true", None),
        ("", "FROM scratch\nCOPY m /m", False),
        ("command: [uwsgi]", "ARG BASE=scratch\nFROM ${BASE}\nCOPY m /m", False),
        ("command: [/serve]", "FROM scratch\nCOPY serve /serve", True),
    ],
)
def test_what_a_container_starts(command: str, dockerfile: str, ok: bool | None) -> None:
    entry = "".join(f"\n    {line}" for line in [command] if line)
    one = container(f"containers:\n  - name: c\n    image: m{entry}\n")
    text = dockerfile if dockerfile.startswith(("FROM", "ARG")) else f"FROM x\n{dockerfile}"
    assert containers.command([one], runtime(text), text).ok is ok


@pytest.mark.parametrize(
    ("ports", "probe", "exposed", "ok"),
    [
        ("{name: http, containerPort: 8080}", "http", (8080,), True),
        ("{name: http, containerPort: 8080}", "web", (8080,), False),
        ("{name: http, containerPort: 8080}", "8080", (), True),
        ("{name: http, containerPort: 8080}", "9090", (), False),
        ("{name: http, containerPort: 8080}", "9090", (8080, 9090), True),
        ("{name: http, containerPort: 8080}", "http", (9090,), False),
        ("{containerPort: 8080}, {containerPort: 9090}", "8080", (8080,), True),
        ("", "8080", (9090,), True),
    ],
)
def test_ports_and_probes(ports: str, probe: str, exposed: tuple[int, ...], ok: bool) -> None:
    one = container(
        f"containers: [{{name: c, image: m, ports: [{ports}],"
        f" livenessProbe: {{httpGet: {{path: /x, port: {probe}}}}}}}]"
    )
    assert containers.ports([one], Runtime(ports=exposed)).ok is ok


def test_without_a_dockerfile_nobody_can_say_what_fits() -> None:
    one = container("containers: [{name: c, image: m, command: [x]}]")
    assert containers.user([one], None).ok is None
    assert containers.command([one], None, "").ok is None
    assert containers.ports([one], None).ok is None
    assert containers.user([], Runtime()).ok is None
    assert containers.ports([], Runtime()).ok is None


def test_how_an_image_runs_is_read_stage_by_stage() -> None:
    text = (
        "FROM a AS base\nENV U=7\nARG PORT=8080\nUSER ${U}\nEXPOSE ${PORT}/tcp 9000-9001\nCMD x -y\n"
        'FROM base AS one\nENTRYPOINT ["e", "f"]\nFROM b\nCMD ["z"]\n'
    )
    assert runtime(text) == Runtime("", (), (), ("z",))
    assert runtime(text, "one") == Runtime("7", (8080, 9000, 9001), ("e", "f"), ())
    assert runtime(text, "base").words == ("x", "-y")
    assert runtime("") == Runtime()


BASE = """kind: Deployment
metadata: {name: d}
spec: {template: {spec: {securityContext: {runAsUser: 7}, containers: [{name: c, image: m}]}}}
"""
USER_8 = "spec: {template: {spec: {securityContext: {runAsUser: 8}}}}"
STEP = "[{op: add, path: %s, value: 1}]"
TOP = "resources: [../base]\n"


def built(folder: Path, overlay: str, **files: str) -> deploy_files.Manifests:
    """The manifests of a deploy repository; `files` are of its folder `more`."""
    base = {"base/kustomization.yaml": "resources: [d.yaml]\n", "base/d.yaml": BASE}
    of_more = {f"more/{name}.yaml": text for name, text in files.items()}
    for name, text in {**base, **of_more, "o/dev/kustomization.yaml": overlay}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.replace("../base", "../../base"), "utf-8")
    return deploy_files.Manifests(deploy_files.Folder(folder))


DEV = Environment("dev", "main", path="o/dev")


@pytest.mark.parametrize(
    ("overlay", "more", "ok", "said"),
    [
        ("", {}, True, ""),
        (f"patches: [{{target: {{kind: Deploy.*}}, patch: '{USER_8}'}}]", {}, False, "in o/dev/"),
        (f"patches: [{{target: {{name: other}}, patch: '{USER_8}'}}]", {}, True, ""),
        ("patches: [{path: ../../more/p.yaml}]", {"p": f"kind: Deployment\nmetadata: {{name: d}}\n{USER_8}"}, False, "in more/p.yaml"),
        (
            "components: [../../more]",
            {"kustomization": f"kind: Component\npatches: [{{target: {{kind: Deployment}}, patch: '{USER_8}'}}]"},
            False, "in more/",
        ),
        # What only kustomize can apply may be what makes it right.
        (f"patches: [{{target: {{kind: Deployment}}, patch: '{STEP % '/spec/template/spec/containers/0'}'}}]", {}, None, "the JSON patch of o/dev/"),
        (f"patches: [{{target: {{kind: Deployment}}, patch: '{STEP % '/spec/replicas'}'}}]", {}, False, ""),
        ("transformers: [../../more/t.yaml]", {}, None, "`transformers`"),
        ("replacements: [{source: {kind: S}, targets: [{select: {kind: Deployment}, fieldPaths: [spec.template.spec.securityContext.runAsUser]}]}]", {}, None, "`replacements`"),
        ("replacements: [{source: {kind: S}, targets: [{select: {kind: Deployment}, fieldPaths: ['spec.template.spec.containers.[name=c].env.0.value']}]}]", {}, False, ""),
    ],
)  # fmt: skip
def test_what_an_overlay_changes_in_its_pods(
    overlay: str, more: dict[str, str], ok: bool | None, said: str, tmp_path: Path
) -> None:
    made = built(tmp_path, f"{TOP}{overlay}\n", **more)
    # Right before any patch, but where what is not applied is asked for: wrong there.
    image = Runtime(user="7" if ok or said.startswith("in ") else "9")
    found = containers.user(made.containers(made.overlay(DEV), ["m"]), image)
    assert found.ok is ok, found
    assert said in found.found


@pytest.mark.parametrize(
    ("overlay", "said"),
    [
        ("", "o/dev/kustomization.yaml is empty"),
        ("resources: [../base, no.yaml]\n", "names no.yaml, which is not there"),
        ("resources: [../base, ../../more/twice.yaml]\n", "more/twice.yaml is not valid YAML"),
        ("resources: [../base, https://example.com/x.yaml]\n", ""),
    ],
)
def test_what_no_build_can_read_is_told(overlay: str, said: str, tmp_path: Path) -> None:
    made = built(tmp_path, overlay, twice="a: 1\na: 2\n")
    environments = [{"name": "dev", "branch": "main"}]
    rules = promotion.parse({"model": "m", "image": "ghcr.io/a/m", "environments": environments})
    found = deploying.overlays([made.overlay(DEV)], rules, "base")
    assert found.ok is not bool(said)
    assert said in found.found
    assert bool(found.fix) is bool(said)


TEMPLATE = Path(__file__).parents[2] / "templates" / "deploy"


@pytest.mark.parametrize(
    ("switch", "kind"),
    [
        ("canary", ("argoproj.io", "Rollout")),
        ("canary-gateway", ("gateway.networking.k8s.io", "HTTPRoute")),
        ("blue-green", ("argoproj.io", "Rollout")),
        ("kserve", ("serving.kserve.io", "InferenceService")),
    ],
)
def test_what_the_template_switches_on_is_read(
    switch: str, kind: tuple[str, str], tmp_path: Path
) -> None:
    """Argo CD's project must allow the kinds that come of it, and the container is judged as before."""
    shutil.copytree(TEMPLATE, tmp_path / "deploy")
    file = tmp_path / "deploy" / "overlays" / "dev" / "kustomization.yaml"
    file.write_text(file.read_text("utf-8") + f"components: [../../{switch}]\n", "utf-8")
    made = deploy_files.Manifests(deploy_files.Folder(tmp_path / "deploy"))
    overlay = made.overlay(Environment("dev", "main", path="overlays/dev"))
    assert overlay.problem == ""
    kinds = made.built(overlay).kinds
    assert kind in kinds
    # What kustomize leaves out no project must allow.
    assert not {("apps", "Deployment"), ("", "ConfigMap")} & set(kinds)
    assert not [one for one in kinds if "TakenBy" in one[1]]
    (container,) = made.containers(overlay, ["diabetes"])
    assert (container.unread, container.user, container.kind) == (
        "",
        10001,
        "Deployment" if switch == "kserve" else "Rollout",
    )


def test_a_patch_changes_the_container_of_its_name() -> None:
    manifest = {
        "kind": "D",
        "metadata": {"name": "d"},
        "spec": {"containers": [{"name": "a"}, {"name": "b", "x": 1, "y": 2}]},
    }
    patch = {
        "kind": "D",
        "metadata": {"name": "d"},
        "spec": {"containers": [{"name": "b", "x": 3, "y": None}]},
    }
    assert manifests.is_patch_of(patch, manifest)
    assert not manifests.is_patch_of({"kind": "D"}, manifest)
    made = manifests.merged(manifest, patch)
    assert made["spec"]["containers"] == [{"name": "a"}, {"name": "b", "x": 3}]


# --- Argo CD ------------------------------------------------------------------------------------------


def application(url: str = "https://h/o/r.git", path: str = "overlays/dev", **spec: Any) -> Any:
    source = {"repoURL": url, "path": path, "targetRevision": spec.pop("revision", "HEAD")}
    return {
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "a"},
        "spec": {"source": source, "project": "p", **spec},
    }  # fmt: skip


def synced(document: Any, branch: str = "main") -> Finding:
    found = list(argocd.applications(document, "a.yaml"))
    return argocd.judge_applications(found, ["overlays/dev"], "o/r", "https://h/o/r.git", branch)


@pytest.mark.parametrize(
    ("document", "ok"),
    [
        (application(), True),
        (application("git@h:o/r.git"), True),
        (application("ssh://git@h:22/o/r"), True),
        (application(path="./overlays/dev/"), True),
        (application(revision="main"), True),
        (application(revision="next"), False),
        (application("https://h/o/old.git"), False),
        (application(path="overlays/qa"), False),
        ({"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "metadata": {"name": "s"},
          "spec": {"template": {"spec": application(path="overlays/{{env}}")["spec"]}}}, True),
        ({"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet",
          "metadata": {"name": "s", "annotations": {argocd.OFF: "nobody applied it"}},
          "spec": {"template": {"spec": application(path="overlays/{{env}}")["spec"]}}}, None),
        ({"apiVersion": "other/v1", "kind": "Application", "spec": {}}, None),
        ("text", None),
    ],
)  # fmt: skip
def test_applications(document: Any, ok: bool | None) -> None:
    assert synced(document).ok is ok


DEPLOY = Path(__file__).parents[2] / "templates" / "deploy"
DEPLOY_URL = "https://github.com/acme/diabetes-deploy.git"
FOLDERS = [
    str(one.relative_to(DEPLOY)) for one in sorted(DEPLOY.rglob("*")) if one.is_dir()
]  # fmt: skip


def template_set() -> Any:
    """The template's ApplicationSet, applied."""
    found = load_yaml((DEPLOY / "applicationset/applicationset.yaml").read_text("utf-8"), source="")
    del found["metadata"]["annotations"][argocd.OFF]
    return found


def test_the_templates_applicationset_makes_what_is_in_argocd() -> None:
    found = list(argocd.applications(template_set(), "s.yaml", "acme/diabetes-deploy", FOLDERS))
    written = [
        replace(one, file="s.yaml", is_generated=True, makes_namespace=False)
        for path in (DEPLOY / "argocd").rglob("*.yaml")
        for text in path.read_text("utf-8").split("\n---\n")
        for one in argocd.applications(load_yaml(text, source=""), "")
    ]
    assert len(found) == 5
    assert sorted(found, key=str) == sorted(written, key=str)


def of_set(one: Any, *folders: str) -> list[tuple[str, str, str]]:
    made = argocd.applications(one, "s.yaml", "acme/diabetes-deploy", folders)
    return [(each.name, each.sources[0].path, each.sources[0].repository) for each in made]


def test_the_other_models_of_an_applicationset_are_others() -> None:
    one = template_set()
    elements = one["spec"]["generators"][0]["matrix"]["generators"][0]["list"]["elements"]
    elements.insert(0, {"model": "churn", "repository": "https://github.com/acme/churn-deploy.git"})
    assert of_set(one, "overlays/dev") == [("diabetes-dev", "overlays/dev", DEPLOY_URL)]
    # A repository that nothing names, and a folder that nothing names.
    elements.pop()
    (found,) = argocd.applications(one, "s.yaml", "acme/diabetes-deploy", ["overlays/dev"])
    judged = argocd.judge_applications([found], ["overlays/dev"], "acme/diabetes-deploy", "", "")
    assert judged.ok is False and "of https://github.com/acme/churn-deploy.git" in judged.found
    found = list(
        argocd.applications(template_set(), "s.yaml", "acme/diabetes-deploy", ["envs/dev"])
    )  # type: ignore[assignment]
    judged = argocd.judge_applications(found, ["envs/dev"], "acme/diabetes-deploy", "", "")  # type: ignore[arg-type]
    assert judged.ok is False
    assert judged.fix == "in s.yaml, under `directories` of its git generator: - path: envs/dev"


def set_of(*generators: Any, name: str, path: str, **spec: Any) -> Any:
    template = application(DEPLOY_URL, path) | {"metadata": {"name": name}}
    return {
        "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "metadata": {"name": "s"},
        "spec": {"generators": list(generators), "template": template, **spec},
    }  # fmt: skip


def git(*places: Any) -> Any:
    return {"git": {"repoURL": DEPLOY_URL, "revision": "HEAD", "directories": list(places)}}


@pytest.mark.parametrize(
    ("document", "made"),
    [
        # Without Go's templates, as most are written.
        (set_of(git({"path": "overlays/*"}), name="m-{{path.basename}}", path="{{path}}"), ["m-dev overlays/dev", "m-qa overlays/qa"]),
        (set_of(git({"path": "overlays/*"}, {"path": "overlays/q?", "exclude": True}), name="{{path[1]}}", path="{{path}}"), ["dev overlays/dev"]),
        (set_of({"list": {"elements": [{"env": "dev", "at": {"of": "eu"}}]}}, name="{{env}}-{{at.of}}", path="overlays/{{env}}"), ["dev-eu overlays/dev"]),
        (set_of({"list": {"elements": [{"env": "dev"}]}}, git({"path": "a/b"}), name="{{.env}}", path="overlays/{{ .env }}", goTemplate=True), ["dev overlays/dev", "s overlays/{{ .env }}"]),
        (set_of(git({"path": "*"}), name='{{ if ne .path.path "a" }}{{ .path.path }}{{ else }}b{{ end }}', path="{{.path.path}}", goTemplate=True), ["b a", "overlays overlays"]),
        # What is not read is open, as it was.
        (set_of({"clusters": {}}, name="{{name}}", path="overlays/{{env}}"), ["s overlays/{{env}}"]),
        (set_of({"matrix": {"generators": [git({"path": "a"}), {"clusters": {}}]}}, name="{{name}}", path="{{path}}"), ["s {{path}}"]),
        (set_of({**git({"path": "a"}), "selector": {}}, name="a", path="{{path}}"), ["a {{path}}"]),
        (set_of(git({"path": "a"}), name="{{ .path.path | upper }}", path="{{ .path.path }}", goTemplate=True), ["s a"]),
        (set_of(git({"path": "none/*"}), name="a", path="{{path}}"), ["s "]),
    ],
)  # fmt: skip
def test_generators(document: Any, made: list[str]) -> None:
    found = of_set(document, ".git", "a", "a/b", "overlays", "overlays/dev", "overlays/qa")
    assert [f"{name} {path}" for name, path, _ in found] == made


def test_an_application_that_syncs_another_models_overlay_is_not_taken_away() -> None:
    found = list(argocd.applications(application(path="overlays/other"), "argocd/a.yaml"))
    free = argocd.judge_applications(found, ["x", "y"], "o/r", "", "")
    assert free.fix.splitlines() == [
        "in argocd/a.yaml: path: x",
        "in the deploy repository: cp argocd/a.yaml argocd/y.yaml",
        "in argocd/y.yaml: path: y, and a name and a namespace of its own",
    ]
    taken = argocd.judge_applications(found, ["x"], "o/r", "", "", ["overlays/other"])
    assert taken.fix.startswith("in the deploy repository: cp argocd/a.yaml argocd/x.yaml")


def project(**spec: Any) -> Any:
    return {
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": "p"},
        "spec": {
            "sourceRepos": ["https://h/o/*"], "destinations": [{"server": "*", "namespace": "m-*"}], **spec,
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "kinds", "namespace", "ok"),
    [
        ({}, [("apps", "Deployment")], "m-dev", True),
        ({}, [("apps", "Deployment")], "other", False),
        ({"sourceRepos": ["https://h/x/*"]}, [], "m-dev", False),
        ({"sourceRepos": ["*", "!https://h/o/r.git"]}, [], "m-dev", False),
        ({"namespaceResourceBlacklist": [{"group": "apps", "kind": "*"}]}, [("apps", "Deployment")], "m-dev", False),
        ({"namespaceResourceWhitelist": [{"group": "apps", "kind": "Deployment"}]}, [("apps", "Deployment")], "m-dev", True),
        ({"namespaceResourceWhitelist": []}, [("", "Service")], "m-dev", False),
        ({}, [("", "Namespace")], "m-dev", False),
        ({"clusterResourceWhitelist": [{"group": "*", "kind": "*"}]}, [("", "Namespace")], "m-dev", True),
        ({"destinations": [{"server": "*", "namespace": "*"}, {"server": "*", "namespace": "!m-dev"}]}, [], "m-dev", False),
    ],
)  # fmt: skip
def test_projects(spec: Any, kinds: Any, namespace: str, ok: bool) -> None:
    found = list(argocd.applications(application(destination={"server": "s"}), "a.yaml"))
    known = list(argocd.projects(project(**spec), "p.yaml"))
    built = [argocd.Built("overlays/dev", namespace, tuple(kinds))]
    judged = argocd.judge_project(found, known, built)
    assert judged.ok is ok
    assert ok or judged.fix.startswith("in p.yaml, under ")


def test_a_project_that_is_elsewhere_is_not_judged() -> None:
    found = list(argocd.applications(application(), "a.yaml"))
    built = [argocd.Built("overlays/dev", "x", ())]
    assert argocd.judge_project(found, [], built).ok is None
    default = [replace(one, project="default") for one in found]
    assert argocd.judge_project(default, [], built).ok is True
    assert argocd.judge_project([], [], built).ok is None


@pytest.mark.parametrize(
    ("pattern", "url", "ok"),
    [
        ("https://git.example/acme/d.git", "https://git.example/Acme/d", True),
        ("https://git.example/acme/*", "https://git.example/acme/d.git", True),
        ("https://git.example/*", "https://git.example/acme/d.git", False),
        ("https://git.example/**", "https://git.example/acme/d.git", True),
        ("https://git.example/acme/d.git", "git@git.example:acme/d.git", False),
        ("git@git.example:acme/*", "ssh://git@git.example/acme/d.git", True),
        ("*", "git@git.example:acme/d.git", True),
    ],
)
def test_the_repositories_of_a_project(pattern: str, url: str, ok: bool) -> None:
    source = {"repoURL": url, "path": "o/dev"}
    application = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "a"},
                   "spec": {"project": "p", "source": source}}  # fmt: skip
    project = {"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": "p"},
               "spec": {"sourceRepos": [pattern], "destinations": [{"server": "*", "namespace": "*"}]}}  # fmt: skip
    found = argocd.judge_project(
        list(argocd.applications(application, "a.yaml")),
        list(argocd.projects(project, "p.yaml")),
        [argocd.Built("o/dev", "", ())],
    )
    assert found.ok is ok, found
