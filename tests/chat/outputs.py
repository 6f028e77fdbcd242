"""What models write, and what it means: one or more examples for each output format."""

from __future__ import annotations

from dataclasses import dataclass, field

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": "search_files",
            "parameters": {
                "type": "object",
                "properties": {
                    "pattern": {"type": "string"},
                    "folders": {"type": "array"},
                    "hidden": {"type": "boolean"},
                    "filter": {"type": "object"},
                },
            },
        },
    },
]

_PATTERN = 'a "q" é\n\\d{2} 🦊'
OSLO = ("get_weather", {"city": "Oslo"})
BERGEN = ("get_weather", {"city": "Bergen", "days": 2})
SEARCH = (
    "search_files",
    {
        "pattern": 'a "q" é\n\\d{2} 🦊',
        "folders": ["~/a", "b"],
        "hidden": False,
        "filter": {"x": {}},
    },
)
_SEARCH_JSON = (
    '{"pattern": "a \\"q\\" \\u00e9\\n\\\\d{2} 🦊", "folders": ["~/a", "b"], "hidden": false, '
    '"filter": {"x": {}}}'
)


@dataclass(frozen=True)
class Case:
    """An output of a model."""

    form: str
    text: str
    calls: list[tuple[str, dict]] = field(default_factory=list)
    content: str = ""
    reasoning: str = ""
    thinks: str | None = None
    """The format of reasoning."""
    opened: bool = False


