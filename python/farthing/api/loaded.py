"""A model file that is loaded: its vocabulary, its engine and its adapters."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any

from farthing import _native
from farthing.api.at_exit import close_at_exit
from farthing.api.dispatch import Dispatcher
from farthing.api.locate import locate
from farthing.api.lora import Adapters
from farthing.api.notices import Notices, log_prefix_files
from farthing.api.starting import Starter
from farthing.errors import FarthingError

if TYPE_CHECKING:
    from typing_extensions import Self

    from farthing.api.lora import Files
    from farthing.chat import ChatTemplate
    from farthing.tokenization import Tokenizer

logger = logging.getLogger("farthing")


class Loaded:
    """What is in memory from loading to closing, whatever is asked of it."""

    def __init__(
        self,
        name: str | os.PathLike[str],
        *,
        draft: str | os.PathLike[str] | None = None,
        n_ctx: int | None = None,
        n_threads: int | None = None,
        kv_type: str = "f16",
        kv_cache_bytes: int | None = None,
        max_sequences: int = 8,
        n_batch: int = 512,
        max_queue: int | None = 1024,
        max_gap_ms: float | None = 100.0,
        repack: bool | None = None,
        n_draft_max: int = 16,
        prompt_lookup: bool = True,
        prefix_cache_bytes: int | None = None,
        ctx_checkpoints: int = 32,
        lora: Files | None = None,
        context_shift: bool = False,
        prefix_cache_dir: str | os.PathLike[str] | None = None,
        prefix_cache_disk_bytes: int = 8 << 30,
    ) -> None:
        """Load a GGUF file.

        `name` is a path, the first part's for a split file, or "demo" for the model inside this
        package. `n_ctx` is the longest sequence in tokens (default: the model's, fitted to
        memory), `n_threads` the number of computing threads (default: what this process may use,
        see `farthing show --cpu`), `kv_type` the type of the KV cache, of keys
        and values ("f32", "f16", "bf16", "q8_0" or "q4_0", of 32 to 4.5 bits a number),
        `kv_cache_bytes` a bound of its memory (default: room for `max_sequences` of the longest, as
        far as memory goes; where less is there, requests take turns),
        `max_sequences` how many requests are computed at a time, `n_batch` how many tokens a pass
        computes, `max_queue` how many requests may wait beside those (None: any number; one more
        raises QueueFullError), `max_gap_ms` about how long, in milliseconds, a running generation
        waits for its next token while prompts of others are computed: they are computed in pieces
        that take no longer, though of no less than 16 tokens (None: in pieces of `n_batch`, which
        is up to a third faster for them), `repack` whether weights are rearranged in memory at
        their second use (default: if they take up to 40 % of what is available; results are the
        same), which is faster than the file's own order but is not shared with other processes.

        Tokens are guessed and computed several in a pass, up to `n_draft_max` for a request and as
        many as pay: the text is the same, sooner where guesses are right. 0 switches it off. With
        `prompt_lookup` guesses are the tokens that came after the same ones earlier in the prompt
        or the answer; `draft` names a smaller model with the same vocabulary that guesses where
        those do not help; should it ever fail, the log says so and it is not asked any more. Models
        with recurrent layers go without.

        What requests have computed is kept for those that begin with the same tokens: by default
        as long as no other request needs the memory of the KV cache; with `prefix_cache_bytes` the
        KV cache is so many bytes larger, and no more are kept; 0 keeps and shares nothing.
        `ctx_checkpoints` is how many states are kept in models with recurrent layers, which can go
        on only from those.

        With `prefix_cache_dir`, a folder, it is also kept in files there, so that another process,
        or this one after a restart, need not compute it again: whole pages of 64 tokens, written
        while nothing else is to do, when they leave memory and by `close`. The folder may be shared
        by models and by processes; what has not been used for longest is removed when there are
        more than `prefix_cache_disk_bytes`. The prompts can be read from the files, by this user
        alone. Files that are damaged or cannot be written are ignored with a warning in the log;
        those of other models and versions are never looked at.

        `lora` loads low-rank adapters (GGUF files as llama.cpp converts them) beside the weights: a
        path or a list of them, which requests then use unless they say otherwise, or files by name,
        for requests to choose from. See `load_lora`.

        With `context_shift`, an answer that fills the context goes on, unless its request says
        otherwise: see `GenerateOptions`. `max_tokens` should then bound it.

        Raises ModelFileError, UnsupportedModelError, OutOfMemoryError, or RequestError for an
        argument out of range.
        """
        self.path = locate(name)
        self.draft_path = None if draft is None else locate(draft)
        self._gguf = _native.Gguf(self.path)
        self._engine = _native.Engine(
            self._gguf,
            draft=None if self.draft_path is None else _native.Gguf(self.draft_path),
            n_ctx=n_ctx,
            n_threads=n_threads,
            kv_type=kv_type,
            max_sequences=max_sequences,
            n_batch=n_batch,
            max_queue=max_queue,
            max_gap_ms=max_gap_ms,
            repack=repack,
            n_draft_max=n_draft_max,
            prompt_lookup=prompt_lookup,
            prefix_cache_bytes=prefix_cache_bytes,
            ctx_checkpoints=ctx_checkpoints,
            prefix_cache_dir=prefix_cache_dir,
            prefix_cache_disk_bytes=prefix_cache_disk_bytes,
            kv_cache_bytes=kv_cache_bytes,
        )
        self._adapters = Adapters(self._engine, lora)
        notable = prefix_cache_dir is not None or draft is not None
        self._notices = Notices(self._engine) if notable else None
        self._dispatcher = Dispatcher(self._engine)
        self._starter = Starter()
        close_at_exit(self)
        self._context_shift = context_shift
        info = self.info
        logger.info("loaded %s: %s", self.path, info)
        _log_context(info, n_ctx)
        if prefix_cache_dir is not None:
            log_prefix_files(info["prefix_cache_folder"])
        logger.info("%d threads: %s", info["n_threads"], info["n_threads_reason"])
        if n_draft_max > info["n_draft_max"]:
            logger.info("no speculation: the model has recurrent layers, which cannot go back")

    @property
    def info(self) -> dict[str, Any]:
        """What was loaded, and the settings in use (`n_ctx`, `n_threads`, `n_vocab` ...)."""
        return self._engine.info

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """The file's metadata by key; arrays are lists, strings that are not UTF-8 are bytes."""
        return self._gguf.metadata

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer built from the file; raises what is wrong with its vocabulary, if anything.

        Without a usable vocabulary the model still takes and gives token ids, with empty text.
        """
        if isinstance(self._tokenizer, FarthingError):
            raise self._tokenizer
        return self._tokenizer

    @cached_property
    def chat_template(self) -> ChatTemplate:
        """The file's chat template; one that is missing or unreadable raises when it renders."""
        from farthing.chat import ChatTemplate

        return ChatTemplate.from_metadata(self._gguf.fields, self.tokenizer)

    def load_lora(self, path: str | os.PathLike[str], name: str | None = None) -> str:
        """Load an adapter that requests can choose, at any time; gives its name back.

        `name` is the file's without its ending by default. The model's weights stay as they are:
        requests with different adapters, and without, are computed together. Half of the adapter
        stays in its file's memory map. Raises ModelFileError or UnsupportedModelError, which name
        the tensor and both shapes where it does not fit, or RequestError if the name is taken.
        """
        return self._adapters.load(path, name)

    def unload_lora(self, name: str) -> None:
        """Forget an adapter. Requests under way keep it to their end."""
        self._adapters.unload(name)

    @property
    def lora(self) -> list[str]:
        """The names of the loaded adapters."""
        return self._adapters.names()

    def close(self) -> None:
        """End all requests and free the memory. Closing again does nothing.

        Within a `logits_processor` the end comes when that returns.
        """
        self._starter.close()
        if self._engine.close():
            self._dispatcher.join()
            if self._notices is not None:
                self._notices.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_starter"):
            self.close()

    @cached_property
    def _tokenizer(self) -> Tokenizer | FarthingError:
        from farthing.tokenization import Tokenizer

        try:
            return Tokenizer.from_metadata(self._gguf.fields)
        except FarthingError as error:
            logger.warning("%s: token ids only: %s", self.path, error)
            return error


def _log_context(info: Mapping[str, Any], asked: int | None) -> None:
    logger.info(
        "a context of %d tokens%s: %s asked for, %d in training; each takes %d bytes of the"
        " KV cache, which has %d bytes of %d available",
        info["n_ctx"],
        ", fitted to memory" if info["n_ctx_fitted"] else "",
        "none" if asked is None else asked,
        info["n_ctx_train"],
        info["kv_bytes_per_token"],
        info["kv_bytes"],
        info["kv_bytes_available"],
    )
