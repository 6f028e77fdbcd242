"""Conversations kept in files."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from farthing import Model, RequestError, Session, SessionError
from farthing.api.session_file import SessionFile, default_store
from models import STORY_TEXT


def test_a_conversation_survives(story: Model, tmp_path: Path) -> None:
    first = Session(story, "tea", store=tmp_path, system_prompt="Be brief.")
    assert first.send("One?", temperature=0).text == STORY_TEXT
    second = Session(story, "tea", store=tmp_path)
    assert second.messages == [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": STORY_TEXT},
    ]
    answer = second.send("Two?", temperature=0)
    assert answer.usage.prompt_tokens > 2 * len("One?")
    assert [m["role"] for m in first.messages] == ["system", "user", "assistant"]
    first.send("Three?", temperature=0)
    contents = [m["content"] for m in first.messages if m["role"] == "user"]
    assert contents == ["One?", "Two?", "Three?"]


async def test_asyncio(story: Model, tmp_path: Path) -> None:
    session = Session(story, "tea", store=tmp_path)
    await session.asend("One?", temperature=0)
    async for _ in session.stream("Two?", temperature=0):
        pass
    assert len(Session(story, "tea", store=tmp_path).messages) == 4


def test_a_cancelled_answer_is_kept_and_marked(story: Model, tmp_path: Path) -> None:
    session = Session(story, "tea", store=tmp_path)
    for piece in session.stream("One?", temperature=0):
        assert piece == " Once"
        break
    kept = {"role": "assistant", "content": " Once", "cancelled": True}
    assert Session(story, "tea", store=tmp_path).messages[1] == kept
    session.send("Two?", temperature=0)
    assert len(session.messages) == 4


def test_a_refused_message_is_not_kept(story: Model, tmp_path: Path) -> None:
    session = Session(story, "tea", store=tmp_path)
    with pytest.raises(RequestError):
        session.send("x" * 2000)
    with pytest.raises(RequestError):
        session.send("One?", top_p=3)
    assert session.messages == []


def test_reset(story: Model, tmp_path: Path) -> None:
    session = Session(story, "tea", store=tmp_path, system_prompt="Be brief.")
    session.send("One?", temperature=0)
    session.reset()
    assert [m["role"] for m in session.messages] == ["system"]
    assert Session(story, "tea", store=tmp_path).messages == []


def test_the_copy_of_the_messages_is_the_callers(story: Model, tmp_path: Path) -> None:
    session = Session(story, "tea", store=tmp_path)
    session.send("One?", max_tokens=1)
    session.messages[0]["content"] = "changed"
    assert session.messages[0]["content"] == "One?"


def test_each_new_session_has_its_own_id(story: Model, tmp_path: Path) -> None:
    first, second = Session(story, store=tmp_path), Session(story, store=tmp_path)
    assert first.session_id != second.session_id


@pytest.mark.parametrize(
    "session_id",
    ["", ".", "..", "../tea", "a/b", "/tea", "a\\b", ".tea", "-x", "a\0b", "é", "x" * 129],
)
def test_ids_cannot_leave_the_store(story: Model, tmp_path: Path, session_id: str) -> None:
    with pytest.raises(RequestError, match="session_id"):
        Session(story, session_id, store=tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"revision": 1, "messages": [1]}',
        b'{"revision": 1, "messages": [{"content": "no role"}]}',
        b'{"revision": 0, "messages": []}',
        b'{"revision": "1", "messages": []}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_is_named_and_left_alone(
    story: Model, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "tea.json"
    path.write_bytes(content)
    with pytest.raises(SessionError, match=r"tea\.json"):
        Session(story, "tea", store=tmp_path)
    assert path.read_bytes() == content


def test_a_second_writer_is_noticed(tmp_path: Path) -> None:
    first, second = SessionFile(tmp_path, "tea"), SessionFile(tmp_path, "tea")
    first.read()
    second.read()
    first.write([{"role": "user", "content": "1"}])
    with pytest.raises(SessionError, match=r"tea\.json.*another writer"):
        second.write([{"role": "user", "content": "2"}])
    assert second.read() == [{"role": "user", "content": "1"}]
    second.write([{"role": "user", "content": "2"}])


def test_of_many_writers_at_once_one_wins(tmp_path: Path) -> None:
    files = [SessionFile(tmp_path, "tea") for _ in range(8)]
    for file in files:
        file.read()
    won: list[int] = []

    def write(number: int) -> None:
        try:
            files[number].write([{"role": "user", "content": str(number)}])
        except SessionError:
            return
        won.append(number)

    threads = [threading.Thread(target=write, args=[number]) for number in range(len(files))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [m["content"] for m in files[0].read()] == [str(won[0])]
    assert len(won) == 1


def test_an_interrupted_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = SessionFile(tmp_path, "tea")
    file.write([{"role": "user", "content": "old"}])

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(SessionError, match=r"tea\.json.*disk full"):
        file.write([{"role": "user", "content": "new"}])
    assert json.loads((tmp_path / "tea.json").read_text())["messages"][0]["content"] == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tea.json", "tea.lock"]


def test_where_sessions_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARTHING_HOME", "/somewhere")
    assert default_store() == Path("/somewhere/sessions")
    monkeypatch.delenv("FARTHING_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_store() == Path("/data/farthing/sessions")
    monkeypatch.delenv("XDG_DATA_HOME")
    assert default_store() == Path.home() / ".local/share/farthing/sessions"
