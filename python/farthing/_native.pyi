"""The compiled module. Private: the public names are in `farthing`.

Its errors are those of `farthing.errors`. Everything may be called from any thread; what computes
or waits does so without the GIL and lets Ctrl-C through within 50 ms.
"""

from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any, Literal, final

import numpy as np
import numpy.typing as npt

from farthing.types import LogitsProcessor

__all__ = [
    "Adapter",
    "Breakers",
    "Constraint",
    "Embeddings",
    "Engine",
    "Finished",
    "Gguf",
    "Grammar",
    "Request",
    "Strings",
    "Token",
    "TokenBytes",
    "TokenModel",
    "Vocabulary",
    "cpu_info",
    "dequantize",
    "machine_peak",
    "samplers",
]

def cpu_info() -> dict[str, Any]: ...
def dequantize(data: bytes, type_name: str, n_elements: int) -> npt.NDArray[np.float32]: ...
def samplers() -> dict[str, str]: ...
def machine_peak(n_threads: int | None = None, seconds: float = 0.3) -> dict[str, Any]: ...

@final
class Gguf:
    """A GGUF file or split set, memory-mapped and checked."""

    def __new__(cls, path: str | PathLike[str]) -> Gguf: ...
    @property
    def version(self) -> int: ...
    @property
    def parts(self) -> list[str]: ...
    @property
    def metadata(self) -> dict[str, Any]: ...
    @property
    def fields(self) -> dict[str, Any]: ...
    @property
    def tensors(self) -> list[dict[str, Any]]: ...
    def kv_bytes(self, n_ctx: int | None = None, kv_type: str = "f16") -> int: ...

@final
class Engine:
    """A loaded model with its KV cache and the thread that runs it.

    Only the process that made it may use it: a forked child gets `FarthingError`.
    """

    def __new__(
        cls,
        gguf: Gguf,
        *,
        draft: Gguf | None = None,
        n_ctx: int | None = None,
        n_threads: int | None = None,
        kv_type: str = "f16",
        max_sequences: int = 8,
        n_batch: int = 512,
        max_queue: int | None = None,
        max_gap_ms: float | None = None,
        repack: bool | None = None,
        n_draft_max: int = 16,
        prompt_lookup: bool = True,
        prefix_cache_bytes: int | None = None,
        ctx_checkpoints: int = 32,
        prefix_cache_dir: str | PathLike[str] | None = None,
        prefix_cache_disk_bytes: int = ...,
        kv_cache_bytes: int | None = None,
    ) -> Engine: ...
    @property
    def info(self) -> dict[str, Any]: ...
    @property
    def status(self) -> dict[str, int]: ...
    def start_profile(self) -> None: ...
    def stop_profile(self) -> dict[str, Any]: ...
    def submit(
        self,
        tokens: Sequence[int],
        params: dict[str, Any],
        *,
        logits_processor: Sequence[LogitsProcessor] | None = None,
    ) -> Request: ...
    def check(self, tokens: Sequence[int], params: dict[str, Any]) -> None: ...
    def evaluate(
        self, tokens: Sequence[int], *, lora: Sequence[tuple[Adapter, float]] | None = None
    ) -> npt.NDArray[np.float32]: ...
    def load_adapter(self, gguf: Gguf) -> Adapter: ...
    def embed(
        self, texts: Iterable[Sequence[int]], *, pooling: str | None = None
    ) -> Embeddings: ...
    def wait_ready(self, timeout: float) -> list[int] | None: ...
    def wait_notices(self, timeout: float) -> list[str] | None: ...
    def close(self) -> bool: ...

@final
class Adapter:
    """A low-rank adapter, for requests to the engine that loaded it."""

    @property
    def n_matrices(self) -> int: ...
    @property
    def n_bytes(self) -> int: ...
    @property
    def ignored(self) -> list[str]: ...

@final
class Embeddings:
    """Embeddings of some texts in progress. Dropping it cancels them."""

    @property
    def id(self) -> int: ...
    def take(
        self, timeout: float | None = None
    ) -> npt.NDArray[np.float32] | list[npt.NDArray[np.float32]] | None: ...
    def watch(self) -> None: ...
    def cancel(self) -> None: ...

@final
class Request:
    """One generation in progress. Dropping it cancels it."""

    @property
    def id(self) -> int: ...
    def take(self, timeout: float | None = None) -> list[Token | Finished]: ...
    def watch(self) -> None: ...
    def cancel(self) -> None: ...

@final
class Token:
    """A generated token."""

    @property
    def id(self) -> int: ...
    @property
    def logprob(self) -> float | None: ...
    @property
    def top(self) -> list[tuple[int, float]]: ...

