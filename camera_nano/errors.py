"""What can go wrong. Each error carries the exit code that the command ends with.

Commands print data on stdout, progress and errors on stderr. Exit codes: 0 all ok, 1 some files failed, 2 usage,
3 environment (model, camera, port), 4 no space, 130 interrupted.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended, for the shell."""

    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    ENVIRONMENT = 3
    NO_SPACE = 4
    INTERRUPTED = 130


class CameraNanoError(Exception):
    """Something that the user can mend. Its text is one line: what failed, why, and what to do."""

    exit_code = ExitCode.ENVIRONMENT


class ModelError(CameraNanoError, RuntimeError):
    """The weights are missing, tampered with, or cannot be run here."""


class CameraLost(CameraNanoError, RuntimeError):
    """A camera stopped, or cannot be opened."""


class MissingDevice(CameraNanoError, RuntimeError):
    """A device, or the library for it, is not there."""


class NoDecoder(CameraNanoError, RuntimeError):
    """The processes that read foreign files do not start here."""


class JournalError(CameraNanoError, RuntimeError):
    """The journal of a batch cannot be used."""


class JournalBusy(JournalError):
    """Another run is working in the same folder."""


class UnreadableImage(CameraNanoError, ValueError):
    """A file is not a picture, or not a whole one."""

    exit_code = ExitCode.SOME_FAILED


class UnlikePhotos(CameraNanoError, ValueError):
    """Nothing in photos that were to be merged fits."""

    exit_code = ExitCode.SOME_FAILED


class MissingDecoder(UnreadableImage):
    """The library for this kind of picture is not installed; the text names the extra that has it."""


class TooLarge(UnreadableImage):
    """A picture has more pixels than are read. Its text continues a sentence that begins with the name of the file."""
