r"""Lark's notation, as far as it says which texts there are.

    start: greeting ("," name)*                 // rules in small letters, terminals in capitals
    greeting: "hello"i | /good (day|night)/     # strings, also "x"i; regular expressions with flags i, s, a, u
    name: NAME ~ 1..3 [TITLE]                   ( ) [ ] ? * + ~n ~n..m, | and -> alias, "a".."z"
    _sep{x, mark}: x (mark x)*                  templates
    %import common.NAME   %ignore " "           %override, %extend; %declare is refused

Beyond Lark: `%json {...}` (a JSON Schema), `%regex {"substring_words": "..."}` (also substring_chars,
substring_chunks), `%substring "..."` (any run of its words), `<[NAME]>` (a special token).

What is meant: every text that the rules derive, with any number of ignored terminals before the first terminal and
behind each. Lark itself cuts the text into terminals first, each as long as can be; here a terminal may be as long as
the rules like (`"if" NAME` has the text `ifx`), so where two words need a space between them the rules must say so.
Priorities, `?`, `!` and `->` shape trees only; they are read over. Anchors and lookaheads see their own terminal. A
regular expression is one item: `/a|b/ "c"` has the text `ac`, where Lark has `a|bc` in a terminal.
"""

from __future__ import annotations

import json
import re

from radixgen.automata.regex_parse import parse
from radixgen.errors import GrammarError, RegexError
from radixgen.grammar.files import open_grammar
from radixgen.grammar.lark_library import GrammarReader, Library, Template, pattern_rule
from radixgen.grammar.reader import Reader
from radixgen.grammar.rules import NOTHING, Either, Embed, Literal, Name, Pattern, Rule, Rules, Substring, Tree
from radixgen.grammar.substrings import words_of
from radixgen.params import JsonSchema

_NAME = re.compile(r"_?[a-z][_a-z0-9]*|_?[A-Z][_A-Z0-9]*")
_HEAD = re.compile(  # modifiers, name, {parameters}, .priority, [attributes] and the colon
    r"[?!]*(_?[a-z][_a-z0-9]*|_?[A-Z][_A-Z0-9]*)[ \t]*(?:\{([^}\n]*)\})?[ \t]*(?:\.[ \t]*[+-]?\d+)?\s*"
    r"(\[[^\]\n]*\][ \t]*)?:"
)
_DIRECTIVE = re.compile(r"%(ignore|import|declare|override|extend|llguidance)\b")
_IMPORT = re.compile(r"^[ \t]*%import\b[ \t]*", re.MULTILINE)
_REGEX = re.compile(r"/(?!/)((?:\\.|[^/\\\n])*)/([imslux]*)")
_INERT = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]")
"""Escapes and classes, in which a mark is no operator."""
_COUNTS = re.compile(r"~[ \t]*(\d+)(?:[ \t]*\.\.[ \t]*(\d+))?")
_ALIAS = re.compile(r"->\s*(_?[a-z][_a-z0-9]*)")
_PATH = re.compile(r"(\.?)([\w-]+(?:[ \t]*\.[ \t]*[\w-]+)*)")


def read_lark(text: str, start: str = "") -> Rules:
    """The rules of a Lark grammar; start: `start` where it is empty.

    Raises:
        GrammarError: with line and column.
        LimitError: for templates without end.
    """
    library = Library(Rules(start or "start"), _Reader)
    _Reader(text, library, "").read()
    library.fill_templates()
    return library.rules.checked()


def read_ready_made(name: str) -> Rules:
    """The rules of a grammar that comes with the package, or of its pattern.

    Raises:
        ConstraintError: when there is none of that name.
    """
    file = open_grammar(name)
    if not file.is_regex:
        return read_lark(file.text)
    return Rules("start", {"start": pattern_rule("start", file.text)})


