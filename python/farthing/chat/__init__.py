"""Conversations to prompts, by the template inside a model's file."""

from farthing.chat.template import ChatTemplate, TemplateError

__all__ = ["ChatTemplate", "TemplateError"]
