"""Filters of searches: XPath 1.0 over tt:RecordingInformation and tt:MetadataStream (Search 5.2.4.2, 5.3.9, 5.22), bounded.

Clients write element names without prefix, as the specification's examples do, so a filter is evaluated on documents without
namespaces; prefixes that stand for the schema namespace are taken away from the expression.

Expressions of the dialect of Search 5.22 cost no more than a walk over the document: libxml2 evaluates them. Everything else
that XPath 1.0 allows is evaluated step by step, so that it can be stopped.
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
"""Nodes that the evaluation may visit in one document."""
MAX_SECONDS = 2.0
"""Time that the evaluation over all recordings may take, and that over one metadata document."""
MAX_DOCUMENT = 1 << 20
"""Bytes of a metadata document; longer ones match nothing."""

_CURLY = str.maketrans({"“": '"', "”": '"'})
_PREFIX = re.compile(r"""("[^"]*"|'[^']*')|([^\W\d][\w.\-]*):(?!:)""")
_SIMPLE = frozenset({"and", "or", "boolean", "not", "contains", "starts-with", "true", "false", "(name)", "(string)"})
"""What the simple expressions are made of, besides paths, numbers and comparisons."""
_NUMBERS = frozenset({"(integer)", "(decimal)", "(float)"})
_COMPARISONS = frozenset({"=", "!=", "<", "<=", ">", ">="})
_PATHS = frozenset({"/", "//", "[", "@", "(name)", "."})
_MAX_PATHS = 32

_FAILURES = (
    etree.XPathError,
    elementpath.ElementPathError,
    ValueError,
    TypeError,
    ArithmeticError,
    RecursionError,
)
"""What parsing and evaluating an expression may end with."""


class DocumentFilter:
    """A parsed expression. Evaluation blocks: run it in a thread."""

    what = "filter"

    def __init__(self, text: str, namespaces: Mapping[str | None, str]) -> None:
        """`namespaces` are those in scope of the expression. Raises InvalidArgument (InvalidFilterFault)."""
        # The examples of Search 5.2.4.2 and 5.22 stand in typographic quotes, and are copied that way.
        text = text.strip().translate(_CURLY)
        if len(text) > MAX_LENGTH:
            raise self._invalid(f"it is longer than {MAX_LENGTH} characters")
        self._check_depth(text)
        plain = self._without_prefixes(text, namespaces)
        try:
            self._root: Any = XPath1Parser().parse(plain)
            self._fast = etree.XPath(f"boolean({plain})") if _is_simple(self._root) else None
        except _FAILURES as error:
            raise self._invalid(f"it is no XPath 1.0 expression ({str(error)[:100]})") from None
        if any(token.symbol == "$" for token in self._root.iter()):
            raise self._invalid("there are no variables")

    def _evaluate(self, document: Element, deadline: float) -> bool:
        """Whether the expression is true of a document without namespaces. Raises InvalidArgument."""
        try:
            if self._fast is not None:
                return bool(self._fast(document))
            # Paths that do not begin with a slash start at the outermost element.
            context = _BoundedContext(etree.ElementTree(document), item=document)
            context.bound(deadline)
            value = self._root.evaluate(context)
            if isinstance(value, list):
                # XPath 1.0 section 4.3: a node-set is true if it is not empty.
                return bool(value)
            return bool(self._root.boolean_value(value))
        except _TooExpensive:
            raise self._invalid("it takes too long") from None
        except _FAILURES as error:
            raise self._invalid(f"it cannot be evaluated ({str(error)[:100]})") from None

    def _invalid(self, why: str) -> InvalidArgument:
        return InvalidArgument(f"The {self.what} cannot be used: {why}.", detail="InvalidFilterFault")

    def _check_depth(self, text: str) -> None:
        depth = 0
        for character in re.sub(r""""[^"]*"|'[^']*'""", "", text):
            depth += (character in "([") - (character in ")]")
            if depth > MAX_DEPTH:
                raise self._invalid("it is nested too deeply")

    def _without_prefixes(self, text: str, namespaces: Mapping[str | None, str]) -> str:
        def replace(match: re.Match[str]) -> str:
            prefix = match[2]
            if prefix is None:
                return match[0]
            if not self._known_prefix(prefix, namespaces):
                raise self._invalid(f"the prefix {prefix} does not stand for {TT}")
            return ""

        return _PREFIX.sub(replace, text)

    def _known_prefix(self, prefix: str, namespaces: Mapping[str | None, str]) -> bool:
        # `tt` may go undeclared, as no example of the specification declares anything.
        return namespaces.get(prefix, TT if prefix == "tt" else None) == TT


