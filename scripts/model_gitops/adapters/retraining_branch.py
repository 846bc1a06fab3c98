"""The branch of a retraining in the checkout: begun at the base, or gone on with and the base merged in."""

from __future__ import annotations

import posixpath

from model_gitops import runner
from model_gitops.adapters import project_files
from model_gitops.adapters.git import Git
from model_gitops.core.dvc import lock_merge, stages
from model_gitops.core.dvc.files import Project
from model_gitops.errors import ExternalError, RefusedError

# The author and committer of what is merged and recorded.
WE = (
    "-c", "user.name=github-actions[bot]",
    "-c", "user.email=41898282+github-actions[bot]@users.noreply.github.com",
    "-c", "core.hooksPath=/dev/null",
)  # fmt: skip


def tip(repository: Git, branch: str) -> str | None:
    """Fetch `branch` of the server, and return its commit; None where there is none."""
    ref = f"refs/heads/{branch}"
    if not repository.remote_refs("origin", ref).get(ref):
        return None
    own = f"refs/remotes/origin/{branch}"
    if not repository.try_fetch(f"+{ref}:{own}"):
        return None
    return repository.commit_of(own)


def base_tip(repository: Git, base: str) -> str:
    """Return the base's commit on the server. Raises ExternalError where there is no such branch."""
    found = tip(repository, base)
    if found is None:
        raise ExternalError(
            f"the server has no branch {base!r} that this checkout can fetch",
            fix="let actions/checkout keep its credentials: persist-credentials: true, fetch-depth: 0",
        )
    return found


def brings(repository: Git, commit: str, base: str) -> bool:
    """Whether `commit` has files that `base` has not, or others."""
    if repository.is_ancestor(commit, base):
        return False
    fork = repository.run("merge-base", commit, base, check=False).strip()
    return (
        repository.completed("diff", "--quiet", fork or base, commit, check=False).returncode != 0
    )


def is_same(repository: Git, path: str, one: str, other: str) -> bool:
    """Whether two commits have the same file at `path`; no where one of them is not here any more."""
    found = [
        repository.completed("rev-parse", "--verify", "--quiet", f"{commit}:{path}", check=False)
        for commit in (one, other)
    ]
    return all(each.returncode == 0 for each in found) and found[0].stdout == found[1].stdout


def start(repository: Git, branch: str, base: str, folder: str) -> str:
    """Check `branch` out: created, continued, or with the base merged in. Return which.

    `base` is a commit and `folder` that of promotion.yaml. Raises RefusedError where what people wrote
    conflicts; the branch is as it was then.
    """
    there = tip(repository, branch)
    repository.run("checkout", "--quiet", "-B", branch, there or base)
    if there is None:
        return "created"
    if repository.is_ancestor(base, there):
        return "continued"
    done = repository.completed(
        *WE, "merge", "--quiet", "--no-ff", "--no-edit",
        "-m", f"Merge the target branch into {branch}", base, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        _settle(repository, branch, base, folder)
    return "merged"


def _settle(repository: Git, branch: str, base: str, folder: str) -> None:
    """End a merge with conflicts in what is made: dvc.lock by stages, what the pipeline writes anew."""
    conflicts = repository.run("diff", "--name-only", "--diff-filter=U", "-z").split("\0")[:-1]
    made = _made(repository, base)
    own_lock = posixpath.join(folder, "dvc.lock")
    others = [
        one
        for one in conflicts
        if posixpath.basename(one) != "dvc.lock" and one not in made and not one.endswith(".dvc")
    ]
    if others or not conflicts:
        repository.run("merge", "--abort", check=False)
        names = ", ".join(map(repr, others[:5])) or "what git did not name"
        raise RefusedError(
            f"the branch {branch} and its target both changed {names}",
            fix=f"git switch {branch}, merge the target branch by hand, and push; or delete the branch, and"
            " the next run begins anew",
        )
    for path in conflicts:
        if path == own_lock:
            versions = [repository.run("show", f":{n}:{path}", check=False) for n in (1, 2, 3)]
            merged = lock_merge.merge(versions[0], versions[1], versions[2])
            (repository.directory / path).write_text(merged.text, encoding="utf-8")
            left = ", ".join(merged.conflicts) or "none"
            runner.say(f"{path} is merged by stages; both sides changed: {left}")
        else:
            # Written anew by what runs next; until then the target's is right.
            taken = repository.completed("checkout", "--theirs", "--", path, check=False)
            if taken.returncode != 0:
                repository.run("rm", "--quiet", "--cached", "--", path)
                continue
        repository.run("add", "--force", "--", path)
    repository.run(*WE, "commit", "--quiet", "--no-edit")


def _made(repository: Git, commit: str) -> set[str]:
    """Return what the pipelines of a commit write and Git keeps."""
    project = Project(project_files.at(repository, commit))
    return {out.path for stage in stages.locked(project) for out in stage.outs if not out.cached}
