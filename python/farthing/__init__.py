"""Run quantized language models on the CPU.

>>> import farthing
>>> model = farthing.Model("model.gguf")
>>> model.generate("Once upon a time", max_tokens=64).text
"""

import importlib
from typing import TYPE_CHECKING, Any

from farthing.errors import (
    BatchError,
    ContextLengthError,
    FarthingError,
    ModelFileError,
    OutOfMemoryError,
    QueueFullError,
    RequestError,
    SessionError,
    UnsupportedModelError,
)
from farthing.types import (
    ChatDelta,
    Completion,
    FinishReason,
    FunctionCall,
    FunctionCallDelta,
    LogitsProcessor,
    Message,
    Pooling,
    PromptTokensDetails,
    RankedDocument,
    TextDelta,
    Timings,
    TokenLogprob,
    ToolCall,
    ToolCallDelta,
    Usage,
)

if TYPE_CHECKING:
    from farthing.api.chat_stream import ChatStream
    from farthing.api.model import Model
    from farthing.api.session import Session
    from farthing.api.stream import TokenStream
    from farthing.chat import ChatTemplate
    from farthing.tokenization import Tokenizer

    __version__: str

__all__ = [
    "BatchError",
    "ChatDelta",
    "ChatStream",
    "ChatTemplate",
    "Completion",
    "ContextLengthError",
    "FarthingError",
    "FinishReason",
    "FunctionCall",
    "FunctionCallDelta",
    "LogitsProcessor",
    "Message",
    "Model",
    "ModelFileError",
    "OutOfMemoryError",
    "Pooling",
    "PromptTokensDetails",
    "QueueFullError",
    "RankedDocument",
    "RequestError",
    "Session",
    "SessionError",
    "TextDelta",
    "Timings",
    "TokenLogprob",
    "TokenStream",
    "Tokenizer",
    "ToolCall",
    "ToolCallDelta",
    "UnsupportedModelError",
    "Usage",
    "__version__",
]

_LAZY = {
    "ChatStream": "farthing.api.chat_stream",
    "ChatTemplate": "farthing.chat",
    "Model": "farthing.api.model",
    "Session": "farthing.api.session",
    "TokenStream": "farthing.api.stream",
    "Tokenizer": "farthing.tokenization",
}
"""Public name -> module, imported when first used: `import farthing` stays fast."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("farthing")
    elif name in _LAZY:
        # First, as its error is the clear one where it cannot be loaded; numpy's would not be.
        importlib.import_module("farthing._native")
        value = getattr(importlib.import_module(_LAZY[name]), name)
    else:
        raise AttributeError(f"module 'farthing' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
