"""Stop strings over text in pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from farthing.tokenization import StopStrings


def run(stops: list[str], pieces: list[str]) -> tuple[str, str | None]:
    """All text shown, and the stop string met."""
    watch = StopStrings(stops)
    shown = ""
    for piece in pieces:
        text, hit = watch.push(piece)
        shown += text
        if hit is not None:
            return shown, hit
    text, hit = watch.flush()
    return shown + text, hit


def search(stops: list[str], text: str) -> tuple[str, str | None]:
    """The whole text at once: the first match, of two at one place the shorter."""
    found = [(text.find(stop), len(stop), stop) for stop in stops if stop and stop in text]
    if not found:
        return text, None
    start, _, stop = min(found)
    return text[:start], stop


def test_text_is_held_back_only_while_it_may_be_a_stop() -> None:
    watch = StopStrings(["</end>"])
    assert watch.push("a <") == ("a ", None)
    assert watch.push("/e") == ("", None)
    assert watch.push("x <b") == ("</ex <b", None)
    assert watch.push("</end> more") == ("", "</end>")
    assert watch.push("again") == ("", "</end>")
    assert watch.flush() == ("", "</end>")


def test_an_earlier_start_wins_over_an_earlier_end() -> None:
    assert run(["abcd", "bc"], ["ab", "c", "d"]) == ("", "abcd")
    assert run(["abcd", "bc"], ["ab", "c", "x"]) == ("a", "bc")
    assert run(["abcd", "bc"], ["abc"]) == ("a", "bc")


def test_the_shorter_of_two_at_one_place_wins() -> None:
    assert run(["ab", "abc"], ["a", "bc"]) == ("", "ab")


def test_what_was_held_back_is_shown_at_the_end() -> None:
    assert run(["stop"], ["a sto"]) == ("a sto", None)


def test_nothing_to_stop_at() -> None:
    assert run([], ["a", "b"]) == ("ab", None)
    assert run([""], ["a", "b"]) == ("ab", None)


@given(
    stops=st.lists(st.text("abc", max_size=5), max_size=4),
    pieces=st.lists(st.text("abc", max_size=4), max_size=12),
)
def test_agrees_with_a_search_of_the_whole_text(stops: list[str], pieces: list[str]) -> None:
    assert run(stops, pieces) == search(stops, "".join(pieces))
