"""Prompt parts to ids: templates, special tokens, documents cut to fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_factory import BEGIN, CHATML, END, START, make_bpe_folder, make_sentencepiece_folder

from radixgen.errors import ModelError, ParamError, PromptTooLong, RadixgenError
from radixgen.params import Document, Ids, Message, PromptPart, Text
from radixgen.tokens import Tokenizer

ENOUGH = 10_000

LOOKS_INTO_SYSTEM = (
    "{% set parts = messages[0].content.split('\n\nFields:\n') %}"
    "{{ bos_token }}{% if parts[0] != 'Default.' %}{{ parts[0] }}\n{% endif %}{{ parts[1] }}"
    "{{ '<|im_start|>' + messages[1].content | trim + '<|im_end|>' }}"
)


def load(folder: Path, template: str | None = CHATML, **factory: str) -> Tokenizer:
    make_bpe_folder(folder, **factory)  # type: ignore[arg-type]
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return Tokenizer.load(folder)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return load(tmp_path_factory.mktemp("chatml"))


@pytest.fixture(scope="module")
def joining(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    template = "{% for m in messages %}{{ m.content | trim }}{% endfor %}"
    return load(tmp_path_factory.mktemp("joining"), template)


def special_count(tokenizer: Tokenizer, ids: object) -> int:
    return sum(1 for token_id in ids if token_id in tokenizer.vocabulary.special_ids)  # type: ignore[attr-defined]


def user(*parts: Text | Ids | Document) -> Message:
    return Message("user", parts)


def test_a_chat_is_the_template_around_its_messages(tokenizer: Tokenizer) -> None:
    rendered = tokenizer.render(
        (Message("system", (Text("Be brief."),)), user(Text("Hi "), Document("the invoice"))), ENOUGH
    )
    written = f"{START}system\nBe brief.{END}\n{START}user\nHi the invoice{END}\n{START}assistant\n"
    assert list(rendered.ids) == list(tokenizer.encode(written, allow_special=True))
    assert rendered.document == "the invoice"
    assert rendered.truncated_chars == 0


def test_an_answer_begun_by_the_assistant_is_left_open(tokenizer: Tokenizer) -> None:
    given_ids = tuple(int(token_id) for token_id in tokenizer.encode("vendor"))
    rendered = tokenizer.render((user(Text("Hi")), Message("assistant", (Text("The "), Ids(given_ids)))), ENOUGH)
    expected = list(tokenizer.encode(f"{START}user\nHi{END}\n{START}assistant\nThe ", allow_special=True))
    assert list(rendered.ids) == [*expected, *given_ids]


def test_parts_outside_of_messages_are_text_and_ids_as_they_are(tokenizer: Tokenizer) -> None:
    rendered = tokenizer.render((Text("the inv"), Document("oice "), Ids((1, 7)), Text("total")), ENOUGH)
    assert list(rendered.ids) == [*tokenizer.encode("the invoice "), 1, 7, *tokenizer.encode("total")]
    assert rendered.document == "oice "


def test_several_documents_are_quoted_with_a_line_break_between(tokenizer: Tokenizer) -> None:
    rendered = tokenizer.render((Document("one"), Text(" and "), Document("two")), ENOUGH)
    assert rendered.document == "one\ntwo"
    assert tokenizer.render((Text("none"),), ENOUGH).document is None


hostile = st.lists(
    st.sampled_from(
        [
            START,
            END,
            BEGIN,
            "<|",
            "<",
            "|>",
            "im_",
            "start|>",
            "im_end",
            ">",
            " ",
            "\n",
            "a",
            "\U000f0000",
            "\U000f0001",
        ]
    ),
    max_size=6,
).map("".join)


@given(system=hostile, text=hostile, document=hostile, role=hostile)
@settings(max_examples=300, deadline=None)
def test_no_text_of_a_caller_becomes_a_special_token(
    tokenizer: Tokenizer, system: str, text: str, document: str, role: str
) -> None:
    parts = (Message(role, (Text(system),)), user(Text(text), Document(document), Text(text)))
    ids = tokenizer.render(parts, ENOUGH).ids
    assert special_count(tokenizer, ids) == 5  # two messages' start and end, and the answer's start
    # and nothing is lost or changed
    written = f"{role}\n{system}\nuser\n{text}{document}{text}\nassistant\n"
    assert tokenizer.decode(ids) == written


@given(texts=st.lists(hostile, min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_texts_that_a_template_joins_do_not_become_a_special_token(joining: Tokenizer, texts: list[str]) -> None:
    rendered = joining.render((user(Text("a")), *(user(Text(text)) for text in texts)), ENOUGH)
    assert special_count(joining, rendered.ids) == 0


def test_outside_of_messages_no_text_is_special_either(tokenizer: Tokenizer) -> None:
    ids = tokenizer.render((Text(f"a{START}"), Document(f"{END}b")), ENOUGH).ids
    assert special_count(tokenizer, ids) == 0
    assert tokenizer.decode(ids) == f"a{START}{END}b"


def test_a_template_may_look_into_text_but_not_into_documents(tmp_path: Path) -> None:
    tokenizer = load(tmp_path, LOOKS_INTO_SYSTEM)
    for instructions, shown in (("Default.", ""), (f"Do {END} it.", f"Do {END} it.\n")):
        system = Message("system", (Text(f"{instructions}\n\nFields:\nname: string{START}"),))
        rendered = tokenizer.render((system, user(Document("  kept as it is  "))), ENOUGH)
        assert tokenizer.decode(rendered.ids) == f"{shown}name: string{START}  kept as it is  "
        assert [i for i in rendered.ids if i in (0, 1, 2)] == [0, 1, 2]


def test_a_lost_document_or_lost_ids_are_reported(tmp_path: Path) -> None:
    tokenizer = load(tmp_path, "{{ messages[0].content }}")
    with pytest.raises(ParamError, match="drops a document"):
        tokenizer.render((user(Text("x")), user(Document("y"))), ENOUGH)
    with pytest.raises(ParamError, match="drops a message's ids"):
        tokenizer.render((user(Text("x")), user(Ids((5,)))), ENOUGH)
    with pytest.raises(ParamError, match="drops the assistant's message"):
        tokenizer.render((user(Text("x")), Message("assistant", (Text("y"),))), ENOUGH)


@given(surplus=st.integers(1, 60), text=st.text("ab é中😀\n,1", min_size=80, max_size=90))
@settings(max_examples=150, deadline=None)
def test_a_document_is_cut_at_its_end_at_whole_characters(tokenizer: Tokenizer, surplus: int, text: str) -> None:
    parts = (Message("system", (Text("the fields"),)), user(Document(text)))
    whole = tokenizer.render(parts, ENOUGH)
    max_len = len(whole.ids) - surplus
    if max_len < 25:
        return
    cut = tokenizer.render(parts, max_len)
    assert cut.document is not None
    assert text.startswith(cut.document)
    assert cut.truncated_chars == len(text) - len(cut.document) > 0
    assert len(cut.ids) <= max_len
    # the rest of the prompt is untouched, and no more than a token's worth was cut in vain
    shorter = (Message("system", (Text("the fields"),)), user(Document(cut.document)))
    assert list(cut.ids) == list(tokenizer.render(shorter, ENOUGH).ids)
    assert len(cut.ids) >= max_len - 4


def test_the_last_document_is_cut_first_and_those_that_may_not_be_are_kept(tokenizer: Tokenizer) -> None:
    parts = (Document("first " * 10), Document("second " * 10), Document("third " * 3, may_cut=False))
    whole = len(tokenizer.render(parts, ENOUGH).ids)
    cut = tokenizer.render(parts, whole - 8)
    assert cut.document is not None
    first, second, third = cut.document.split("\n")
    assert (first, third) == ("first " * 10, "third " * 3)
    assert ("second " * 9).startswith(second)
    deep = tokenizer.render(parts, len(tokenizer.encode("third " * 3)) + 12)
    assert deep.document is not None
    assert deep.document.split("\n")[1:] == ["", "third " * 3]
    assert ("first " * 10).startswith(deep.document.split("\n")[0])


def test_a_text_far_too_long_is_cut_without_being_tokenized_whole(tokenizer: Tokenizer) -> None:
    rendered = tokenizer.render((Document("the invoice number " * 100_000),), 64)
    assert 60 <= len(rendered.ids) <= 64
    assert rendered.truncated_chars == 1_900_000 - len(rendered.document or "")


@pytest.mark.parametrize(
    ("parts", "truncate", "said"),
    [
        ((Text("the invoice " * 50),), True, r"\d+ tokens where 20 fit, and nothing in it may be cut"),
        ((Document("the invoice " * 50, may_cut=False),), True, "nothing in it may be cut"),
        ((Document("the invoice " * 50),), False, "truncating is turned off"),
        ((Text("the invoice " * 50), Document("short")), True, "without its document; .* shorten the rest"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_size(
    tokenizer: Tokenizer, parts: tuple[PromptPart, ...], truncate: bool, said: str
) -> None:
    with pytest.raises(PromptTooLong, match=said):
        tokenizer.render(parts, 20, truncate=truncate)


@pytest.mark.parametrize("parts", [(), (Text(""),), (Document(""),), (Ids(()),)])
def test_an_empty_prompt_is_refused(tokenizer: Tokenizer, parts: tuple[PromptPart, ...]) -> None:
    with pytest.raises(ParamError, match="empty"):
        tokenizer.render(parts, 20)


@pytest.mark.parametrize("wrong", [-1, 10**6])
def test_ids_beyond_the_vocabulary_are_refused(tokenizer: Tokenizer, wrong: int) -> None:
    with pytest.raises(ParamError, match=str(wrong)):
        tokenizer.render((Ids((1, wrong)),), ENOUGH)


@pytest.mark.parametrize(
    ("template", "error", "said"),
    [
        (None, ParamError, "no chat template"),
        ("{{ raise_exception('roles must alternate') }}", ParamError, "roles must alternate"),
        ("{% if %}", ModelError, "line 1"),
        ("{{ messages.append(1) }}", ModelError, "may not do this"),
        ("{{ ''.__class__.__mro__ }}", ModelError, "may not do this"),
        ("{{ messages[9].content }}", ParamError, "refuses these messages"),
        ("{{ 'a' * 99999999 }}", ModelError, "without bound"),
        ("{{ 2 ** 99999999 }}", ModelError, "without bound"),
        (
            "{% for a in range(9999) %}{% for b in range(9999) %}xxxxxxxx{% endfor %}{% endfor %}",
            ModelError,
            "seem to end",
        ),
        ("{{ 1 // 0 }}", ModelError, "ZeroDivisionError"),
    ],
)
def test_a_template_that_fails_or_does_what_it_may_not_is_named(
    tmp_path: Path, template: str | None, error: type[RadixgenError], said: str
) -> None:
    with pytest.raises(error, match=said):
        load(tmp_path, template).render((user(Text("x")),), ENOUGH)


def test_templates_get_what_transformers_gives_them(tmp_path: Path) -> None:
    template = (
        "{{ bos_token }}{{ eos_token }}{{ {'a': '<é>'} | tojson }}{{ strftime_now('%Y')[:2] }}{{ 7 % 2 }}{{ '-' * 3 }}"
        "{% generation %}{{ messages[0]['content'] }}{% endgeneration %}\n"
        "    {% for m in messages %}{% break %}{% endfor %}{{ tools is none }}"
    )
    tokenizer = load(tmp_path, template)
    assert tokenizer.decode(tokenizer.render((user(Text("x")),), ENOUGH).ids) == '{"a": "<é>"}201---xTrue'


def test_a_template_file_goes_before_the_config_and_a_list_is_read_by_name(tmp_path: Path) -> None:
    config = [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d{{ messages[0].content }}"}]
    tokenizer = load(tmp_path, config)  # type: ignore[arg-type]
    assert tokenizer.decode(tokenizer.render((user(Text("x")),), ENOUGH).ids) == "dx"
    (tmp_path / "chat_template.jinja").write_text("file {{ messages[0].content }}")
    tokenizer = Tokenizer.load(tmp_path)
    assert tokenizer.decode(tokenizer.render((user(Text("x")),), ENOUGH).ids) == "file x"


def test_a_plain_text_begins_as_the_tokenizer_begins_texts_and_a_chat_as_its_template_does(tmp_path: Path) -> None:
    tokenizer = load(tmp_path, style="llama")
    assert list(tokenizer.render((Text("the invoice"),), ENOUGH).ids) == [0, *tokenizer.encode("the invoice")]
    assert tokenizer.render((user(Text("x")),), ENOUGH).ids[0] == 1
    assert tokenizer.render((Ids((5,)), Text("x")), ENOUGH).ids[0] == 5


def test_only_the_first_run_of_a_text_gets_the_mark_of_a_beginning(tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(make_sentencepiece_folder(tmp_path, prefix="first"))
    ids = tokenizer.encode(f"the{START}the", allow_special=True)
    assert tokenizer.decode(ids) == " thethe"
    rendered = tokenizer.render((Text("the"), Ids((3,)), Text("the")), ENOUGH)
    assert list(rendered.ids) == list(ids)
