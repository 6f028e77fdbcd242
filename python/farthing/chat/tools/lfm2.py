"""LFM 2: a list of Python calls between special tokens."""

from farthing.chat.tools.python_calls import PythonCalls

FORMAT = PythonCalls(
    name="lfm2",
    signs=("<|tool_call_start|>", "<|tool_call_end|>"),
    call=("<|tool_call_start|>", "<|tool_call_end|>"),
)
