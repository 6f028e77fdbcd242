"""The compiled module. Private: the public names are in `farthing`.

Its errors are those of `farthing.errors`. Everything may be called from any thread; what computes
or waits does so without the GIL and lets Ctrl-C through within 50 ms.
"""

from collections.abc import Sequence
from os import PathLike
from typing import Any, Literal, final

import numpy as np
import numpy.typing as npt

__all__ = [
    "Engine",
    "Finished",
    "Gguf",
    "Request",
    "Token",
    "cpu_info",
    "dequantize",
]

def cpu_info() -> dict[str, Any]: ...
def dequantize(data: bytes, type_name: str, n_elements: int) -> npt.NDArray[np.float32]: ...

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
        n_ctx: int | None = None,
        n_threads: int | None = None,
        kv_type: str = "f16",
        max_sequences: int = 8,
        n_batch: int = 512,
    ) -> Engine: ...
    @property
    def info(self) -> dict[str, Any]: ...
    @property
    def status(self) -> dict[str, int]: ...
    def start_profile(self) -> None: ...
    def stop_profile(self) -> dict[str, Any]: ...
    def submit(
        self, tokens: Sequence[int], params: dict[str, Any], *, notify: bool = False
    ) -> Request: ...
    def evaluate(self, tokens: Sequence[int]) -> npt.NDArray[np.float32]: ...
    def wait_ready(self, timeout: float) -> list[int] | None: ...
    def close(self) -> None: ...

@final
class Request:
    """One generation in progress. Dropping it cancels it."""

    @property
    def id(self) -> int: ...
    def take(self, timeout: float | None = None) -> list[Token | Finished]: ...
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
    def reason(self) -> Literal["stop", "length", "cancelled"]: ...
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
    def queue_ms(self) -> float: ...
