"""Olmo 3: Python calls on lines."""

from farthing.chat.tools.python_calls import PythonCalls

FORMAT = PythonCalls(
    name="olmo3",
    signs=("<function_calls>", "</function_calls>"),
    call=("<function_calls>", "</function_calls>"),
    listed=False,
)
