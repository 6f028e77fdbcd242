"""Seed-OSS."""

from farthing.chat.reasoning.base import ReasoningFormat

FORMAT = ReasoningFormat(
    name="seed-oss", begin="<seed:think>", end="</seed:think>", signs=("seed:think>",)
)
