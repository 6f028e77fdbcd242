"""A loaded model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from farthing import _native
from farthing.api.breakers import BreakerSets
from farthing.api.chat import NAMES as CHAT_NAMES
from farthing.api.chat import ChatSoFar, prepare_chat, shown_tokens
from farthing.api.chat_constraint import chat_constraint
from farthing.api.chat_stream import ChatStream
from farthing.api.embedding import Embedding, NoTexts, encode_texts
from farthing.api.generation import Generation, Piece, Pieces
from farthing.api.loaded import Loaded
from farthing.api.reranking import TEMPLATE, checked, pair_ids, ranked
from farthing.api.sampling import Prepared, prepare
from farthing.api.starting import Starting, on_loop
from farthing.api.stream import TokenStream
from farthing.api.text import NoText, TextSoFar
from farthing.api.together import Together, all_of, copies, first_of, reusable
from farthing.errors import FarthingError, RequestError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from typing_extensions import Unpack

    from farthing.api.chat import ChatOptions
    from farthing.api.constraint import Source
    from farthing.api.embedding import Vectors
    from farthing.api.lora import Choice
    from farthing.api.sampling import GenerateOptions
    from farthing.chat.format import ChatFormat
    from farthing.types import Completion, Message, Pooling, RankedDocument


class Model(Loaded):
    """A model in memory and the engine that runs it, for any number of threads and event loops.

    Requests made at the same time are computed together. The methods beginning with `a` and
    `async for` are for asyncio; the others block, without the GIL. What a request may say is in
    `farthing.api.sampling.GenerateOptions`; an unknown keyword is a TypeError, a bad value a
    RequestError.

    `close()`, the end of a `with` block or dropping the last reference end all requests and free
    the memory. A forked child cannot use its parent's models: it gets FarthingError.
    """

    def generate(
        self, prompt: str | Iterable[int], *, n: int = 1, **options: Unpack[GenerateOptions]
    ) -> Completion:
        """Continue a text, or token ids, which are taken as they are.

        With `n` there are so many answers, in `choices` of the result. The prompt is computed
        once; number i has the seed `seed + i`.
        """
        if n == 1:
            return self._start("generate", self._ids(prompt), options).wait()
        return first_of(self._generations("generate", prompt, n, options).wait())

    async def agenerate(
        self, prompt: str | Iterable[int], *, n: int = 1, **options: Unpack[GenerateOptions]
    ) -> Completion:
        """`generate` for asyncio; cancelling the task stops the computation."""
        if n == 1:
            return await self._start("agenerate", self._ids(prompt), options).await_result()
        kept = reusable(options)
        constraint = await self._compiled("agenerate", kept)
        answers = self._generations("agenerate", prompt, n, kept, constraint)
        return first_of(await answers.await_results())

    def generate_batch(
        self, prompts: Iterable[str | Iterable[int]], **options: Unpack[GenerateOptions]
    ) -> list[Completion]:
        """Continue many prompts, any number, with the same options; the results are in their order.

        Each is what `generate` gives. They are submitted as there is room for them, so `max_queue`
        is no bound. An impossible prompt raises before anything is computed, naming the prompt;
        where computing fails all others are completed and BatchError has them.
        """
        return all_of(self._batch("generate_batch", prompts, options).wait())

    async def agenerate_batch(
        self, prompts: Iterable[str | Iterable[int]], **options: Unpack[GenerateOptions]
    ) -> list[Completion]:
        """`generate_batch` for asyncio; cancelling the task stops the computation."""
        kept = reusable(options)
        constraint = await self._compiled("agenerate_batch", kept)
        answers = self._batch("agenerate_batch", prompts, kept, constraint)
        return all_of(await answers.await_results())

    def stream(
        self, prompt: str | Iterable[int], **options: Unpack[GenerateOptions]
    ) -> TokenStream:
        """`generate` piece by piece, for loops of both kinds.

        Where an event loop runs, a grammar is compiled beside it, and what that raises comes with
        the first piece.
        """
        return self._start("stream", self._ids(prompt), options)

    def chat(
        self, messages: Iterable[Message], *, n: int = 1, **options: Unpack[ChatOptions]
    ) -> Completion:
        """Answer a conversation; the reply is also in `message` of the result.

        `messages` are as in OpenAI's API. What else a chat may say is in
        `farthing.api.chat.ChatOptions`. Reasoning and tool calls are told apart from the content
        in the form that the model writes them. `n` is as in `generate`. Raises
        UnsupportedModelError if the file has no chat template.
        """
        if n == 1:
            return self.chat_stream(messages, **options).wait()
        return first_of(self._chats(messages, n, options).wait())

    async def achat(
        self, messages: Iterable[Message], *, n: int = 1, **options: Unpack[ChatOptions]
    ) -> Completion:
        """`chat` for asyncio; cancelling the task stops the computation."""
        if n == 1:
            return await self.chat_stream(messages, **options).await_result()
        said, kept = list(messages), reusable(options)
        constraint = await self._starter.run(lambda: self._constraint_of_chat(said, kept))
        return first_of(await self._chats(said, n, kept, constraint).await_results())

    def chat_stream(
        self, messages: Iterable[Message], **options: Unpack[ChatOptions]
    ) -> ChatStream:
        """`chat` piece by piece, for loops of both kinds; grammars are as in `stream`."""
        return self._chat(messages, options)

    def logits(
        self, token_ids: Iterable[int], *, lora: Choice | None = None
    ) -> npt.NDArray[np.float32]:
        """The logits after each of the tokens, `[n_tokens, n_vocab]`."""
        return self._engine.evaluate(list(token_ids), lora=self._adapters.choose(lora))

    def embed(
        self,
        texts: Iterable[str | Iterable[int]],
        pooling: Pooling | None = None,
        normalize: bool = True,
        *,
        truncate: bool = False,
    ) -> Vectors:
        """Make embeddings `[n_texts, width]` of texts, or of token ids, taken as they are.

        `pooling` says what becomes of the vectors of a text's tokens: "mean", "cls" (the first),
        "last"; "none" gives a list with all of them, `[n_tokens, width]` for each text; "rank"
        gives the scores of a reranker. The default is what the file says, or else the mean.
        `normalize` makes the length of a text's embedding 1. `truncate` cuts long texts to the
        context, where they raise ContextLengthError otherwise.
        """
        ids = self._text_ids(texts, truncate)
        return self._embedding(ids, pooling, normalize).wait()

    async def aembed(
        self,
        texts: Iterable[str | Iterable[int]],
        pooling: Pooling | None = None,
        normalize: bool = True,
        *,
        truncate: bool = False,
    ) -> Vectors:
        """`embed` for asyncio; cancelling the task stops the computation."""
        import asyncio

        # Many texts take longer to encode than a loop should stand still.
        ids = await asyncio.to_thread(self._text_ids, texts, truncate)
        return await self._embedding(ids, pooling, normalize).await_result()

    def rerank(
        self,
        query: str,
        documents: Iterable[str],
        *,
        top_n: int | None = None,
        truncate: bool = False,
    ) -> list[RankedDocument]:
        """Order documents by how well they answer a query, the best first, and `top_n` at most.

        `truncate` cuts documents to what the context and the query leave; otherwise one that is
        too long raises ContextLengthError. Raises UnsupportedModelError if the model is no
        reranker.
        """
        texts, ids = self._rerank_ids(query, documents, top_n, truncate)
        return ranked(self.embed(ids, "rank"), texts, top_n)

    async def arerank(
        self,
        query: str,
        documents: Iterable[str],
        *,
        top_n: int | None = None,
        truncate: bool = False,
    ) -> list[RankedDocument]:
        """`rerank` for asyncio; cancelling the task stops the computation."""
        import asyncio

        texts, ids = await asyncio.to_thread(self._rerank_ids, query, documents, top_n, truncate)
        return ranked(await self.aembed(ids, "rank"), texts, top_n)

    @cached_property
    def _breaker_sets(self) -> BreakerSets:
        return BreakerSets(self.tokenizer)

    def _ids(self, prompt: str | Iterable[int]) -> list[int]:
        return self.tokenizer.encode(prompt) if isinstance(prompt, str) else list(prompt)

    def _text_ids(self, texts: Iterable[str | Iterable[int]], truncate: bool) -> list[list[int]]:
        n_ctx = self.info["n_ctx"]
        return encode_texts(lambda: self.tokenizer, texts, n_ctx, truncate=truncate)

    def _embedding(
        self, ids: list[list[int]], pooling: Pooling | None, normalize: bool
    ) -> Embedding | NoTexts:
        pooling = pooling if pooling is not None else self.info["pooling"]
        if not ids:
            return NoTexts(self.info["n_embd"], pooling)
        request = self._engine.embed(ids, pooling=pooling)
        return Embedding(request, self._dispatcher, pooling, normalize=normalize)

    def _rerank_ids(
        self, query: str, documents: Iterable[str], top_n: int | None, truncate: bool
    ) -> tuple[list[str], list[list[int]]]:
        texts = checked(documents, top_n)
        template = self._gguf.fields.get(TEMPLATE)
        room = self.info["n_ctx"] if truncate else None
        return texts, [pair_ids(self.tokenizer, template, query, text, room) for text in texts]

    @cached_property
    def _chat_format(self) -> ChatFormat:
        from farthing.chat.format import ChatFormat

        tokenizer = self.tokenizer

        def is_token(text: str) -> bool:
            return len(tokenizer.encode(text, add_special=False, parse_special=True)) == 1

        return ChatFormat(self.chat_template, is_token)

    def _chat(
        self,
        messages: Iterable[Message],
        options: Mapping[str, Any],
        *,
        on_end: Callable[[Completion], None] | None = None,
        constraint: _native.Constraint | None = None,
    ) -> ChatStream:
        tokenizer = self.tokenizer
        prompt, rest = prepare_chat(self._chat_format, messages, options)
        prepared = prepare("chat", rest, CHAT_NAMES)
        several = options.get("parallel_tool_calls") is not False
        constrain = None
        if constraint is not None:
            prepared.native["constraint"] = constraint
        elif prepared.source is not None or prompt.plan.tools is not None:
            constrain = partial(
                chat_constraint, tokenizer, prompt, prepared.source, several=several
            )
        pieces = ChatSoFar(
            tokenizer, prepared.stop, prompt.parser(), shown_tokens(tokenizer, prompt.markers)
        )
        ids = tokenizer.encode_prompt(prompt.text)
        request, generation = self._submit(ids, prepared, pieces, constrain)
        return ChatStream(self, request, generation, self._dispatcher, on_end)

    def _constraint_of_chat(
        self, messages: Iterable[Message], options: Mapping[str, Any]
    ) -> _native.Constraint | None:
        prompt, rest = prepare_chat(self._chat_format, messages, options)
        source = prepare("chat", rest, CHAT_NAMES).source
        several = options.get("parallel_tool_calls") is not False
        return chat_constraint(self.tokenizer, prompt, source, several=several)

    async def _compiled(self, method: str, options: Mapping[str, Any]) -> _native.Constraint | None:
        """The grammar asked for, compiled beside the event loop."""
        source = prepare(method, options).source
        if source is None:
            return None
        return await self._starter.run(partial(self._constraint, source))

    def _generations(
        self,
        method: str,
        prompt: str | Iterable[int],
        n: int,
        options: Mapping[str, Any],
        constraint: _native.Constraint | None = None,
    ) -> Together:
        ids, options = self._ids(prompt), reusable(options)

        def start(more: Mapping[str, Any]) -> TokenStream:
            return self._start(method, ids, {**options, **more}, constraint)

        return Together(copies(start, n, options.get("seed")), n)

    def _chats(
        self,
        messages: Iterable[Message],
        n: int,
        options: Mapping[str, Any],
        constraint: _native.Constraint | None = None,
    ) -> Together:
        said, options = list(messages), reusable(options)

        def start(more: Mapping[str, Any]) -> ChatStream:
            return self._chat(said, {**options, **more}, constraint=constraint)

        return Together(copies(start, n, options.get("seed")), n)

    def _batch(
        self,
        method: str,
        prompts: Iterable[str | Iterable[int]],
        options: Mapping[str, Any],
        constraint: _native.Constraint | None = None,
    ) -> Together:
        if isinstance(prompts, str):
            raise RequestError("prompts is a str, but must be a list of prompts")
        options = reusable(options)
        params = self._params(prepare(method, options))
        ids = [self._ids(prompt) for prompt in prompts]
        for index, tokens in enumerate(ids):
            try:
                self._engine.check(tokens, params)
            except RequestError as error:
                raise type(error)(f"prompts[{index}]: {error}") from None
        starts = [partial(self._start, method, tokens, options, constraint) for tokens in ids]
        # Those that wait take the places of those that end at once.
        return Together(starts, 2 * int(self.info["max_sequences"]))

    def _start(
        self,
        method: str,
        ids: list[int],
        options: Mapping[str, Any],
        constraint: _native.Constraint | None = None,
    ) -> TokenStream:
        prepared = prepare(method, options)
        constrain = None
        if constraint is not None:
            prepared.native["constraint"] = constraint
        elif prepared.source is not None:
            constrain = partial(self._constraint, prepared.source)
        tokenizer = None if isinstance(self._tokenizer, FarthingError) else self._tokenizer
        pieces: Pieces[str] = (
            TextSoFar(tokenizer, prepared.stop) if tokenizer is not None else NoText()
        )
        request, generation = self._submit(ids, prepared, pieces, constrain)
        return TokenStream(self, request, generation, self._dispatcher)

    def _constraint(self, source: Source) -> _native.Constraint:
        return _native.Constraint(source.compile(self.tokenizer.for_grammars))

    def _submit(
        self,
        ids: list[int],
        prepared: Prepared,
        pieces: Pieces[Piece],
        constrain: Callable[[], _native.Constraint | None] | None,
    ) -> tuple[_native.Request | Starting, Generation[Piece]]:
        """Have the engine begin; `constrain` compiles a grammar, beside a loop if one runs."""
        tokenizer = None if isinstance(self._tokenizer, FarthingError) else self._tokenizer
        generation = Generation(len(ids), tokenizer, pieces, logprobs=prepared.logprobs)
        params = self._params(prepared)

        def submit() -> _native.Request:
            if constrain is not None and (constraint := constrain()) is not None:
                params["constraint"] = constraint
            return self._engine.submit(ids, params, logits_processor=prepared.logits_processor)

        if constrain is None or not on_loop():
            return submit(), generation
        self._engine.check(ids, params)
        return Starting(self._starter.submit(submit)), generation

    def _params(self, prepared: Prepared) -> dict[str, Any]:
        """The options of a request as the engine takes them."""
        params = {"context_shift": self._context_shift} | prepared.native
        if not isinstance(self._tokenizer, FarthingError):
            if self._tokenizer.bos_id is not None:
                params["bos"] = self._tokenizer.bos_id
            params["stop_tokens"] = sorted(self._tokenizer.eog_ids)
            if prepared.breakers:
                params["dry_sequence_breakers"] = self._breaker_sets.find(prepared.breakers)
        params["lora"] = self._adapters.choose(prepared.lora)
        return params
