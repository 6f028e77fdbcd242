"""FunctionGemma: Gemma 4's calls with other special tokens."""

from farthing.chat.tools.gemma4 import GemmaCalls

FORMAT = GemmaCalls(
    name="function-gemma",
    signs=("<start_function_call>", "<escape>"),
    call=("<start_function_call>", "<end_function_call>"),
    quote="<escape>",
    special=("<escape>",),
)