CASES = [
    Case(
        "hermes",
        'Sure.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>\n'
        f'<tool_call>\n{{"name": "search_files", "arguments": {_SEARCH_JSON}}}\n</tool_call>',
        [OSLO, SEARCH],
        content="Sure.",
    ),
    Case(
        "hermes",
        "<think>\nWhich <tool_call>?\n</think>\n\nIn words: <tool>\n"
        '<tool_call>{"arguments": {"city": "Oslo"}, "name": "get_weather"}</tool_call>',
        [OSLO],
        content="In words: <tool>",
        reasoning="Which <tool_call>?",
        thinks="think",
    ),
    Case(
        "hermes",
        '<tool_call>{"name": "get_weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}</tool_call>'
        '<tool_call>{"type": "function", "function": {"name": "a", "parameters": null}}'
        "</tool_call>",
        [OSLO, ("a", {})],
    ),
    Case(
        "qwen3-coder",
        "Hm.\n</think>\n<tool_call>\n<function=get_weather>\n<parameter=city>\nBergen\n</parameter>"
        "\n<parameter=days>\n2\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n"
        f"<function=search_files>\n<parameter=pattern>\n{_PATTERN}\n</parameter>\n"
        '<parameter=folders>\n["~/a", "b"]\n</parameter>\n<parameter=hidden>\nFalse\n</parameter>\n'
        "<parameter=filter>\n{'x': {}}\n</parameter>\n</function>\n</tool_call>",
        [BERGEN, SEARCH],
        reasoning="Hm.",
        thinks="think",
        opened=True,
    ),
    Case(
        "qwen3-coder",
        "Yes.<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n</function>\n</tool_call>",
        [OSLO],
        content="Yes.",
    ),
    Case(
        "seed-oss",
        "<seed:think>Hm.</seed:think><seed:tool_call>\n<function=get_weather>\n"
        "<parameter=city>Oslo</parameter>\n</function>\n</seed:tool_call>",
        [OSLO],
        reasoning="Hm.",
        thinks="seed-oss",
    ),
    Case(
        "llama3",
        '{"name": "get_weather", "parameters": {"city": "Oslo"}}; '
        f'{{"type": "function", "name": "search_files", "parameters": {_SEARCH_JSON}}}',
        [OSLO, SEARCH],
    ),
    Case(
        "llama3",
        '<|python_tag|>{"name": "get_weather", "parameters": {"city": "Oslo"}}',
        [OSLO],
    ),
    Case("llama3", '<|python_tag|>get_weather.call(city="Oslo")', [OSLO]),
    Case("llama3", '{"name": "Ann", "age": 3}', content='{"name": "Ann", "age": 3}'),
    Case("llama3", ' {"a": 1} and more', content=' {"a": 1} and more'),
    Case(
        "mistral",
        '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Oslo"}, "id": "abcdefghi"}, '
        f'{{"name": "search_files", "arguments": {_SEARCH_JSON}}}]',
        [OSLO, SEARCH],
    ),
    Case(
        "mistral-named",
        '[THINK]Hm.[/THINK]Well[TOOL_CALLS]get_weather[ARGS]{"city": "Oslo"}[TOOL_CALLS]'
        f"search_files[CALL_ID]abcdefghi[ARGS]{_SEARCH_JSON}",
        [OSLO, SEARCH],
        content="Well",
        reasoning="Hm.",
        thinks="mistral",
    ),
    Case(
        "deepseek-v3",
        "Hm.</think>Yes.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n"
        '```json\n{"city": "Oslo"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function'
        f"<｜tool▁sep｜>search_files\n```json\n{_SEARCH_JSON}\n```<｜tool▁call▁end｜>"
        "<｜tool▁calls▁end｜>",
        [OSLO, SEARCH],
        content="Yes.",
        reasoning="Hm.",
        thinks="think",
        opened=True,
    ),
    Case(
        "deepseek-v3.1",
        '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Oslo"}'
        f"<｜tool▁call▁end｜><｜tool▁call▁begin｜>search_files<｜tool▁sep｜>{_SEARCH_JSON}"
        "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        [OSLO, SEARCH],
    ),
    Case(
        "deepseek-dsml",
        '<｜DSML｜function_calls>\n<｜DSML｜invoke name="get_weather">\n'
        '<｜DSML｜parameter name="city" string="true">Bergen</｜DSML｜parameter>\n'
        '<｜DSML｜parameter name="days" string="false">2</｜DSML｜parameter>\n'
        "</｜DSML｜invoke>\n</｜DSML｜function_calls>",
        [BERGEN],
    ),
    Case(
        "deepseek-v4",
        '<｜DSML｜tool_calls>\n<｜DSML｜invoke name="unknown">\n'
        '<｜DSML｜parameter name="n" string="true">5</｜DSML｜parameter>\n'
        "</｜DSML｜invoke>\n</｜DSML｜tool_calls>",
        [("unknown", {"n": "5"})],
    ),
    Case(
        "glm4",
        "Hm.</think>Look:\n<tool_call>get_weather\n<arg_key>city</arg_key>\n"
        "<arg_value>Bergen</arg_value>\n<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n"
        "</tool_call><tool_call>get_time</tool_call>",
        [BERGEN, ("get_time", {})],
        content="Look:",
        reasoning="Hm.",
        thinks="think",
        opened=True,
    ),
    Case(
        "hunyuan",
        "<tool_calls:opensource>\n<tool_call:opensource>get_weather<tool_sep:opensource>\n"
        "<arg_key:opensource>city</arg_key:opensource>\n"
        "<arg_value:opensource>Oslo</arg_value:opensource>\n</tool_call:opensource>\n"
        "</tool_calls:opensource>",
        [OSLO],
    ),
    Case(
        "kimi-k2",
        "Think<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0"
        '<|tool_call_argument_begin|>{"city": "Oslo"}<|tool_call_end|><|tool_call_begin|>'
        f"functions.search_files:1<|tool_call_argument_begin|>{_SEARCH_JSON}<|tool_call_end|>"
        "<|tool_calls_section_end|>",
        [OSLO, SEARCH],
        reasoning="Think",
        thinks="think",
        opened=True,
    ),
    Case(
        "kimi-k3",
        "Hm.<|close|>think<|sep|><|open|>response<|sep|>Yes.<|close|>response<|sep|><|open|>tools"
        '<|sep|><|open|>call tool="get_weather" index="1"<|sep|><|open|>argument key="city" '
        'type="string"<|sep|>Bergen<|close|>argument<|sep|><|open|>argument key="days" '
        'type="number"<|sep|>2<|close|>argument<|sep|><|close|>call<|sep|><|close|>tools<|sep|>'
        "<|close|>message<|sep|>",
        [BERGEN],
        content="Yes.",
        reasoning="Hm.",
        thinks="kimi-k3",
        opened=True,
    ),
    Case(
        "harmony",
        "<|channel|>analysis<|message|>Need weather.<|end|><|start|>assistant<|channel|>commentary"
        "<|message|>I look.<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather "
        '<|constrain|>json<|message|>{"city": "Oslo"}<|call|>',
        [OSLO],
        content="I look.",
        reasoning="Need weather.",
    ),
    Case(
        "harmony",
        ' to=functions.get_weather<|channel|>commentary json<|message|>{"city": "Oslo"}',
        [OSLO],
    ),
    Case(
        "harmony",
        "<|channel|>analysis<|message|>Easy.<|end|><|start|>assistant<|channel|>final<|message|>"
        "Four. <|x|>\n",
        content="Four. <|x|>\n",
        reasoning="Easy.",
    ),
    Case("harmony", "Plain words.", content="Plain words."),
    Case(
        "muse",
        " to=self<|message|>Hm.<|eom|><|start|>assistant to=get_weather<|message|>"
        '<atem:function_calls>\n<atem:invoke name="get_weather">\n<atem:parameter name="city">Oslo'
        "</atem:parameter>\n</atem:invoke>\n</atem:function_calls><|eom|><|start|>assistant to=user"
        "<|message|>Soon.<|eot|>",
        [OSLO],
        content="Soon.",
        reasoning="Hm.",
    ),
    Case(
        "gemma4",
        "<|channel>thought\nHm.\n<channel|>Yes.<|tool_call>call:get_weather{city:"
        '<|"|>Bergen<|"|>,days:2}<tool_call|><|tool_call>call:search_files{filter:{x:{}},folders:['
        f'<|"|>~/a<|"|>,<|"|>b<|"|>],hidden:false,pattern:<|"|>{_PATTERN}<|"|>}}<tool_call|>',
        [BERGEN, SEARCH],
        content="Yes.",
        reasoning="Hm.",
        thinks="gemma4",
    ),
    Case(
        "function-gemma",
        "<start_function_call>call:get_weather{city:<escape>Oslo<escape>}<end_function_call>",
        [OSLO],
    ),
    Case(
        "granite",
        "<think>Hm.</think><response>Yes.</response><|tool_call|>"
        '[{"name": "get_weather", "arguments": {"city": "Oslo"}}]',
        [OSLO],
        content="Yes.",
        reasoning="Hm.",
        thinks="granite",
    ),
    Case(
        "phi4",
        '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Oslo"}}]<|/tool_call|>',
        [OSLO],
    ),
    Case("phi4", 'functools[{"name": "get_weather", "arguments": {"city": "Oslo"}}]', [OSLO]),
    Case(
        "command-r",
        "<|START_THINKING|>Hm.<|END_THINKING|><|START_ACTION|>[\n"
        '    {"tool_call_id": "0", "tool_name": "get_weather", "parameters": {"city": "Oslo"}},\n'
        f'    {{"tool_call_id": "1", "tool_name": "search_files", "parameters": {_SEARCH_JSON}}}\n'
        "]<|END_ACTION|>",
        [OSLO, SEARCH],
        reasoning="Hm.",
        thinks="command-r",
    ),
    Case(
        "command-r",
        "Hm.<|END_THINKING|><|START_RESPONSE|>It is cold.<|END_RESPONSE|>",
        content="It is cold.",
        reasoning="Hm.",
        thinks="command-r",
        opened=True,
    ),
    Case(
        "lfm2",
        '<|tool_call_start|>[get_weather(city="Bergen", days=2), search_files(pattern='
        "'a \"q\" é\\n\\\\d{2} 🦊', folders=['~/a', 'b'], hidden=False, filter={'x': {}})]"
        "<|tool_call_end|>I look.",
        [BERGEN, SEARCH],
        content="I look.",
    ),
    Case("olmo3", '<function_calls>get_weather(city="Oslo")\n</function_calls>', [OSLO]),
    Case("pythonic", "[get_weather(city='Bergen', days=2)]", [BERGEN]),
    Case("pythonic", "[1] says so", content="[1] says so"),
    Case(
        "functionary",
        f'all\nI look.\n>>>get_weather\n{{"city": "Oslo"}}\n>>>search_files\n{_SEARCH_JSON}',
        [OSLO, SEARCH],
        content="I look.",
    ),
    Case("functionary-v3.1", '<function=get_weather>{"city": "Oslo"}</function>', [OSLO]),
    Case(
        "firefunction", ' functools[{"name": "get_weather", "arguments": {"city": "Oslo"}}]', [OSLO]
    ),
    Case(
        "minimax",
        '<minimax:tool_call>\n<invoke name="get_weather">\n<parameter name="city">Bergen'
        '</parameter>\n<parameter name="days">2</parameter>\n</invoke>\n</minimax:tool_call>',
        [BERGEN],
    ),
    Case(
        "minicpm5",
        '<function name="get_weather"><param name="city"><![CDATA[Bergen]]></param>'
        '<param name="days">2</param></function>\n<function name="get_time"></function>',
        [BERGEN, ("get_time", {})],
    ),
    Case(
        "nemotron",
        '<TOOLCALL>[{"name": "get_weather", "arguments": {"city": "Oslo"}}, '
        '{"name": "get_time", "arguments": {}}]</TOOLCALL>',
        [OSLO, ("get_time", {})],
    ),
    Case(
        "apertus",
        '<|tools_prefix|>[{"get_weather": {"city": "Oslo"}}, '
        f'{{"search_files": {_SEARCH_JSON}}}]'
        "<|tools_suffix|>",
        [OSLO, SEARCH],
    ),
    Case(
        "gigachat",
        'Yes.<|function_call|>{"name": "get_weather", "arguments": {"city": "Oslo"}}',
        [OSLO],
        content="Yes.",
    ),
    Case(
        "solar",
        "<|tool_calls|><|tool_call:begin|>ab12<|tool_call:name|>get_weather<|tool_call:args|>"
        '{"city": "Oslo"}<|tool_call:end|>',
        [OSLO],
    ),
    Case(
        "tool-calls-tag",
        '<tool_calls>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n'
        '{"name": "get_time", "arguments": {}}\n</tool_calls>',
        [OSLO, ("get_time", {})],
    ),
    Case(
        "generic",
        '{"name": "get_weather", "arguments": {"city": "Oslo"}}\n',
        [OSLO],
    ),
]
