"""Certificate authorities of the tests' own, made by openssl."""

from __future__ import annotations

import base64
from pathlib import Path

from model_gitops.adapters import process

# Of the tests' own, for a day.
DAYS = "1"


class Authority:
    """A certificate authority in a folder, by openssl."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        folder.mkdir()
        self._new("ca", f"/CN={name}", "-x509", "-days", DAYS)

    def _new(self, name: str, subject: str, *more: str) -> None:
        process.run(
            ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
             "-keyout", f"{name}.key", "-out", f"{name}.{'crt' if '-x509' in more else 'csr'}", *more],
            cwd=self.folder,
        )  # fmt: skip

    def sign(self, name: str, host: str = "") -> None:
        """Make NAME.crt and NAME.key, for a server at `host` or for a client."""
        self._new(name, f"/O=readers/CN={name}")
        (self.folder / "more").write_text(f"subjectAltName=IP:{host}\n" if host else "")
        process.run(
            ["openssl", "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", DAYS,
             "-CAcreateserial", "-extfile", "more", "-out", f"{name}.crt"],
            cwd=self.folder,
        )  # fmt: skip

    def data(self, file: str) -> str:
        """Return a file as a kubeconfig has it."""
        return base64.b64encode((self.folder / file).read_bytes()).decode()
