# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Encryption of secret files at rest, by age or GnuPG. Plain text passes through pipes alone."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ..command import Command, Place, run
from ..errors import BadInput, CommandFailed

SUFFIX = {"age": ".age", "gpg": ".gpg"}


@dataclass(frozen=True)
class Encryption:
    """How secret files are encrypted.

    Attributes:
        tool: `age` or `gpg`.
        recipients: Public keys: of age (`age1...`, or `ssh-ed25519 ...`), or files with GnuPG public keys.
        identity_file: File with the private key; needed to restore, not to back up or to verify.
        tool_folder: Folder of the program; empty for the search path.
    """

    tool: str = "age"
    recipients: t.Sequence[str] = ()
    identity_file: str = ""
    tool_folder: str = ""

    def encrypting(self) -> Command:
        """The command that encrypts its input.

        Raises:
            BadInput: There are no recipients.
            ToolMissing: The program is not there.
        """
        if not self.recipients:
            raise BadInput(
                "Files are to be encrypted, but no key is named",
                next_step="name the public keys: backup_encryption: {tool: age, recipients: [age1...]}",
            )
        program = self._program()
        if self.tool == "age":
            return Command([program, "--encrypt", *(part for one in self.recipients for part in ("--recipient", one))])
        files = [part for one in self.recipients for part in ("--recipient-file", one)]
        return Command([program, *_GPG, "--no-keyring", "--compress-algo", "none", "--output", "-", "--encrypt", *files])

    def decrypting(self, key_folder: str = "") -> Command:
        """The command that decrypts its input.

        Args:
            key_folder: For GnuPG: folder that `import_key` has filled.
        """
        self.require_identity()
        program = self._program()
        if self.tool == "age":
            return Command([program, "--decrypt", "--identity", self.identity_file])
        return Command([program, *_GPG, "--homedir", key_folder, "--decrypt"])

    def import_key(self, key_folder: str) -> None:
        """For GnuPG: make the private key known in a folder of its own, which holds only the key as it is in its file."""
        if self.tool == "gpg":
            self.require_identity()
            os.chmod(key_folder, 0o700)
            run(Command([self._program(), *_GPG, "--homedir", key_folder, "--import", self.identity_file], timeout_s=60))

    def forget_key(self, key_folder: str) -> None:
        """For GnuPG: end the agent that it left running for that folder."""
        if self.tool == "gpg":
            run(Command(["gpgconf", "--homedir", key_folder, "--kill", "all"], timeout_s=20), check=False)

    def require_identity(self) -> None:
        """Raise BadInput unless the private key can be read."""
        if not self.identity_file:
            raise BadInput(
                "The set holds encrypted files, and no private key is named",
                next_step="name its file: backup_encryption: {identity_file: ...}; it need not lie on this host at other times",
            )
        if not os.access(self.identity_file, os.R_OK):
            raise BadInput("The private key cannot be read", where=self.identity_file, next_step="put it there, or correct identity_file")

    def check(self) -> None:
        """Encrypt nothing, to see that program and keys are usable.

        Raises:
            BadInput: A key is not one.
        """
        try:
            run(Command(self.encrypting().argv, timeout_s=60), stdin=b"")
        except CommandFailed as error:
            raise BadInput("The files cannot be encrypted", why=error.why, next_step="correct recipients in backup_encryption") from error

    def _program(self) -> str:
        return Place(tool_folder=self.tool_folder).program(self.tool)


_GPG = ("--batch", "--quiet", "--no-tty", "--trust-model", "always")
