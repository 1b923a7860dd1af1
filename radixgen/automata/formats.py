r"""The formats of JSON Schema 2020-12 as regular expressions.

Exact, by the grammar of its RFC: date, time, date-time, duration (3339), email (5321), hostname (1123), ipv4 (2673),
ipv6 (4291), uri, uri-reference (3986), iri, iri-reference (3987), uri-template (6570), json-pointer (6901),
relative-json-pointer, uuid (4122). Leap days and leap seconds count.

Narrower than the standard, never wider:
- date: no year 0000, which many readers do not take.
- email: at most 64 characters before the @, no folding white space.
- hostname: no label with hyphens in its 3rd and 4th place (`xn--...`), as not every such label is one.
- idn-email: letters, marks and digits beyond ASCII only, and no quoted local part.
- idn-hostname: letters of the Latin, Greek and Cyrillic alphabets, Chinese, Japanese and Korean; no contextual rules.

Two more are asserted of quotes only, so as to tell a model what to quote; no standard knows them:
- phone: 7 to 15 digits with single marks between them, as a rule from the `+`, `00` or area code on.
- money: a number with a currency's sign, code or word before or behind it.

Known and never asserted: `ANNOTATIONS`. Whether a text is a regular expression is not a regular language.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from radixgen.automata import format_times
from radixgen.automata.regex import Regexes
from radixgen.automata.regex_nodes import Node

ANNOTATIONS = frozenset(("regex", "int32", "int64", "float", "double", "byte", "binary", "password"))
"""`regex`, and what OpenAPI adds."""

# ---- addresses

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_H16 = "[0-9A-Fa-f]{1,4}"
_LS32 = f"(?:{_H16}:{_H16}|{_IPV4})"
_IPV6 = "(?:" + "|".join(
    [
        f"(?:{_H16}:){{6}}{_LS32}",
        f"::(?:{_H16}:){{5}}{_LS32}",
        *(f"(?:(?:{_H16}:){{0,{at}}}{_H16})?::(?:{_H16}:){{{4 - at}}}{_LS32}" for at in range(5)),
        f"(?:(?:{_H16}:){{0,5}}{_H16})?::{_H16}",
        f"(?:(?:{_H16}:){{0,6}}{_H16})?::",
    ]
) + ")"  # fmt: skip

_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOSTNAME = rf"(?=.{{1,253}}$)(?!..--)(?!.*\...--){_LABEL}(?:\.{_LABEL})*"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
_ATOM = "A-Za-z0-9!#$%&'*+/=?^_`{|}~-"
_QUOTED = r'"(?:[ !#-\[\]-~]|\\[ -~])*"'
_LITERAL = rf"\[(?:{_IPV4}|IPv6:{_IPV6})\]"
_EMAIL = rf"(?=.{{1,64}}@[^@]*$)(?:[{_ATOM}]+(?:\.[{_ATOM}]+)*|{_QUOTED})@(?:{_DOMAIN}|{_LITERAL})"
_BEYOND = r"\p{L}\p{M}\p{Nd}"
_IDN_LABEL = "[A-Za-z0-9{0}](?:[A-Za-z0-9{0}-]{{0,61}}[A-Za-z0-9{0}])?"


def _idn_email() -> str:
    atom, label = f"[{_ATOM}{_BEYOND}]+", _IDN_LABEL.format(_BEYOND)
    return rf"(?=.{{1,64}}@){atom}(?:\.{atom})*@{label}(?:\.{label})*"


_IDN_BLOCKS = ((0xDF, 0x24F), (0x370, 0x52F))
_IDN_WHOLE = "\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fa5\uac00-\ud7a3"


def _idn_hostname() -> str:
    """RFC 5892 allows lower case letters that no normalization changes."""
    points = (chr(point) for low, high in _IDN_BLOCKS for point in range(low, high + 1))
    letters = "".join(char for char in points if unicodedata.category(char) == "Ll" and _is_stable(char))
    beyond = f"[a-z0-9{letters}{_IDN_WHOLE}]"
    label = f"(?:{_LABEL}|{beyond}(?:{beyond[:-1]}-]{{0,61}}{beyond})?)"
    # a label is at most 63 bytes as punycode, in which a character beyond ASCII takes at most 5
    short = r"(?:[\x00-\x7f]{1,253}|[^.\u3002]{1,10}(?:[.\u3002][^.\u3002]{1,10}){0,3})"
    return rf"(?={short}$)(?!..--)(?!.*[.\u3002]..--){label}(?:[.\u3002]{label})*"


def _is_stable(char: str) -> bool:
    folded = unicodedata.normalize("NFKC", char).casefold()
    return unicodedata.normalize("NFKC", folded) == char or char in "ßς"


# ---- resources

_PCT = "%[0-9A-Fa-f]{2}"
_UNRESERVED, _SUB = r"A-Za-z0-9._~\-", "!$&'()*+,;="
_UCS = (
    r"\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef"
    + "".join(rf"\u{{{plane:x}0000}}-\u{{{plane:x}fffd}}" for plane in range(1, 14))
    + r"\u{e1000}-\u{efffd}"
).replace(r"\u{e0000}", r"\u{e1000}")
_PRIVATE = r"\ue000-\uf8ff\u{f0000}-\u{ffffd}\u{100000}-\u{10fffd}"
_SCHEME = r"[A-Za-z][A-Za-z0-9+.\-]*"


def _resource(beyond: str, private: str, *, may_be_relative: bool) -> str:
    """RFC 3986 with `beyond` among the unreserved characters, which is RFC 3987."""
    char = f"(?:[{_UNRESERVED}{beyond}{_SUB}:@]|{_PCT})"
    plain = f"(?:[{_UNRESERVED}{beyond}{_SUB}@]|{_PCT})"
    user = f"(?:(?:[{_UNRESERVED}{beyond}{_SUB}:]|{_PCT})*@)?"
    literal = rf"\[(?:{_IPV6}|v[0-9A-Fa-f]+\.[{_UNRESERVED}{_SUB}:]+)\]"
    host = f"(?:{literal}|(?:[{_UNRESERVED}{beyond}{_SUB}]|{_PCT})*)"
    absolute = f"//{user}{host}(?::[0-9]*)?(?:/{char}*)*"
    rooted, rootless = f"/(?:{char}+(?:/{char}*)*)?", f"{char}+(?:/{char}*)*"
    tail = rf"(?:\?(?:{char}|[/?{private}])*)?(?:#(?:{char}|[/?])*)?"
    whole = f"{_SCHEME}:(?:{absolute}|{rooted}|{rootless}|){tail}"
    relative = f"(?:{absolute}|{rooted}|{plain}+(?:/{char}*)*|){tail}"
    return f"(?:{whole}|{relative})" if may_be_relative else whole


def _uri_template() -> str:
    literal = rf"(?:[!#$&(-;=?-\[\]_a-z~{_UCS}{_PRIVATE}]|{_PCT})"
    name = f"(?:[A-Za-z0-9_]|{_PCT})"
    variable = rf"{name}(?:\.?{name})*(?::[1-9][0-9]{{0,3}}|\*)?"
    return rf"(?:{literal}|\{{[+#./;?&=,!@|]?{variable}(?:,{variable})*\}})*"


_POINTER = "(?:/(?:[^~/]|~[01])*)*"

_PATTERNS: dict[str, Callable[[], str]] = {
    "date": lambda: format_times.DATE,
    "duration": lambda: format_times.DURATION,
    "email": lambda: _EMAIL,
    "idn-email": _idn_email,
    "hostname": lambda: _HOSTNAME,
    "idn-hostname": _idn_hostname,
    "ipv4": lambda: _IPV4,
    "ipv6": lambda: _IPV6,
    "uri": lambda: _resource("", "", may_be_relative=False),
    "uri-reference": lambda: _resource("", "", may_be_relative=True),
    "iri": lambda: _resource(_UCS, _PRIVATE, may_be_relative=False),
    "iri-reference": lambda: _resource(_UCS, _PRIVATE, may_be_relative=True),
    "uri-template": _uri_template,
    "uuid": lambda: "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
    "json-pointer": lambda: _POINTER,
    "relative-json-pointer": lambda: f"(?:0|[1-9][0-9]*)(?:#|{_POINTER})",
}
_NODES = {"time": format_times.time, "date-time": format_times.date_time}
NAMES = frozenset((*_PATTERNS, *_NODES))
"""The formats that are asserted."""

_NEED = 16
_LOOKING = frozenset(("email", "hostname", "idn-email", "idn-hostname"))
"""Formats with lookarounds: that `_NEED` characters end any beginning does not show without a long look."""


_AMOUNT = r"-?(?:[0-9]{1,3}(?:[., '’][0-9]{3}){1,3}|[0-9]{1,9})(?:[.,][0-9]{1,2}|[.,][-–—]{1,2})?"
_SIGN = r"(?:[A-Z]{3}|(?:US|CA|AU|NZ|HK|A|C|R)?\$|[€£¥₹₩₺₽]|kr\.?|Kč|zł|Ft|lei|Fr\.|Rs\.?)"
_UNIT = r"(?:euros?|dollars?|pounds?|francs?|yen|kroner|kronor|cents?|pence|p|円|元)"
_SHAPES = {
    "phone": r"(?:\+?[0-9]{1,3}[ -]?)?\([0-9]{1,5}\)(?:[ ./-]?[0-9]){4,12}|\+?[0-9](?:[ ./-]?[0-9]){6,14}",
    "money": f"(?:{_SIGN} ?{_AMOUNT}|{_AMOUNT} ?(?:{_SIGN}|{_UNIT}))",
}
QUOTED = frozenset(_SHAPES)
"""The shapes of quotes."""


def quoted_node(regexes: Regexes, name: str) -> Node:
    """The texts that have one of the shapes in `QUOTED`, as a whole."""
    return format_times.whole(regexes, _SHAPES[name])


def find_node(regexes: Regexes, name: str) -> Node | None:
    """The texts that have a format, as a whole; None for one that is not known, or an annotation."""
    if name in _NODES:
        return _NODES[name](regexes)
    if name not in _PATTERNS:
        return None
    node = format_times.whole(regexes, _PATTERNS[name]())
    if name in _LOOKING:
        node.need = min(node.need, _NEED)
    return node
