"""The deploy repository: opened with what proves who we are, in a temporary object store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from model_gitops.adapters import git_credentials, process, scratch
from model_gitops.adapters.deploy_history import DeployHistory
from model_gitops.adapters.git_store import Store
from model_gitops.core.deploy import hold
from model_gitops.core.deploy.hold import Hold
from model_gitops.core.deploy.location import Location, check_token
from model_gitops.errors import InputError

# ext::, git:// and other helpers of git run programs, or prove nothing.
_PROTOCOLS = "https:http:ssh:file"
# What servers and git say of a repository that is not there, or that we may not see.
_NOT_THERE = ("not found", "does not exist", "does not appear to be a git repository")


class DeployRepository(DeployHistory):
    """A remote repository: its files, its branches and its history."""

    def hold_at(self, commit: str, folder: str) -> Hold | None:
        """Return what holds the overlay in `folder` at `commit`, also a hold that ran out; None for nothing.

        A file that can't be read holds, and says why.
        """
        path = hold.path_of(folder)
        try:
            text = self.text_at(commit, path)
        except InputError as error:
            return hold.unreadable(error)
        return None if text is None else hold.read_closed(text, source=path)


def check_secrets(location: Location, token: str, ssh_key: str, server_url: str) -> None:
    """Refuse credentials that do not fit the place, `server_url` being theirs. Raises InputError."""
    if token and ssh_key:
        raise InputError(
            "inputs `token` and `ssh-key` are both given; one of them is enough",
            fix="leave `ssh-key` out, or leave `token` out",
        )
    if token and location.scheme == "ssh":
        problem = "`token` is for http and https; this URL is for ssh"
        fix = f"repository: {location.slug or 'owner/name'}"
        raise InputError.of("repository", location.url, problem, fix=fix)
    if token:
        check_token(location, server_url)
    if ssh_key and location.scheme in ("http", "https"):
        problem = "`ssh-key` is for ssh; this URL is for http"
        fix = f"repository: git@{location.host}:{location.slug}.git"
        raise InputError.of("repository", location.url, problem, fix=fix)


@contextmanager
def connected(
    location: Location, token: str, ssh_key: str, known_hosts: str = ""
) -> Iterator[DeployRepository]:
    """Open the deploy repository with what proves who we are; say so where nothing was given."""
    with _credentials(location, token, ssh_key, known_hosts) as credentials:
        try:
            with opened(location.url, credentials) as deploy:
                yield deploy
        except process.ProcessError as error:
            said = error.completed.stderr.lower()
            marks = (
                "could not read username",
                "authentication failed",
                "permission denied (publickey",
            )
            if "host key verification failed" in said:
                raise InputError(
                    f"{location.host} does not have the key that `known-hosts` names",
                    fix=f"compare its key with what its owner publishes: ssh-keyscan {location.host}",
                ) from error
            if any(mark in said for mark in _NOT_THERE):
                fix = (
                    f"make {location.url} (model-gitops adopt --deploy FOLDER writes its files), correct"
                    " `deploy.repository` in promotion.yaml, or give a token that may read it"
                )
                raise process.ProcessError(error.completed, fix=fix) from error
            if token or ssh_key or not any(mark in said for mark in marks):
                raise
            raise InputError(
                "inputs `token` and `ssh-key` are both empty, and the deploy repository asks who we"
                " are",
                fix="set the secret that the step's `token` takes: in the templates DEPLOY_TOKEN of the"
                " GitHub environment, or DEPLOY_READ_TOKEN where it only reads (GITHUB_TOKEN reaches its"
                " own repository only); or ssh-key: ${{ secrets.DEPLOY_KEY }}",
            ) from error


@contextmanager
def _credentials(
    location: Location, token: str, ssh_key: str, known_hosts: str
) -> Iterator[git_credentials.Credentials]:
    if ssh_key:
        with git_credentials.ssh_credentials(ssh_key, known_hosts) as credentials:
            yield credentials
    else:
        yield git_credentials.token_credentials(location.url, token)


@contextmanager
def opened(url: str, credentials: git_credentials.Credentials) -> Iterator[DeployRepository]:
    """Make the temporary store for the repository at `url`; removed after."""
    with scratch.folder("model-gitops-deploy-") as folder:
        limits = {"GIT_ALLOW_PROTOCOL": _PROTOCOLS}
        known = replace(credentials, env={**credentials.env, **limits})
        yield DeployRepository(Store(folder, url, known), url)
