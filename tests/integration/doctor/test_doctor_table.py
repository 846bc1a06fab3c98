"""All is in order; then one thing is broken at a time: that check is the one ✗, and its fix mends it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from doctor_world import MACHINE, SERVER, Place
from public_projects import dvc

from model_gitops.core.doctor import checks


def test_a_set_up_in_order_has_no_cross(place: Place) -> None:
    """A hold is no disorder, one that can't be read neither: `status` tells of it."""
    for name, text in (("dev", "reason: p95 too high\n"), ("staging", "[")):
        (place.deploy / f"overlays/{name}/hold.yaml").write_text(text, "utf-8")
    place.commit()
    code, findings = place.doctor()
    assert code == 0, [one for one in findings if not one["ok"]]
    assert [one["check"] for one in findings] == [one.id for one in checks.CHECKS]
    asked = [one for one in findings if one["check"] not in MACHINE | SERVER]
    assert {one["ok"] for one in asked} == {True}, [one for one in asked if not one["ok"]]
    assert all(one["found"] for one in findings)
    assert all(one["ok"] is None and one["fix"] for one in findings if one["check"] in SERVER)


def edit(file: str, old: str, new: str) -> Callable[[Place], None]:
    return lambda place: place.edit(file, old, new)


def remove(path: str) -> Callable[[Place], None]:
    def removed(place: Place) -> None:
        place.sh(f"rm -rf {path}", place.model if (place.model / path).exists() else place.deploy)

    return removed


def unnamed(place: Place) -> None:
    place.edit(
        "dvc.yaml", "artifacts:\n  diabetes: {path: models/diabetes.onnx, type: model}\n", ""
    )


def unverified(place: Place) -> None:
    """promotion.yaml asks for a verification, and what deploys has no job for it."""
    file = place.model / "promotion.yaml"
    file.write_text(f"{file.read_text('utf-8')}\nverify: {{url: https://example.com}}\n", "utf-8")
    place.sh("sed --in-place '/^  verify:$/,/^    secrets: inherit/d' .github/workflows/deploy.yml")


DEPLOY, PROMOTE = ".github/workflows/deploy.yml", ".github/workflows/promote.yml"
BASE, PROJECT = "base/deployment.yaml", "argocd/project.yaml"
# What is broken, the checks that find it, and a part of what they say.
BROKEN: dict[str, tuple[Callable[[Place], None], set[str], str]] = {
    "rules": (edit("promotion.yaml", "model: diabetes", "modle: diabetes"), {"promotion"}, "modle"),
    "artifact": (unnamed, {"model"}, "no artifact"),
    "renamed": (edit("promotion.yaml", "model: diabetes", "model: churn"), {"model"}, "names diabetes"),
    "metric": (edit("promotion.yaml", "json:r2", "json:f1"), {"metrics", "champion-metrics"}, "eval/metrics.json:f1"),
    "remote": (edit(".dvc/config", "remote = storage", "analytics = false"), {"dvc-remote"}, "storage"),
    "branch of a deployment": (edit(DEPLOY, "[main, staging, ", "[main, "), {"workflow-branches"}, "for staging"),
    "another branch": (edit(DEPLOY, "staging, production]", "staging, production, next]"), {"workflow-branches"}, "next"),
    "branch of a pull request": (edit(PROMOTE, "branches: [main, staging, ", "branches: [main, "), {"workflow-branches"}, "for staging"),
    "secret": (edit(DEPLOY, "\n    environment: ${{ needs.check.outputs.environment }}\n", "\n"), {"workflow-secrets"}, "DEPLOY_TOKEN"),
    "packages": (edit(DEPLOY, "      packages: write # to push the first environment's image\n", ""), {"workflow-packages"}, "may not write packages"),
    "verification": (unverified, {"workflow-verify"}, "deploys to dev"),
    "overlay": (remove("overlays/staging"), {"overlays"}, "overlays/staging"),
    "image": (edit("overlays/dev/kustomization.yaml", "newName: ghcr.io/acme/diabetes", "newName: ghcr.io/acme/other"), {"overlay-images"}, "ghcr.io/acme/other"),
    "user": (edit(BASE, "runAsUser: 10001", "runAsUser: 1000"), {"container-user"}, "1000"),
    "root": (edit("Dockerfile", "USER 10001:10001", "USER 10002:10002"), {"container-user"}, "10002"),
    "command": (edit(BASE, "/opt/venv/bin/uwsgi,", "/opt/venv/bin/gunicorn,"), {"container-command"}, "gunicorn"),
    "port": (edit(BASE, "containerPort: 8080", "containerPort: 9090"), {"container-ports"}, "9090"),
    "probe": (edit(BASE, "httpGet: {path: /healthz, port: http}", "httpGet: {path: /healthz, port: web}"), {"container-ports"}, "'web'"),
    "application": (edit("argocd/dev.yaml", "path: overlays/dev", "path: overlays/old"), {"argocd-applications"}, "overlays/dev"),
    "another branch of it": (edit("argocd/staging.yaml", "targetRevision: main", "targetRevision: next"), {"argocd-applications"}, "next"),
    "another repository": (edit("argocd/dev.yaml", "acme/deploy.git", "acme/old.git"), {"argocd-applications", "argocd-project"}, "acme/old"),
    "namespace": (edit(PROJECT, "namespace: diabetes-dev}", "namespace: other}"), {"argocd-project"}, "diabetes-dev"),
    "kind": (edit(PROJECT, '    - {group: "", kind: Namespace}\n', '    - {group: "", kind: Node}\n'), {"argocd-project"}, "Namespace"),
    "forbidden kind": (edit(PROJECT, '{group: "", kind: LimitRange}', '{group: apps, kind: Deployment}'), {"argocd-project"}, "Deployment"),
}  # fmt: skip


