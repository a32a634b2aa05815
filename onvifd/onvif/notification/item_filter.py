"""Message content filters: the ItemFilter dialect, a subset of XPath 1.0 (Core 9.4.4).

    Expression ::= BoolExpr | Expression 'and' Expression | Expression 'or' Expression
                 | '(' Expression ')' | 'not' '(' Expression ')'
    BoolExpr   ::= 'boolean' '(' PathExpr ')'
    PathExpr   ::= '//' Prefix? ('SimpleItem' | 'ElementItem') '[' AttrExpr ']'
    AttrExpr   ::= AttrComp | AttrExpr 'and' AttrExpr | AttrExpr 'or' AttrExpr | '(' AttrExpr ')' | 'not' '(' AttrExpr ')'
    AttrComp   ::= ('@Name' | '@Value') '=' '"' String '"'

`and` binds tighter than `or`. Strings may also stand in apostrophes, as XPath allows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from onvifd.events.types import Event
from onvifd.onvif.notification.faults import FaultKind, NotificationFault
from onvifd.onvif.soap.namespaces import TT

ITEM_FILTER = "http://www.onvif.org/ver10/tev/messageContentFilter/ItemFilter"

MAX_LENGTH = 8192
"""Characters of an expression."""
MAX_DEPTH = 32
"""Parentheses within each other."""

_TOKEN = re.compile(
    r"""\s*(?:(?P<slashes>//)|(?P<sign>[()\[\]=])|(?P<attribute>@[A-Za-z]+)|(?P<string>"[^"]*"|'[^']*')"""
    r"""|(?P<name>[^\W\d][\w.\-]*(?::[^\W\d][\w.\-]*)?))"""
)


@dataclass(frozen=True, slots=True)
class MessageItem:
    """An item of any group of a message. `value` is None for element items."""

    simple: bool
    name: str
    value: str | None


ItemTest = Callable[[MessageItem], bool]
MessageTest = Callable[[tuple[MessageItem, ...]], bool]


def items_of(event: Event) -> tuple[MessageItem, ...]:
    """All items of a message; the filter does not tell Source, Key and Data apart."""
    simple = (MessageItem(True, name, value) for name, value in (*event.source, *event.key, *event.data))
    return (*simple, *(MessageItem(False, name, None) for name, _ in event.elements))


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """A parsed expression."""

    text: str
    test: MessageTest

    def matches(self, event: Event) -> bool:
        return self.test(items_of(event))


def parse_item_filter(text: str, dialect: str, namespaces: Mapping[str | None, str]) -> ItemFilter:
    """Read an expression; `namespaces` are those in scope of its element.

    Raises NotificationFault (InvalidFilter for another dialect, InvalidMessageContentExpression for a wrong form).
    """
    if dialect != ITEM_FILTER:
        raise NotificationFault(
            FaultKind.INVALID_FILTER,
            "The message content filter dialect is not known.",
            unknown=("{http://docs.oasis-open.org/wsn/b-2}MessageContent",),
        )
    return ItemFilter(text, _Parser(text, namespaces).parse())


class _Parser:
    """Recursive descent over the tokens, one method per rule of the grammar."""

    def __init__(self, text: str, namespaces: Mapping[str | None, str]) -> None:
        self._namespaces = namespaces
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0

    def parse(self) -> MessageTest:
        test = self._or()
        if self._at != len(self._tokens):
            raise _invalid(f"{self._tokens[self._at][1]!r} is not expected")
        return test

    # ---- tokens

    def _peek(self, text: str) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at] == (_kind(text), text)

    def _accept(self, text: str) -> bool:
        if self._peek(text):
            self._at += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            found = self._tokens[self._at][1] if self._at < len(self._tokens) else "the end"
            raise _invalid(f"{text!r} is expected, not {found!r}")

    def _take(self, kind: str) -> str:
        if self._at >= len(self._tokens) or self._tokens[self._at][0] != kind:
            raise _invalid(f"a {kind} is expected")
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _open(self) -> None:
        self._expect("(")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _invalid("it is nested too deeply")

    def _close(self) -> None:
        self._expect(")")
        self._depth -= 1

    # ---- expressions over the message

    def _or(self) -> MessageTest:
        tests = [self._and()]
        while self._accept("or"):
            tests.append(self._and())
        return tests[0] if len(tests) == 1 else lambda items: any(test(items) for test in tests)

    def _and(self) -> MessageTest:
        tests = [self._term()]
        while self._accept("and"):
            tests.append(self._term())
        return tests[0] if len(tests) == 1 else lambda items: all(test(items) for test in tests)

    def _term(self) -> MessageTest:
        if self._accept("not"):
            self._open()
            negated = self._or()
            self._close()
            return lambda items: not negated(items)
        if self._accept("boolean"):
            self._open()
            test = self._path()
            self._close()
            return test
        self._open()
        inner = self._or()
        self._close()
        return inner

    def _path(self) -> MessageTest:
        self._expect("//")
        prefix, colon, name = self._take("name").rpartition(":")
        if colon and self._namespaces.get(prefix, TT if prefix == "tt" else None) != TT:
            # `tt` may go undeclared: the example of Core 9.10.3 does so.
            raise _invalid(f"the prefix {prefix} does not stand for {TT}")
        if name not in ("SimpleItem", "ElementItem"):
            raise _invalid(f"{name} is no item")
        simple = name == "SimpleItem"
        self._expect("[")
        test = self._item_or()
        self._expect("]")
        return lambda items: any(item.simple is simple and test(item) for item in items)

    # ---- expressions over one item

    def _item_or(self) -> ItemTest:
        tests = [self._item_and()]
        while self._accept("or"):
            tests.append(self._item_and())
        return tests[0] if len(tests) == 1 else lambda item: any(test(item) for test in tests)

    def _item_and(self) -> ItemTest:
        tests = [self._item_term()]
        while self._accept("and"):
            tests.append(self._item_term())
        return tests[0] if len(tests) == 1 else lambda item: all(test(item) for test in tests)

    def _item_term(self) -> ItemTest:
        if self._accept("not"):
            self._open()
            negated = self._item_or()
            self._close()
            return lambda item: not negated(item)
        if self._peek("("):
            self._open()
            inner = self._item_or()
            self._close()
            return inner
        attribute = self._take("attribute")
        self._expect("=")
        value = self._take("string")[1:-1]
        if attribute == "@Name":
            return lambda item: item.name == value
        if attribute == "@Value":
            return lambda item: item.value == value
        raise _invalid(f"{attribute} is no attribute of an item")


def _invalid(why: str) -> NotificationFault:
    return NotificationFault(FaultKind.INVALID_MESSAGE_CONTENT, f"The message content filter cannot be used: {why}.")


def _kind(text: str) -> str:
    if text == "//":
        return "slashes"
    return "sign" if text in "()[]=" else "name"


def _tokens(text: str) -> list[tuple[str, str]]:
    if len(text) > MAX_LENGTH:
        raise _invalid("it is too long")
    tokens: list[tuple[str, str]] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise _invalid(f"{text[at : at + 20].strip()!r} is not understood")
        tokens.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return tokens
