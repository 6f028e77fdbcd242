"""Python functions as tools."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Annotated, Any, Literal, Optional

import pytest

from farthing.chat.functions import as_tools, tool_of
from farthing.errors import RequestError


class Unit(enum.Enum):
    C = "celsius"
    F = "fahrenheit"


def forecast(
    city: str,
    days: int = 1,
    unit: Literal["C", "F"] = "C",
    tags: Optional[list[str]] = None,  # noqa: UP045
    **rest: Any,
) -> str:
    """The weather to come.

    Of the next days.

    Args:
        city: The city's name,
            such as "Oslo".
        days (int): How many days.

    Returns:
        words
    """
    return f"{city} {days} {unit} {tags} {rest}"


def test_a_function() -> None:
    assert tool_of(forecast) == {
        "type": "function",
        "function": {
            "name": "forecast",
            "description": "The weather to come.\n\nOf the next days.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": 'The city\'s name, such as "Oslo".'},
                    "days": {"type": "integer", "description": "How many days."},
                    "unit": {"type": "string", "enum": ["C", "F"]},
                    "tags": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["city"],
            },
        },
    }


def with_hint(hint: Any) -> Callable[..., None]:
    def function(x: Any) -> None:
        """Nothing."""

    function.__annotations__["x"] = hint
    return function


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (float, {"type": "number"}),
        (bool | int, {"type": ["boolean", "integer"]}),
        (
            list[str] | str,
            {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]},
        ),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (list, {"type": "array"}),
        (Unit, {"enum": ["celsius", "fahrenheit"]}),
        (Annotated[int, "How many."], {"type": "integer", "description": "How many."}),
        (Any, {}),
    ],
)
def test_hints(hint: Any, schema: dict[str, Any]) -> None:
    parameters = tool_of(with_hint(hint))["function"]["parameters"]
    assert parameters == {"type": "object", "properties": {"x": schema}, "required": ["x"]}


def test_a_hint_without_a_schema() -> None:
    with pytest.raises(RequestError, match="tool function, parameter x: .*complex"):
        tool_of(with_hint(complex))


def test_mappings() -> None:
    inner = {"name": "look", "parameters": {}}
    whole = {"type": "function", "function": inner}
    assert as_tools([inner, whole]) == [whole, whole]
    assert as_tools(None) == []
    with pytest.raises(RequestError, match=r"tools\[1\]"):
        as_tools([whole, {"type": "function"}])
