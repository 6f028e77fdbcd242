"""`farthing run`: text from a prompt, or a chat."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farthing.cli import INTERRUPTED, flags
from farthing.cli.sampling import with_flags

if TYPE_CHECKING:
    from farthing.api.model import Model
    from farthing.api.session import Conversation


@with_flags
def command(
    name: flags.ModelName,
    prompt: Annotated[
        str | None,
        typer.Argument(help="What to say; without it, stdin if piped, else a chat begins."),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Continue the prompt as plain text: no chat template.")
    ] = False,
    system: Annotated[
        str | None, typer.Option("--system", "--system-prompt", help="The system prompt.")
    ] = None,
    session: Annotated[
        str | None, typer.Option("--session", help="Remember the chat under this name.")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Print timings to stderr.")
    ] = False,
    ctx_size: flags.Context = None,
    threads: flags.Threads = None,
    kv_type: flags.KvType = "f16",
    repack: flags.Repack = None,
    model_draft: flags.Draft = None,
    draft_max: flags.DraftMax = 16,
    prompt_lookup: flags.PromptLookup = True,
    lora: flags.Lora = None,
    lora_scaled: flags.LoraScaled = None,
    prefix_cache_dir: flags.PrefixCacheDir = None,
    *,
    options: dict[str, Any],
) -> None:
    """Generate text, or chat when there is no prompt.

    The model's chat template is used if it has one. Text goes to stdout as it comes; Ctrl-C stops.
    """
    from farthing.api.model import Model
    from farthing.cli.repl import Repl

    scales = flags.adapters(lora, lora_scaled)
    if scales:
        options["lora"] = scales
    with Model(
        name,
        draft=model_draft,
        n_ctx=ctx_size,
        n_threads=threads,
        kv_type=kv_type,
        repack=repack,
        n_draft_max=draft_max,
        prompt_lookup=prompt_lookup,
        lora={file: file for file in scales},
        prefix_cache_dir=prefix_cache_dir,
    ) as model:
        plain = raw or model.chat_template.source is None
        if plain and (system is not None or session is not None):
            why = "--raw is given" if raw else "the model has no chat template"
            raise typer.BadParameter(f"--system and --session are for chats, but {why}")
        chat = None if plain else _conversation(model, system, session)
        repl = Repl(model, chat, options, verbose=verbose)
        if prompt is None and sys.stdin.isatty():
            repl.run()
        elif not repl.answer(sys.stdin.read() if prompt is None else prompt):
            sys.exit(INTERRUPTED)


def _conversation(model: Model, system: str | None, session: str | None) -> Conversation:
    from farthing.api.session import Conversation, Session

    if session is None:
        return Conversation(model, system_prompt=system)
    return Session(model, session, system_prompt=system)
