"""How text is cut before byte-level BPE: a row per value of `tokenizer.ggml.pre`.

The patterns are those of the models' own `tokenizer.json` files, in Oniguruma's syntax. Each one
cuts what the one before it left: its matches and the text between them become pieces.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreTokenizer:
    """A row of the table."""

    patterns: tuple[str, ...]
    ignore_merges: bool = False
    """A piece that is a token is taken whole, whatever the merges say."""
    add_bos: bool = False
    """The text starts with BOS when the file does not say."""
    add_sep: bool = False
    """The text ends with the separator when the file does not say."""
    nfc: bool = False
    """The text is put in Unicode's normal form C first."""
    tokens: Literal["bytes", "sentencepiece", "words"] = "bytes"
    """How tokens are written: a character per byte, as in SentencePiece, or without spaces."""
    always_bos: bool = False
    """The text starts with BOS whatever the file says."""


_TAIL = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_SYMBOLS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*"
_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_ASCII_SYMBOL_WORD = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""


def _cased(end: str) -> str:
    """Words that change from capitals to small letters at most once, then `end`."""
    start = r"[^\r\n\p{L}\p{N}]?"
    return f"{start}{_UPPER}*{_LOWER}+{end}|{start}{_UPPER}+{_LOWER}*{end}"


_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3 = f"{_CONTRACTION}|{_WORD}|" + r"\p{N}{1,3}" + _SYMBOLS + _TAIL
_QWEN2 = f"{_CONTRACTION}|{_WORD}|" + r"\p{N}" + _SYMBOLS + _TAIL
_QWEN35 = (
    _CONTRACTION + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*" + _TAIL
)
_GPT4O = _cased(_CONTRACTION + "?") + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + _TAIL
_TEKKEN = _cased("") + r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + _TAIL
_CJK = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
_DEEPSEEK3 = (
    _ASCII_SYMBOL_WORD + r"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*" + _TAIL
)
_DEEPSEEK_LETTERS = (
    "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af"
    "\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1"
    "\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd"
    "\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d"
    "\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4"
    "\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec"
    "\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128"
    "\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b"
    "\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787"
    "\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a"
    "\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2"
    "\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943"
)
_DEEPSEEK_CJK = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
_KIMI_START = r"[^\r\n\p{L}\p{N}]?"
_KIMI_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
_KIMI_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
_KIMI = (
    r"\p{Han}+"
    f"|{_KIMI_START}{_KIMI_UPPER}*{_KIMI_LOWER}+{_CONTRACTION}?"
    f"|{_KIMI_START}{_KIMI_UPPER}+{_KIMI_LOWER}*{_CONTRACTION}?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*" + _TAIL
)
_DIGIT_TRIPLES = r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))"
"""Groups of three digits, counted from the right."""
_ASIAN = (
    "[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u3040-\u309f\u30a0-\u30ff\uff65-\uff9f\u2f00-\u2fdf"
    "\u0e00-\u0e7f\u0e80-\u0eff\u1780-\u17ff\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff"
    "\uac00-\ud7af\u1100-\u11ff]+"
)
_YOUTU_SCRIPTS = (
    "[\uac00-\ud7a3\u3131-\u318e]+"
    "|[\uff01\u2026\u201c\u201d\u2018\u2019\u2014\uff1a\uff1b\uff0c\u3001-\u303f\ufe30-\ufe4f]+"
    f"|[\u3105-\u312f]+|{_CJK}"
)
_JAIS2_SPACES = "|".join(
    rf"\s{{{count}}}(?!\S)" for count in (512, 256, 128, 64, 32, 16, 8, 4, "1,2")
)
_EXAONE_WORD = r"[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+"
_BLOOM = " ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+"

