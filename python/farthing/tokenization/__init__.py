"""Text to token ids and back, from the vocabulary inside a GGUF file."""

from farthing.tokenization.detokenizer import Detokenizer
from farthing.tokenization.stop_strings import StopStrings
from farthing.tokenization.tokenizer import Tokenizer

__all__ = ["Detokenizer", "StopStrings", "Tokenizer"]
