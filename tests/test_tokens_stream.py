"""Text as it comes out: whole characters, and stop strings across any border."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from radixgen.tokens import Detokenizer, StopState, StopStrings, Vocabulary

BYTES = Vocabulary([bytes([byte]) for byte in range(256)] + [b""], frozenset({256}), (256,))


@given(data=st.binary(max_size=40) | st.text(max_size=20).map(str.encode))
@settings(max_examples=400, deadline=None)
def test_whatever_the_borders_the_text_is_that_of_all_bytes_at_once(data: bytes) -> None:
    detokenizer = Detokenizer(BYTES)
    pushed = [detokenizer.push(byte) for byte in data]
    assert "".join(pushed) + detokenizer.flush() == data.decode("utf-8", errors="replace")


@given(text=st.text(max_size=30), size=st.integers(1, 5))
def test_text_that_is_valid_never_shows_half_a_character(text: str, size: int) -> None:
    detokenizer = Detokenizer(BYTES)
    data = text.encode()
    shown = [detokenizer.push_many(data[i : i + size]) for i in range(0, len(data), size)]
    assert "".join(shown) == text
    assert detokenizer.flush() == ""


def test_an_unfinished_character_shows_only_at_the_end_and_special_ids_never() -> None:
    detokenizer = Detokenizer(BYTES)
    assert [detokenizer.push(token_id) for token_id in (*b"a\xe4", 256, 0xB8)] == ["a", "", "", ""]
    twin = detokenizer.fork()
    assert detokenizer.push(0xAD) == "中"
    assert (detokenizer.flush(), twin.flush()) == ("", "\ufffd")


def slow_stop(text: str, stops: list[str]) -> tuple[str, bool]:
    """Letter by letter: the first end of a stop, the longest of those that end there."""
    for end in range(1, len(text) + 1):
        found = [stop for stop in stops if stop and text[:end].endswith(stop)]
        if found:
            return text[: end - max(map(len, found))], True
    return text, False


@given(
    text=st.text("ab\n", max_size=30),
    stops=st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3),
    cuts=st.lists(st.integers(0, 30), max_size=8),
)
@settings(max_examples=600, deadline=None)
def test_stops_are_found_wherever_the_text_is_cut(text: str, stops: list[str], cuts: list[int]) -> None:
    stream = StopStrings(stops)
    shown, is_stopped = "", False
    borders = [0, *sorted(cuts), len(text)]
    for start, end in pairwise(borders):
        state = stream.push(text[start:end])
        shown, is_stopped = shown + state.text, state.is_stopped
        assert slow_stop(text, stops)[0].startswith(shown)
    assert (shown + stream.flush(), is_stopped) == slow_stop(text, stops)


def test_only_what_may_be_the_start_of_a_stop_is_held_back() -> None:
    stream = StopStrings(["\n\n", "END"])
    assert stream.push("a\n") == StopState("a", False)
    assert stream.push("bEN") == StopState("\nb", False)
    twin = stream.fork()
    assert stream.push("D..") == StopState("", True)
    assert stream.push("more") == StopState("", True)
    assert twin.push("C") == StopState("ENC", False)
    assert (stream.flush(), twin.flush()) == ("", "")


def test_without_stops_everything_passes_at_once() -> None:
    assert StopStrings([]).push("text") == StopState("text", False)
