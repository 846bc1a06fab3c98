"""What Git holds."""

from __future__ import annotations

from urllib.parse import quote

from model_gitops_local.forge.shapes.addresses import Addresses, Json, node_id
from model_gitops_local.forge.state import Repository


class GitData(Addresses):
    """Shapes of refs, files and folders."""

    def ref(self, repository: Repository, name: str, sha: str, kind: str) -> Json:
        """Return a git-ref."""
        url = f"{self.repo_url(repository)}/git"
        return {
            "ref": name,
            "node_id": node_id(f"Ref{name}", repository.id),
            "url": f"{url}/{quote(name)}",
            "object": {"type": kind, "sha": sha, "url": f"{url}/{kind}s/{sha}"},
        }

    def content(
        self, repository: Repository, sha: str, entry: tuple[str, str, str, int, str]
    ) -> Json:
        """Return one entry of a contents answer, without the file's content."""
        mode, kind, item, size, path = entry
        what = {"tree": "dir", "commit": "submodule"}.get(kind, "file")
        what = "symlink" if mode == "120000" else what
        page = self.page_url(repository)
        url = f"{self.repo_url(repository)}/contents/{quote(path)}?ref={sha}"
        git = f"{self.repo_url(repository)}/git/{kind}s/{item}"
        html = f"{page}/{'tree' if what == 'dir' else 'blob'}/{sha}/{quote(path)}"
        return {
            "type": what,
            "size": size,
            "name": path.rpartition("/")[2],
            "path": path,
            "sha": item,
            "url": url,
            "git_url": git,
            "html_url": html,
            "download_url": f"{page}/raw/{sha}/{quote(path)}" if what == "file" else None,
            "_links": {"self": url, "git": git, "html": html},
        }
