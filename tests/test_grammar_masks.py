"""Grammars over a small vocabulary: masks equal stepping every token, and special tokens match where they are named."""

from __future__ import annotations

import json
import random

import pytest
from masking import EOS, brute_allowed, engine, filled, small_vocabulary
from walking import accepts

from radixgen.errors import GrammarError, SchemaError
from radixgen.mask import MaskEngine
from radixgen.params import Constraint, GrammarText, JsonSchema, Regex, StructuralTags, Tag, Thinking
from radixgen.tokens.vocabulary import Vocabulary

_ID = {"type": "object", "properties": {"name": {"type": "string"}, "id": {"type": "integer"}}, "required": ["id"]}
RECORD = JsonSchema(json.dumps(_ID))
SUM = 'start: start "+" start | "(" start ")" | /[a-zé\\n]+/'
CONSTRAINTS: dict[str, Constraint] = {
    "sums": GrammarText('start: start "+" start | "(" start ")" | /[0-9]+/ | NAME\nNAME: /[a-z]+/\n%ignore " "'),
    "palindromes": GrammarText('start: "a" start "a" | "b" start "b" | "a" | "b" |'),
    "schema inside": GrammarText('start: ("value " | "na" "me ")+ %json {"enum": ["a", {"name": null}, 12]} "}"*'),
    "gbnf": GrammarText('root ::= ("[" root ("," root)* "]") | "\\"" [^"\\n]* "\\""', syntax="gbnf"),
    "ebnf": GrammarText("List ::= '{' (Word ':' List)* '}'  Word ::= [a-zé]+ - 'name'", syntax="ebnf"),
    "substring": GrammarText('start: (%substring "Acme Corp is the total value" "|")*'),
    "tags": StructuralTags((Tag("name:", RECORD, "!"), Tag("na{", None, "}")), ("name", "na{")),
    "one tag": StructuralTags((Tag("id", Regex("[ab]*"), ""),), ("id",), at_least_one=True, stop_after_first=True),
    "special tag": StructuralTags((Tag("<[call]>", RECORD, "<[done]>"),), ("<[call]>",)),
    "thinking": Thinking(RECORD, "total"),
    "a rule in a schema's string": JsonSchema(
        json.dumps(
            {
                "type": "object",
                "properties": {"name": {"x-lark": SUM, "type": ["string", "null"]}, "id": {"enum": ["a+b", "a+", 1]}},
                "required": ["name"],
            }
        )
    ),
    "named tokens": GrammarText('start: <[call]> (/[a-z]+/ | <[done]>)* "call"'),
}


@pytest.fixture(scope="module")
def masks() -> MaskEngine:
    return engine(named_vocabulary())


def named_vocabulary() -> Vocabulary:
    plain = small_vocabulary()
    size = plain.vocab_size
    names = {size: "call", size + 1: "done", EOS: "end"}
    token_bytes = [*plain.token_bytes, b"", b"", b"call", b"\xffca", b"total"]
    return Vocabulary(token_bytes, plain.special_ids | names.keys(), plain.eos_ids, special_names=names)


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_masks_of_grammars_equal_stepping_every_token(masks: MaskEngine, name: str) -> None:
    grammar = masks.compile(CONSTRAINTS[name])
    rng = random.Random(name)
    for _ in range(6):
        matcher = masks.matcher(grammar, max_tokens=40)
        for _ in range(14):
            allowed = brute_allowed(matcher)
            if matcher.min_tokens_left() < matcher.remaining - 2:
                assert filled(matcher) == allowed, matcher.text
            choices = [one for one in filled(matcher) if masks.index.token_bytes[one]]
            if not choices or matcher.remaining == 0:
                break
            matcher.advance(rng.choice(choices))
        plan = matcher.min_tokens_left()
        assert plan <= matcher.remaining


