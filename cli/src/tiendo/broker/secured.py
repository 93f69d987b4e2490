"""A second listener of a node, for users who can say who they are: TLS, and SCRAM-SHA-512."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Secured:
    """Listens on 127.0.0.1 at `port`. `keystore`: a PEM file with a private key (PKCS #8) and its certificate.

    `users`: the password of each. They are made with the node's storage: those of a later start change nothing.
    What each may do is for access rules to say, and without one, that is nothing.
    """

    port: int
    keystore: Path
    users: Mapping[str, str]

    @property
    def bootstrap(self) -> str:
        """Where clients find it."""
        return f"127.0.0.1:{self.port}"

    def format_options(self) -> list[str]:
        """What makes the users, while the storage is made."""
        return [
            f"--add-scram=SCRAM-SHA-512=[name={name},password={password}]"
            for name, password in self.users.items()
        ]