class _Reader(Reader):
    space = re.compile(r"(?:\s|//[^\n]*|#[^\n]*|\\[ ]*\n)*")
    definition = re.compile(f"{_HEAD.pattern}|{_DIRECTIVE.pattern}|->")

    def __init__(self, text: str, library: Library, prefix: str) -> None:
        super().__init__(text)
        self._library, self._prefix = library, prefix
        self._imports: dict[str, str] = {}
        """Names here -> names of imported rules."""
        self._params: dict[str, Tree] = {}
        self._is_dry = False
        """Reading a template's definition: what it uses is not used yet."""

    def read(self) -> None:
        for found in _IMPORT.finditer(self.text):  # names count from the first line on, and imports often stand last
            self.at = found.end()
            self._import()
        self.at = 0
        self.skip()
        while self.at < len(self.text):
            start, directive = self.at, self.match(_DIRECTIVE)
            if directive is None:
                self._define()
            elif directive[1] == "ignore":
                tree = self.either()
                self._library.rules.ignored += [] if self._prefix else [tree]
            elif directive[1] == "import":
                self._import()
            elif directive[1] == "llguidance":
                self._options(start)
            elif directive[1] == "declare":
                self.fail("%declare names what another lexer finds; there is none; write <[NAME]> for a token", start)
            else:
                self._redefine(is_extending=directive[1] == "extend")

    def _options(self, start: int) -> None:
        """`%llguidance {}`, with which some write that a grammar is Lark."""
        if self._json_value(start) != {}:
            self.fail("options of %llguidance are not supported; leave them empty: {}", start)

    def global_name(self, name: str) -> str:
        return self._imports.get(name, self._prefix + name)

    def _head(self) -> re.Match[str]:
        head = self.match(_HEAD)
        if head is None:
            self.fail("a rule (name: ...), a terminal (NAME: ...) or a % directive must begin here")
        if head[3]:
            self.fail("attributes of rules ([...] before the colon) are not supported; take them out", head.start(3))
        return head

    def _define(self) -> None:
        start, head = self.at, self._head()
        if head[2] is not None:
            params = tuple(one.strip() for one in head[2].split(","))
            self._library.templates[self.global_name(head[1])] = Template(self, params, self.at)
            self._is_dry = True  # read now for its mistakes and its end
            self.body_with(self.at, dict.fromkeys(params, NOTHING))
            self._is_dry = False
            return
        self._library.rules.add(self._rule(head[1], start))

    def _rule(self, name: str, start: int) -> Rule:
        return Rule(self.global_name(name), self.either(), self.place(start), name.lstrip("_")[0].isupper())

    def _redefine(self, *, is_extending: bool) -> None:
        start, head = self.at, self._head()
        rule, known = self._rule(head[1], start), self._library.rules.rules
        if rule.name not in known:
            self.fail(f"{head[1]!r} is not defined before; import it first", start)
        if is_extending:
            rule = Rule(rule.name, Either((known[rule.name].body, rule.body)), rule.place, rule.is_terminal)
        known[rule.name] = rule

    def body_with(self, at: int, params: dict[str, Tree]) -> Tree:
        """What stands at `at`, with these trees for these names. Where reading goes on is the end of it."""
        before, self._params, self.at = self._params, params, at
        body = self.either()
        self._params = before
        return body

    def _import(self) -> None:
        start, path = self.at, self.match(_PATH)
        if path is None or path[1]:
            self.fail("%import takes the name of a grammar that is built in, like common.INT", start)
        parts = [part.strip() for part in path[2].split(".")]
        if self.take("("):
            names = [self._simple_name()]
            while self.take(","):
                names.append(self._simple_name())
            self.expect(")", start)
            wanted = [(name, name) for name in names]
        else:
            alias = self._simple_name() if self.take("->") else parts[-1]
            wanted = [(parts.pop(), alias)]
        reader = self._library.imported(".".join(parts), self.place(start))
        for name, alias in wanted:
            self._import_one(reader, name, alias, start)

    def _import_one(self, reader: GrammarReader, name: str, alias: str, start: int) -> None:
        target = reader.global_name(name)
        if target not in self._library.rules.rules and target not in self._library.templates:
            self.fail(f"the grammar that is imported has no {name!r}", start)
        self._imports[alias] = target

    def _simple_name(self) -> str:
        name = self.match(_NAME)
        if name is None:
            self.fail("a name of a rule or terminal must stand here")
        return name[0]

    def sequence(self) -> Tree:
        tree = super().sequence()
        self.match(_ALIAS)
        return tree

    def counts(self) -> tuple[int, int | None] | None:
        start = self.at
        if self.text.startswith("?", start) and re.match(r"\?!?_?[a-z]", self.text[start : start + 4]):
            return None  # the `?` of the next rule
        match = self.match(_COUNTS)
        if match is None:
            return super().counts()
        return self.checked_counts(match[1], match[2] or match[1], start)

    def atom(self) -> Tree:
        start = self.at
        match self.text[self.at]:
            case "(":
                return self.group()
            case "[":
                self.take("[")
                tree = self.either()
                self.expect("]", start)
                return Either((tree, NOTHING))
            case '"':
                return self._range_or_string()
            case "/":
                return self._regex()
            case "%":
                return self._embedded()
            case "<":
                special = self.special()
                if special is not None:
                    return special
        return self._reference()

    def _reference(self) -> Tree:
        start = self.at
        name = self.match(_NAME)
        if name is None:
            self.fail('neither a name, a "string", a /regular expression/ nor a group begins here')
        if name[0] in self._params:
            return self._params[name[0]]
        if not self.take("{"):
            return Name(self.global_name(name[0]), self.place(start))
        args = [self.sequence()]
        while self.take(","):
            args.append(self.sequence())
        self.expect("}", start)
        if self._is_dry:
            return NOTHING
        return self._library.instance(self.global_name(name[0]), tuple(args), self.place(start))

    def _range_or_string(self) -> Tree:
        start, low = self.at, self._string()
        if not self.take(".."):
            ignores_case = self.text.startswith("i", self.at) and self.text[self.at - 1] == '"'
            self.at += ignores_case
            self.skip()
            return Literal(low, ignores_case)
        high = self._string() if self.text.startswith('"', self.at) else ""
        self.skip()
        if len(low) != 1 or len(high) != 1 or low > high:
            self.fail('a range needs one character on each side, the smaller first, like "a".."z"', start)
        return self.pattern(((ord(low), ord(high)),), start)

    def _string(self) -> str:
        """What a string stands for; where reading goes on is right behind its end."""
        start, chars = self.at, []
        self.at += 1
        while not self.text.startswith('"', self.at):
            if self.text.startswith("\n", self.at):
                self.fail("this string is not closed in its line", start)
            chars.append(self.class_char(start))
        self.at += 1
        return "".join(chars)

    def class_char(self, opened_at: int) -> str:
        if self.text.startswith("\\", self.at) and self.at + 1 < len(self.text):
            is_plain = self.text[self.at + 1] in '"\\'
            return self.escaped(keep=not is_plain)
        return super().class_char(opened_at)

    def _regex(self) -> Tree:
        start, match = self.at, self.match(_REGEX)
        if match is None:
            self.fail("this regular expression is not closed in its line; write \\/ for a slash in it")
        flags = match[2].replace("u", "")
        try:
            tree = parse(f"(?{flags}:{match[1]})" if flags else match[1])
        except RegexError as error:
            raise GrammarError(str(error), *self.place(start)) from None
        bare = _INERT.sub("x", match[1])
        return Pattern(tree, self.place(start), is_lazy=re.search(r"[*+?}]\?", bare) is not None)

    def _embedded(self) -> Tree:
        start = self.at
        if self.take("%json"):
            at = self.at
            self._json_value(start)
            return Embed(JsonSchema(self.text[at : self.at].strip()))
        if self.take("%regex"):
            return self._regex() if self.text.startswith("/", self.at) else self._substring(start)
        if self.take("%substring"):
            if not self.text.startswith('"', self.at):
                self.fail("%substring needs a string", start)
            text = self._string()
            self.skip()
            return self._pieces(words_of(text), start)
        self.fail('no such function; there are %json {...}, %regex {...} and %substring "..."')

    def _json_value(self, start: int) -> object:
        try:
            value, self.at = json.JSONDecoder().raw_decode(self.text, self.at)
        except (json.JSONDecodeError, RecursionError) as error:
            self.fail(f"no JSON follows: {error}", start)
        self.skip()
        return value

    def _substring(self, start: int) -> Tree:
        match self._json_value(start):
            case {"substring_words": str(text), **others} if not others:
                return self._pieces(words_of(text), start)
            case {"substring_chars": str(text), **others} if not others:
                return self._pieces(tuple(text), start)
            case {"substring_chunks": [*chunks], **others} if not others and all(
                isinstance(one, str) for one in chunks
            ):
                return self._pieces(tuple(chunks), start)
        self.fail("%regex takes one of substring_words, substring_chars (a string) or substring_chunks (a list)", start)

    def _pieces(self, pieces: tuple[str, ...], start: int) -> Tree:
        if not any(pieces):
            self.fail("a substring of nothing; give a text", start)
        for char in "".join(pieces):
            self.char_of(ord(char), start)
        return Substring(pieces)