# What is broken together: nothing of one round touches what another one's check looks at.
ROUNDS = (
    ("rules",),
    ("artifact", "branch of a deployment", "overlay", "user", "application"),
    ("renamed", "another branch"),
    ("metric", "branch of a pull request", "namespace", "verification"),
    ("remote", "secret", "root", "kind"),
    ("packages", "image", "command", "port", "another repository"),
    ("probe", "forbidden kind", "another branch of it"),
)
# Their fix says what to think about: no line mends them.
BY_HAND = {"rules", "metric", "another repository", "forbidden kind"}


def test_each_thing_that_is_broken_is_in_some_round() -> None:
    assert sorted(BROKEN) == sorted(name for names in ROUNDS for name in names)


@pytest.mark.parametrize("names", ROUNDS, ids=lambda names: names[0])
def test_what_is_broken_is_a_cross_and_nothing_else_is_and_its_fix_mends_it(
    place: Place, names: tuple[str, ...]
) -> None:
    for name in names:
        BROKEN[name][0](place)
    place.commit()
    code, findings = place.doctor()
    wrong = {one["check"]: one for one in findings if one["ok"] is False}
    assert code == 3
    assert set(wrong) == set().union(*(BROKEN[name][1] for name in names)), wrong
    for name in names:
        _, found_by, said = BROKEN[name]
        assert said in " ".join(wrong[one]["found"] for one in found_by)
        assert all(wrong[one]["fix"] for one in found_by)
    left = set().union(*(BROKEN[name][1] for name in names if name in BY_HAND))
    mended = set(wrong) - left
    for check in mended:
        place.mend(wrong[check]["fix"])
    if mended:
        place.commit()
        code, findings = place.doctor()
        assert {one["check"] for one in findings if one["ok"] is False} == left, findings
        assert code == (3 if left else 0)


def test_what_was_not_pushed_is_pushed_by_the_fix(place: Place) -> None:
    (place.model / "data/train.csv").unlink()
    (place.model / "data/train.csv").write_text(f"{place.model}\n", "utf-8")
    dvc(place.model, "add", "data/train.csv")
    dvc(place.model, "repro")
    place.commit()
    wrong = {one["check"]: one for one in place.doctor()[1] if one["ok"] is False}
    assert set(wrong) == {"model-pushed", "data-pushed"}
    fix = "where they were made: "
    assert all(one["fix"].startswith(fix) for one in wrong.values())
    place.sh(wrong["model-pushed"]["fix"].removeprefix(fix))
    assert place.doctor()[0] == 0
