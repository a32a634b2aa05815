"""Recording information filters: XPath 1.0 over tt:RecordingInformation (Search 5.2.4.2, 5.22), bounded.

Clients write element names without prefix, as the specification's examples do, so the filter is evaluated on a copy without
namespaces; prefixes that stand for the schema namespace are taken away from the expression.
"""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

import elementpath
from elementpath import XPath1Parser, XPathContext
from lxml import etree

from onvifd.errors import InvalidArgument
from onvifd.onvif.soap.codec import Element
from onvifd.onvif.soap.namespaces import TT

MAX_LENGTH = 2048
"""Characters of an expression."""
MAX_DEPTH = 16
"""Parentheses and predicates within each other."""
MAX_STEPS = 10_000
"""Nodes that the evaluation may visit in one recording's information."""
MAX_SECONDS = 2.0
"""Time that the evaluation over all recordings may take."""

_CURLY = str.maketrans({"“": '"', "”": '"'})
_PREFIX = re.compile(r"""("[^"]*"|'[^']*')|([^\W\d][\w.\-]*):(?!:)""")


class RecordingFilter:
    """A parsed expression. Evaluation blocks for up to 2 s: run `select` in a thread."""

    def __init__(self, text: str, namespaces: Mapping[str | None, str]) -> None:
        """`namespaces` are those in scope of the expression. Raises InvalidArgument (InvalidFilterFault)."""
        # The examples of Search 5.2.4.2 and 5.22 stand in typographic quotes, and are copied that way.
        text = text.strip().translate(_CURLY)
        if len(text) > MAX_LENGTH:
            raise _invalid(f"it is longer than {MAX_LENGTH} characters")
        _check_depth(text)
        try:
            self._root: Any = XPath1Parser().parse(_without_prefixes(text, namespaces))
        except (elementpath.ElementPathError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
            raise _invalid(f"it is no XPath 1.0 expression ({str(error)[:100]})") from None

    def select(self, documents: Iterable[Element]) -> list[bool]:
        """For each tt:RecordingInformation element, whether the expression is true of it. Raises InvalidArgument."""
        deadline = time.monotonic() + MAX_SECONDS
        return [self._matches(without_namespaces(document), deadline) for document in documents]

    def _matches(self, document: Element, deadline: float) -> bool:
        try:
            # Paths that do not begin with a slash start at the RecordingInformation element.
            context = _BoundedContext(etree.ElementTree(document), item=document)
            context.bound(deadline)
            value = self._root.evaluate(context)
            if isinstance(value, list):
                # XPath 1.0 section 4.3: a node-set is true if it is not empty.
                return bool(value)
            return bool(self._root.boolean_value(value))
        except _TooExpensive:
            raise _invalid("it takes too long") from None
        except (elementpath.ElementPathError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
            raise _invalid(f"it cannot be evaluated ({str(error)[:100]})") from None


class _TooExpensive(Exception):
    """The evaluation used up its steps or its time."""


class _BoundedContext(XPathContext):
    """A context that counts the nodes visited: whatever the expression, each step sets the context item."""

    def bound(self, deadline: float) -> None:
        # A list, for copies of the context share it.
        self._left = [MAX_STEPS]
        self._deadline = deadline

    @property
    def item(self) -> Any:
        return self.__dict__.get("_item")

    @item.setter
    def item(self, value: Any) -> None:
        self.__dict__["_item"] = value
        left = self.__dict__.get("_left")
        if left is not None:
            left[0] -= 1
            if left[0] < 0 or (left[0] % 64 == 0 and time.monotonic() > self._deadline):
                raise _TooExpensive


def without_namespaces(element: Element) -> Element:
    """A copy with local names only."""
    made = copy.deepcopy(element)
    for node in made.iter(etree.Element):
        node.tag = etree.QName(node).localname
    etree.cleanup_namespaces(made)
    return made


def _check_depth(text: str) -> None:
    depth = 0
    for character in re.sub(r""""[^"]*"|'[^']*'""", "", text):
        depth += (character in "([") - (character in ")]")
        if depth > MAX_DEPTH:
            raise _invalid("it is nested too deeply")


def _without_prefixes(text: str, namespaces: Mapping[str | None, str]) -> str:
    def replace(match: re.Match[str]) -> str:
        prefix = match[2]
        if prefix is None:
            return match[0]
        # `tt` may go undeclared, as no example of the specification declares anything.
        if namespaces.get(prefix, TT if prefix == "tt" else None) != TT:
            raise _invalid(f"the prefix {prefix} does not stand for {TT}")
        return ""

    return _PREFIX.sub(replace, text)


def _invalid(why: str) -> InvalidArgument:
    return InvalidArgument(f"The recording information filter cannot be used: {why}.", detail="InvalidFilterFault")
