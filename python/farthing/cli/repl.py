"""The chat in the terminal: lines in, streamed answers out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from farthing.errors import FarthingError

if TYPE_CHECKING:
    from farthing.api.chat_stream import ChatStream
    from farthing.api.model import Model
    from farthing.api.session import Conversation
    from farthing.api.stream import TokenStream
    from farthing.types import Timings

PROMPT = ">>> "
CONTINUED = "... "
QUOTES = '"""'

HELP = '''\
/set              show what is set
/set NAME VALUE   set a sampling parameter (temperature, top_k, max_tokens ...)
/clear            forget the conversation
/help             this text
/bye, Ctrl-D      leave
"""               begin and end a message of several lines
Ctrl-C            stop the answer'''


class Repl:
    """A chat, or without a `conversation` plain texts that the model continues one by one."""

    def __init__(
        self,
        model: Model,
        conversation: Conversation | None,
        options: dict[str, Any],
        *,
        verbose: bool,
    ) -> None:
        self._model = model
        self._conversation = conversation
        self._options = options
        self._verbose = verbose

    def run(self) -> None:
        """Read and answer until the user leaves."""
        _enable_line_editing()
        kind = "chat" if self._conversation is not None else "the model continues what you type"
        print(f"{self._model.path.name}: {kind}; /help for help")
        while (text := self._read()) is not None:
            if text.startswith("/"):
                if text == "/bye":
                    return
                self._obey(text)
            elif text.strip():
                try:
                    self.answer(text)
                except FarthingError as error:
                    print(f"{error}")

    def answer(self, text: str) -> bool:
        """Stream the answer to stdout; False when Ctrl-C stopped it."""
        stream: ChatStream | TokenStream
        if self._conversation is not None:
            stream = self._conversation.stream(text, **self._options)
        else:
            stream = self._model.stream(text, **self._options)
        completed = True
        try:
            for piece in stream:
                sys.stdout.write(piece)
                sys.stdout.flush()
        except KeyboardInterrupt:
            completed = False
        sys.stdout.write("\n")
        sys.stdout.flush()
        if self._verbose:
            print(describe(stream.result.timings), file=sys.stderr)
        return completed

    def _read(self) -> str | None:
        """A message or command; None at the end of the input."""
        try:
            text = input(PROMPT)
            if not text.startswith(QUOTES):
                return text
            lines = [text.removeprefix(QUOTES)]
            while not lines[-1].endswith(QUOTES):
                lines.append(input(CONTINUED))
            lines[-1] = lines[-1].removesuffix(QUOTES)
            return "\n".join(lines).strip("\n")
        except EOFError:
            print()
            return None
        except KeyboardInterrupt:
            print("\nCtrl-D or /bye leaves")
            return ""

    def _obey(self, text: str) -> None:
        match text.split(maxsplit=2):
            case ["/help"]:
                print(HELP)
            case ["/clear"]:
                if self._conversation is not None:
                    self._conversation.reset()
            case ["/set"]:
                for name, value in self._options.items():
                    print(f"{name} {value}")
            case ["/set", name, value]:
                self._set(name, value)
            case _:
                print(f"unknown command {text!r}; /help shows the commands")

    def _set(self, name: str, value: str) -> None:
        import json

        from farthing.api.sampling import NAMES

        if name not in NAMES:
            print(f"unknown parameter {name!r}; there are {', '.join(NAMES)}")
            return
        try:
            self._options[name] = json.loads(value)
        except ValueError:
            self._options[name] = value


def describe(timings: Timings) -> str:
    """Timings for people, in one line."""
    guessed = f"; {timings.draft_n_accepted} of {timings.draft_n} guesses were right"
    return (
        f"prompt: {timings.prompt_n} tokens in {timings.prompt_ms:.0f} ms "
        f"({timings.prompt_per_second:.1f}/s, {timings.cache_n} from cache); "
        f"answer: {timings.predicted_n} tokens in {timings.predicted_ms:.0f} ms "
        f"({timings.predicted_per_second:.1f}/s)"
        f"{guessed if timings.draft_n else ''}"
    )


def _enable_line_editing() -> None:
    try:
        import readline  # noqa: F401
    except ImportError:
        return