_DEFAULT = PreTokenizer((r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", "[0-9][0-9][0-9]"))
_ROW_GPT2 = PreTokenizer((_GPT2,))
_ROW_LLAMA3 = PreTokenizer((_LLAMA3,), ignore_merges=True, add_bos=True)
_ROW_QWEN2 = PreTokenizer((_QWEN2,))
_ROW_DIGITS = PreTokenizer((r"\p{N}", _GPT2))
_ROW_GPT4O = PreTokenizer((_GPT4O,))
_ROW_DEEPSEEK3 = PreTokenizer((r"\p{N}{1,3}", _CJK, _DEEPSEEK3))
_ROW_BLOOM = PreTokenizer((_BLOOM,))
_ROW_BAILING = PreTokenizer(
    (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*"
        r"|\s*[\r\n]|\s+(?!\S)|\s+",
    )
)

_ROW_GEMMA4 = PreTokenizer((r"[^\n]+|\n+",), tokens="sentencepiece", always_bos=True)

PRE_TOKENIZERS = {
    "default": _DEFAULT,
    "gpt-2": _ROW_GPT2,
    "phi-2": _ROW_GPT2,
    "jina-es": _ROW_GPT2,
    "jina-de": _ROW_GPT2,
    "jina-v2-es": _ROW_GPT2,
    "jina-v2-de": _ROW_GPT2,
    "jina-v1-en": replace(_ROW_GPT2, add_sep=True),
    "jina-v2-code": replace(_ROW_GPT2, add_sep=True),
    "roberta-bpe": replace(_ROW_GPT2, add_sep=True),
    "gigachat": _ROW_GPT2,
    "a.x-4.0": _ROW_GPT2,
    "mellum": _ROW_GPT2,
    "modern-bert": _ROW_GPT2,
    "exaone4": _ROW_GPT2,
    "jais": _ROW_GPT2,
    "trillion": _ROW_GPT2,
    "granite-docling": _ROW_GPT2,
    "mpt": replace(_ROW_GPT2, nfc=True),
    "olmo": replace(_ROW_GPT2, nfc=True),
    "llama3": _ROW_LLAMA3,
    "llama-v3": _ROW_LLAMA3,
    "llama-bpe": _ROW_LLAMA3,
    "falcon3": _ROW_LLAMA3,
    "falcon-h1": _ROW_LLAMA3,
    "pixtral": _ROW_LLAMA3,
    "midm-2.0": _ROW_LLAMA3,
    "lfm2": _ROW_LLAMA3,
    "jina-v5-nano": _ROW_LLAMA3,
    "dbrx": PreTokenizer((_LLAMA3,)),
    "smaug-bpe": PreTokenizer((_LLAMA3,)),
    "chatglm-bpe": PreTokenizer((_LLAMA3,)),
    "jais-2": PreTokenizer((_LLAMA3.removesuffix(_TAIL) + rf"|\s*[\r\n]+|{_JAIS2_SPACES}|\s",)),
    "glm4": PreTokenizer((_LLAMA3,), ignore_merges=True),
    "glm5": PreTokenizer((_LLAMA3,), ignore_merges=True),
    "minicpm5": PreTokenizer((r"\p{N}{1,3}", _LLAMA3.replace("{1,3}", "+")), ignore_merges=True),
    "qwen2": replace(_ROW_QWEN2, nfc=True),
    "megrez": replace(_ROW_QWEN2, nfc=True),
    "qwen35": PreTokenizer((_QWEN35,), nfc=True),
    "deepseek-r1-qwen": _ROW_QWEN2,
    "kormo": _ROW_QWEN2,
    "f2llmv2": _ROW_QWEN2,
    "stablelm2": _ROW_QWEN2,
    "hunyuan": _ROW_QWEN2,
    "grok-2": _ROW_QWEN2,
    "solar-open": _ROW_QWEN2,
    "laguna": PreTokenizer((r"[^\n]+|\n+", _QWEN2)),
    "ufakzeka": PreTokenizer((_QWEN2.removeprefix(f"{_CONTRACTION}|"),)),
    "seed-coder": PreTokenizer(
        (f"{_CONTRACTION}|{_WORD}|" + r"\p{N}| ?[^\s\p{L}\p{N}\r\n]+" + _TAIL,)
    ),
    "starcoder": _ROW_DIGITS,
    "refact": _ROW_DIGITS,
    "smollm": _ROW_DIGITS,
    "codeshell": _ROW_DIGITS,
    "exaone": _ROW_DIGITS,
    "minerva-7b": _ROW_DIGITS,
    "mellum2": _ROW_DIGITS,
    "command-r": replace(_ROW_DIGITS, nfc=True),
    "falcon": PreTokenizer((r"[\p{P}\$\+<=>\^~\|`]+", _GPT2, "[0-9][0-9][0-9]")),
    "deepseek-llm": PreTokenizer(
        (
            r"[\r\n]",
            r"\s?[" + _DEEPSEEK_LETTERS + "]+",
            "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+",
            r"\s+$",
            _DEEPSEEK_CJK,
            r"\p{N}",
        )
    ),
    "deepseek-coder": PreTokenizer(
        (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _DEEPSEEK_CJK, r"\p{N}")
    ),
    "deepseek-v3": _ROW_DEEPSEEK3,
    "hunyuan-dense": _ROW_DEEPSEEK3,
    "joyai-llm": _ROW_DEEPSEEK3,
    "hy_v4": _ROW_DEEPSEEK3,
    "afmoe": PreTokenizer((_DIGIT_TRIPLES, _ASIAN, _DEEPSEEK3)),
    "spark2_5": PreTokenizer(
        (
            r"\p{N}{1,3}",
            _CJK,
            _DEEPSEEK3.removesuffix(r"[\r\n]*" + _TAIL) + r"|[\r\n]|\s+(?!\S)|\s+",
            r"\p{N}",
        )
    ),
    "gpt-4o": _ROW_GPT4O,
    "llama4": _ROW_GPT4O,
    "kanana2": _ROW_GPT4O,
    "talkie": _ROW_GPT4O,
    "minimax-m2": _ROW_GPT4O,
    "youtu": PreTokenizer((_YOUTU_SCRIPTS, _GPT4O.replace("{1,3}", "")), ignore_merges=True),
    "granite-embed-multi-97m": replace(_ROW_GPT4O, ignore_merges=True),
    "tiny_aya": PreTokenizer((r"\d{1,3}(?=(?:\d{3})*\b)", _GPT4O)),
    "cohere2moe": PreTokenizer((r"\d{1,3}(?=(?:\d{3})*\b)", _GPT4O)),
    "tekken": PreTokenizer((_TEKKEN,), ignore_merges=True, add_bos=True),
    "exaone-moe": PreTokenizer(
        (
            f"{_CONTRACTION}|{_EXAONE_WORD}"
            r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+",
        )
    ),
    "superbpe": PreTokenizer((r"\p{N}+", r"(?=(\d{3})+(?!\d))")),
    "chameleon": PreTokenizer(
        (
            "<sentinel:[0-9]+>",
            "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
            r"([\t\n]|    |  )",
            r"\p{N}",
            r"[\p{P}!-/:-@\[-`{-~]",
            _GPT2,
        ),
        add_bos=True,
    ),
    "kimi-k2": PreTokenizer((_KIMI,)),
    "bloom": _ROW_BLOOM,
    "poro-chat": _ROW_BLOOM,
    "gpt3-finnish": _ROW_BLOOM,
    "viking": PreTokenizer((_BLOOM, r"\p{N}")),
    "bailingmoe": _ROW_BAILING,
    "bailingmoe2": _ROW_BAILING,
    "llada-moe": _ROW_BAILING,
    "whitespace": PreTokenizer((r"\w+", r"[^\w\s]+"), tokens="words"),
    "gemma4": _ROW_GEMMA4,
    "granite-embed-multi-311m": _ROW_GEMMA4,
    "sarvam-moe": replace(_ROW_GEMMA4, always_bos=False),
}


def pre_tokenizer_of(metadata: Mapping[str, Any]) -> PreTokenizer:
    """The row for a file; a warning and `default` when it names none, or one that is not here."""
    name = metadata.get("tokenizer.ggml.pre")
    row = PRE_TOKENIZERS.get(name) if isinstance(name, str) else None
    if row is not None:
        return row
    logger.warning(
        "tokenizer.ggml.pre is %s: cutting text by the pattern 'default'. "
        "TOKENS MAY DIFFER FROM THE MODEL'S TRAINING AND ITS ANSWERS MAY BE WORSE; "
        "convert the model again or report the name.",
        "missing" if name is None else f"{name!r}, which is not known",
    )
    return _DEFAULT
