"""Compare ids and the bytes of tokens with llama-cpp-python on random texts. Run by hand:

    pip install llama-cpp-python
    python tests/tokenization/compare_llama_cpp.py --texts 2000 --seed 1 vocabulary.gguf ...

Every difference is counted under its cause; those without one are printed and make the exit code 1.
The causes are where llama.cpp leaves what the models' own tokenizers do, which are followed here:
see `explain`.
"""

from __future__ import annotations

import argparse
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable

import regex
from llama_cpp import Llama, llama_cpp
from random_texts import random_texts

from farthing.tokenization import Tokenizer