class RecordingFilter(DocumentFilter):
    """A RecordingInformationFilter (Search 5.2.4.2)."""

    what = "recording information filter"

    def select(self, documents: Iterable[Element]) -> list[bool]:
        """For each tt:RecordingInformation element, whether the expression is true of it. Raises InvalidArgument.

        Blocks for up to 2 s.
        """
        deadline = time.monotonic() + MAX_SECONDS
        return [self._evaluate(without_namespaces(document), deadline) for document in documents]


class MetadataStreamFilter(DocumentFilter):
    """A MetadataStreamFilter (Search 5.3.9)."""

    what = "metadata filter"

    def matches(self, document: bytes) -> bool:
        """Whether the expression is true of a tt:MetadataStream document; what is no XML matches nothing.

        Raises InvalidArgument when the evaluation takes too long.
        """
        root = parse_metadata(document)
        if root is None:
            return False
        strip_namespaces(root)
        return self._evaluate(root, time.monotonic() + MAX_SECONDS)

    def _known_prefix(self, prefix: str, namespaces: Mapping[str | None, str]) -> bool:
        # Documents hold names of several namespaces, and events those of notifications.
        return prefix in ("tt", "wsnt", "fc", "bd") or prefix in namespaces


def parse_metadata(document: bytes) -> Element | None:
    """The outermost element of a metadata document; None for what cannot be read. Entities are not resolved."""
    if len(document) > MAX_DOCUMENT:
        return None
    # A parser of its own: they are not shared by threads.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root: Element = etree.fromstring(document, parser)
    except etree.XMLSyntaxError:
        return None
    return root


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
    strip_namespaces(made)
    return made


def strip_namespaces(element: Element) -> None:
    """Leave local names only, of elements."""
    for node in element.iter(etree.Element):
        node.tag = etree.QName(node).localname
    etree.cleanup_namespaces(element)


def _is_simple(root: Any) -> bool:
    """Whether an expression costs no more than some walks over the document.

    That is: one descendant step in a path, none in a predicate, no absolute path in a predicate, no comparison of two paths.
    """
    if sum(1 for token in root.iter() if token.symbol in ("/", "//")) > _MAX_PATHS:
        return False
    return _simple(root, within=False)


def _simple(token: Any, *, within: bool) -> bool:
    symbol, parts = token.symbol, list(token)
    if symbol in _NUMBERS or symbol in ("(string)", "(name)", "."):
        return True
    if symbol in ("/", "//"):
        if within and (symbol == "//" or len(parts) == 1):
            return False
        # Steps of a path lie to the left: a second `//` in it would multiply.
        if symbol == "//" and any(each.symbol == "//" for part in parts for each in part.iter()):
            return False
    elif symbol == "[":
        # A path inside of a predicate is walked for each node; one more level would be a product.
        return not within and _simple(parts[0], within=within) and _simple(parts[1], within=True)
    elif symbol in _COMPARISONS:
        if all(part.symbol in _PATHS for part in parts):
            return False
    elif symbol == "(":
        return len(parts) == 1 and _simple(parts[0], within=within)
    elif symbol not in _SIMPLE and symbol != "@":
        return False
    return all(_simple(part, within=within) for part in parts)