def write(masks: MaskEngine, constraint: Constraint, *tokens: int | str) -> bool:
    """Whether the ids, or the bytes of texts, are allowed one after the other and may end there."""
    matcher = masks.matcher(masks.compile(constraint), max_tokens=100)
    by_text = {data: i for i, data in reversed(list(enumerate(masks.index.token_bytes)))}
    for token in tokens:
        ids = [token] if isinstance(token, int) else [by_text[bytes([byte])] for byte in token.encode()]
        for token_id in ids:
            if token_id not in filled(matcher):
                return False
            matcher.advance(token_id)
    return matcher.is_accepting


def test_special_tokens_match_where_a_grammar_names_them_and_nowhere_else(masks: MaskEngine) -> None:
    call = small_vocabulary().vocab_size
    done, named = call + 1, CONSTRAINTS["named tokens"]
    assert write(masks, named, call, done, done, "abcall")
    assert not write(masks, named, "call", "call")
    assert not write(masks, named, call, call, "call")
    assert write(masks, CONSTRAINTS["special tag"], "a call ", call, '{"id":1}', done, " done")
    assert not write(masks, CONSTRAINTS["special tag"], "a", done)
    assert not write(masks, Regex("(?s:.*)"), call)


def test_a_byte_that_begins_a_special_token_s_name_is_never_written(masks: MaskEngine) -> None:
    matcher = masks.matcher(masks.compile(CONSTRAINTS["named tokens"]), max_tokens=100)
    assert filled(matcher) == [small_vocabulary().vocab_size]


def test_a_special_token_that_the_vocabulary_lacks_is_refused_by_name(masks: MaskEngine) -> None:
    with pytest.raises(GrammarError, match=r"no special token 'tool'.*there are call, done"):
        masks.compile(GrammarText("start: <[tool]>"))
    with pytest.raises(GrammarError, match="no special token 'end'"):
        masks.compile(GrammarText("start: <[end]>"))


def test_tags_stand_in_free_text_that_holds_no_trigger(masks: MaskEngine) -> None:
    tags = CONSTRAINTS["tags"]
    assert write(masks, tags, "nam", 'e:{"name":"x","id":1}! and ', "na{any name }", " the end")
    assert not write(masks, tags, "name")
    assert not write(masks, tags, "a name of")
    assert not write(masks, tags, 'name:{"id":1}')
    one = CONSTRAINTS["one tag"]
    assert write(masks, one, "xx", "idab")
    assert not write(masks, one, "xx")
    assert not write(masks, one, "idabc")


def schema_texts(masks: MaskEngine, schema: object, *texts: str) -> list[bool]:
    machine = masks.compile(JsonSchema(json.dumps(schema))).machine
    return [accepts(machine, text.encode()) for text in texts]


def test_a_rule_in_a_schema_s_string_meets_lists_of_words_and_nothing_else(masks: MaskEngine) -> None:
    rule = {"type": "string", "x-lark": SUM}
    assert schema_texts(masks, rule, '"(a+\\u00e9)"', '"a\\n"', '"(a"', '"A"', "1") == [True, True, False, False, False]
    listed = {"allOf": [rule, {"enum": ["a+b", "+", 3]}], "anyOf": [True, {"const": "x"}]}
    assert schema_texts(masks, listed, '"a+b"', '"+"', "3", '"a"') == [True, False, False, False]
    assert schema_texts(masks, {"anyOf": [{"type": "null"}, rule, False]}, "null", '"a"', '"+"') == [True, True, False]
    for schema in ({"not": rule}, rule | {"minLength": 3}, {"type": "string", "anyOf": [rule, {"pattern": "x"}]}):
        with pytest.raises(SchemaError, match="'x-lark' cannot be joined") as raised:
            masks.compile(JsonSchema(json.dumps(schema)))
        assert raised.value.pointer.endswith("/x-lark")
    with pytest.raises(SchemaError, match="/x-lark: 'x-lark': line 1, column 8: 'b' is not defined"):
        masks.compile(JsonSchema('{"x-lark": "start: b"}'))
