"""The file behind a Session: JSON, replaced as a whole, guarded against two writers."""

from __future__ import annotations

import fcntl
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from farthing.errors import RequestError, SessionError

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


def default_store() -> Path:
    """`$FARTHING_HOME/sessions`, else `~/.local/share/farthing/sessions` (or by XDG_DATA_HOME)."""
    home = os.environ.get("FARTHING_HOME")
    if home:
        return Path(home) / "sessions"
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "farthing" / "sessions"


class SessionFile:
    """One conversation on disk.

    `revision` counts the writes; a write that does not follow the revision read before is refused,
    so a second writer's messages are never overwritten unseen.
    """

    def __init__(self, store: str | os.PathLike[str] | None, session_id: str) -> None:
        if not _ID.fullmatch(session_id):
            raise RequestError(
                f"session_id {session_id!r}: want 1 to 128 of A-Z a-z 0-9 . _ -, "
                "the first not a dot or dash"
            )
        self._directory = Path(store) if store is not None else default_store()
        self.path = self._directory / f"{session_id}.json"
        self._revision = 0

    def read(self) -> list[dict[str, Any]]:
        """The messages, none when there is no file yet.

        Raises SessionError naming a file that cannot be read or does not hold a conversation.
        """
        self._revision, messages = self._load()
        return messages

    def write(self, messages: list[dict[str, Any]]) -> None:
        """Replace the file, atomically.

        Raises SessionError when somebody else wrote it since `read`, or it cannot be written.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            with self._locked():
                on_disk, _ = self._load()
                if on_disk != self._revision:
                    raise SessionError(
                        f"{self.path}: changed by another writer (revision {on_disk}, expected "
                        f"{self._revision}); nothing was overwritten"
                    )
                revision = self._revision + 1
                self._replace({"revision": revision, "messages": messages})
                self._revision = revision
        except OSError as error:
            raise SessionError(f"{self.path}: cannot be written: {error}") from error

    def _load(self) -> tuple[int, list[dict[str, Any]]]:
        try:
            content = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return 0, []
        except (OSError, ValueError, RecursionError) as error:
            raise SessionError(f"{self.path}: cannot be read: {error}") from error
        match content:
            case {"revision": int(revision), "messages": list(messages)} if revision > 0 and all(
                map(_is_message, messages)
            ):
                return revision, messages
        raise SessionError(f"{self.path}: is not a stored conversation")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with open(self.path.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _replace(self, content: dict[str, Any]) -> None:
        handle, temporary = tempfile.mkstemp(dir=self._directory, prefix=".", suffix=".tmp")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(content, file, ensure_ascii=False, indent=1)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
        except BaseException:
            os.unlink(temporary)
            raise
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _is_message(item: object) -> bool:
    match item:
        case {"role": str(), "content": str() | None}:
            return True
    return False
