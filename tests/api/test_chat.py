"""Conversations in the model's own format."""

from __future__ import annotations

from pathlib import Path

import pytest

from farthing import Model, UnsupportedModelError
from models import ID, STORY_TEXT, Tiny


def test_the_answer_is_a_message(story: Model) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Well?"}]
    completion = story.chat(messages, temperature=0)
    assert completion.message == {"role": "assistant", "content": STORY_TEXT}
    assert completion.finish_reason == "stop"


def test_the_prompt_is_the_templates(story: Model) -> None:
    text = "<s><|user|>x</s><|assistant|>"
    assert story.chat_template.render([{"role": "user", "content": "x"}]) == text
    completion = story.chat([{"role": "user", "content": "x"}], max_tokens=1)
    ids = story.tokenizer.encode(text, add_special=False, parse_special=True)
    assert ids.count(ID["<s>"]) == 1
    assert completion.usage.prompt_tokens == len(ids)


def test_tools_and_variables_reach_the_template(folder: Path) -> None:
    template = "{{ tools[0].function.name if tools }}{{ mood }}<|assistant|>"
    path = Tiny(chat_template=template).write(folder / "tools.gguf")
    with Model(path) as model:

        def length(**options: object) -> int:
            completion = model.chat([], max_tokens=1, **options)  # type: ignore[arg-type]
            return completion.usage.prompt_tokens

        space = 1
        assert length(tools=[{"name": "x"}]) == length() + space + len("x")
        assert length(template_kwargs={"mood": "xyz"}) == length() + space + len("xyz")


@pytest.mark.parametrize(
    ("template", "words"), [(None, "no chat template"), ("{% if %}", "chat template")]
)
def test_a_model_without_a_good_template_loads(
    folder: Path, template: str | None, words: str
) -> None:
    path = Tiny(chat_template=template).write(folder / f"template-{template is None}.gguf")
    with Model(path) as model:
        assert model.generate("Once", temperature=0, max_tokens=1).text == " upon"
        with pytest.raises(UnsupportedModelError, match=words):
            model.chat([{"role": "user", "content": "x"}])
