"""Certificates for the tests of TLS: made when they are asked for, and worth nothing anywhere else."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate with its key."""

    certificate: Path
    key: Path


class Authority:
    """An authority of its own, which nobody trusts unasked. `file` is its certificate, `name` its organisation."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self.name = name
        self._ca = trustme.CA(organization_name=name)
        self._issued = 0
        self.file = folder / f"{name}.pem"
        self._ca.cert_pem.write_to_path(self.file)

    def issue(self, host: str = "127.0.0.1", *, expired: bool = False) -> Pair:
        """Make a certificate for one host, a name or an address."""
        self._issued += 1
        end = datetime.now(UTC) - timedelta(days=1) if expired else None
        made = self._ca.issue_cert(host, not_after=end)
        stem = self._folder / f"{self.name}-{self._issued}"
        pair = Pair(certificate=stem.with_suffix(".crt"), key=stem.with_suffix(".key"))
        made.cert_chain_pems[0].write_to_path(pair.certificate)
        made.private_key_pem.write_to_path(pair.key)
        return pair
