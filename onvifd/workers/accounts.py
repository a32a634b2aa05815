"""The accounts of the RTSP face in a worker: digests only, replaced as a whole when control sends them."""

from __future__ import annotations

from onvifd.access.types import Account, Credential, Level
from onvifd.workers.messages import Credentials


class AccountTable:
    """Gives credentials by name, from memory (CredentialLookup)."""

    def __init__(self) -> None:
        self._known: dict[str, Credential] = {}

    def replace(self, message: Credentials) -> None:
        """Take over all accounts; those not named are gone."""
        self._known = {
            spec.name: Credential(Account(spec.name, Level(spec.level)), spec.ha1) for spec in message.accounts
        }

    def lookup(self, name: str) -> Credential | None:
        return self._known.get(name)
