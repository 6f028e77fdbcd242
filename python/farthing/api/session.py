"""Conversations that remember what was said, in memory or in a file."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from farthing.api.session_file import SessionFile
from farthing.types import Completion

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from farthing.api.chat_stream import ChatStream
    from farthing.api.model import Model
    from farthing.api.sampling import GenerateOptions


class Conversation:
    """Messages exchanged with a model, kept in memory.

    An answer that was cancelled is kept as far as it came, with `"cancelled": True`.
    """

    def __init__(self, model: Model, *, system_prompt: str | None = None) -> None:
        self._model = model
        self._system_prompt = system_prompt
        self._messages: list[dict[str, Any]] = []

    @property
    def messages(self) -> list[dict[str, Any]]:
        """A copy of what was said so far, with the system prompt first if there is one."""
        system = self._system_prompt
        head = [{"role": "system", "content": system}] if system is not None else []
        return head + [dict(message) for message in self._messages]

    def send(self, text: str, **options: Unpack[GenerateOptions]) -> Completion:
        """Say something, wait for the answer and remember both."""
        return self.stream(text, **options).wait()

    async def asend(self, text: str, **options: Unpack[GenerateOptions]) -> Completion:
        """`send` for asyncio."""
        return await self.stream(text, **options).await_result()

    def stream(self, text: str, **options: Unpack[GenerateOptions]) -> ChatStream:
        """Say something and stream the answer; both are remembered when the stream ends."""
        said = {"role": "user", "content": text}

        def remember(answer: Completion) -> None:
            reply = answer.message
            if answer.finish_reason == "cancelled":
                reply["cancelled"] = True
            self._append([said, reply])

        shown = [_without_mark(message) for message in self.messages]
        return self._model._chat([*shown, said], options, on_end=remember)

    def reset(self) -> None:
        """Forget what was said; the system prompt stays."""
        self._messages = []

    def _append(self, messages: list[dict[str, Any]]) -> None:
        self._messages = [*self._messages, *messages]


class Session(Conversation):
    """A conversation kept in a file and taken up again by its id.

    `store` is the directory of the files, by default `$FARTHING_HOME/sessions`, else
    `~/.local/share/farthing/sessions`; without `session_id` a new conversation begins. The system
    prompt is not stored: it is the caller's with every new Session.

    Each exchange begins with what the file says, so sessions of one id in several processes may
    take turns. Should two answers overlap, the later one to end raises SessionError and is not
    stored.
    """

    def __init__(
        self,
        model: Model,
        session_id: str | None = None,
        store: str | os.PathLike[str] | None = None,
        system_prompt: str | None = None,
    ) -> None:
        super().__init__(model, system_prompt=system_prompt)
        self.session_id = session_id if session_id is not None else uuid.uuid4().hex
        self._file = SessionFile(store, self.session_id)
        self._messages = self._file.read()

    def stream(self, text: str, **options: Unpack[GenerateOptions]) -> ChatStream:
        """Say something and stream the answer; both are stored when the stream ends."""
        self._messages = self._file.read()
        return super().stream(text, **options)

    def reset(self) -> None:
        """Forget what was said, in the file too; the system prompt stays."""
        self._messages = self._file.read()
        self._file.write([])
        self._messages = []

    def _append(self, messages: list[dict[str, Any]]) -> None:
        together = [*self._messages, *messages]
        self._file.write(together)
        self._messages = together


def _without_mark(message: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key != "cancelled"}