@final
class Finished:
    """The end of a generation."""

    @property
    def reason(self) -> Literal["stop", "length", "timeout", "cancelled"]: ...
    @property
    def context_shifted(self) -> int: ...
    @property
    def cached_n(self) -> int: ...
    @property
    def prompt_n(self) -> int: ...
    @property
    def prompt_ms(self) -> float: ...
    @property
    def predicted_n(self) -> int: ...
    @property
    def predicted_ms(self) -> float: ...
    @property
    def draft_n(self) -> int: ...
    @property
    def draft_n_accepted(self) -> int: ...
    @property
    def queue_ms(self) -> float: ...

@final
class Breakers:
    """Token sequences across which DRY does not take text for repeated."""

    def __new__(cls, sequences: Sequence[tuple[int, Sequence[int]]]) -> Breakers: ...

@final
class Strings:
    """An array of strings as it is in the file; bytes stand for what is not UTF-8."""

    def __new__(cls, texts: Iterable[str | bytes]) -> Strings: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> str | bytes: ...
    def find(self, texts: Sequence[str]) -> dict[str, int]: ...
    def tolist(self) -> list[str | bytes]: ...

@final
class TokenBytes:
    """The bytes of text that each token stands for; `types` are `tokenizer.ggml.token_type`."""

    @staticmethod
    def plain(tokens: Strings | Iterable[str | bytes]) -> TokenBytes: ...
    @staticmethod
    def byte_level(
        tokens: Strings | Iterable[str | bytes], types: npt.NDArray[np.int32]
    ) -> TokenBytes: ...
    @staticmethod
    def pieces(
        tokens: Strings | Iterable[str | bytes], types: npt.NDArray[np.int32], space: str
    ) -> TokenBytes: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> bytes: ...

@final
class Vocabulary:
    """The tokens of a model as grammars need them; compiles grammars, and keeps the last ones."""

    def __new__(
        cls,
        tokens: TokenBytes,
        *,
        special: Sequence[int],
        unused: Sequence[int],
        ends: Sequence[int],
    ) -> Vocabulary: ...
    def json_schema(self, schema: str) -> Grammar: ...
    def json_object(self) -> Grammar: ...
    def regex(self, pattern: str) -> Grammar: ...
    def choices(self, texts: Sequence[str]) -> Grammar: ...
    def gbnf(self, text: str) -> Grammar: ...
    def lark(
        self,
        text: str,
        schemas: Sequence[tuple[str, str]] | None = None,
        texts: Sequence[tuple[str, str, str]] | None = None,
    ) -> Grammar: ...

@final
class Grammar:
    """A compiled grammar; for requests to models with its vocabulary."""

@final
class Constraint:
    """A grammar, and where in an answer it begins: at once, after reasoning, or at a text.

    `thinking` are the texts that begin (None if it has begun) and end reasoning; `triggers` are
    texts, whether each counts only at the beginning of the answer, and whether the grammar begins
    after it.
    """

    def __new__(
        cls,
        grammar: Grammar,
        *,
        thinking: tuple[str | None, str] | None = None,
        triggers: Sequence[tuple[str, bool, bool]] | None = None,
    ) -> Constraint: ...

@final
class TokenModel:
    """A vocabulary and the rule that it was made for: pieces of text to ids.

    Ids are places in `tokens`; text never turns into those `left_out`. For a character without a
    token stand the 256 `byte_ids` if given, else `unknown` if given, else nothing.
    """

    @staticmethod
    def bpe(
        tokens: Strings | Iterable[str | bytes],
        merges: Strings | Iterable[str | bytes],
        *,
        byte_ids: Sequence[int] | None = None,
        unknown: int | None = None,
        whole_pieces: bool = False,
    ) -> TokenModel: ...
    @staticmethod
    def spm(
        tokens: Strings | Iterable[str | bytes],
        scores: npt.NDArray[np.float32],
        *,
        left_out: Sequence[int],
        byte_ids: Sequence[int] | None = None,
        unknown: int | None = None,
    ) -> TokenModel: ...
    @staticmethod
    def unigram(
        tokens: Strings | Iterable[str | bytes],
        scores: npt.NDArray[np.float64],
        unknown_score: float,
        *,
        left_out: Sequence[int],
        unknown: int | None = None,
        charsmap: bytes | None = None,
        merge_spaces: bool = False,
        space_prefix: bool = False,
    ) -> TokenModel: ...
    @staticmethod
    def plamo2(
        tokens: Strings | Iterable[str | bytes],
        scores: npt.NDArray[np.float32],
        *,
        left_out: Sequence[int],
        byte_ids: Sequence[int],
    ) -> TokenModel: ...
    @staticmethod
    def longest(
        tokens: Strings | Iterable[str | bytes],
        *,
        left_out: Sequence[int],
        unknown: int | None = None,
    ) -> TokenModel: ...
    def encode(self, pieces: Sequence[str]) -> list[int]: ...
