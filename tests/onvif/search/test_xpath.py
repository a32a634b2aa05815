"""Recording information filters: XPath 1.0 over tt:RecordingInformation, bounded (Search 5.2.4.2, 5.22)."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from onvifd.errors import InvalidArgument
from onvifd.onvif.search.xpath import (
    MAX_DOCUMENT,
    MAX_LENGTH,
    MAX_SECONDS,
    MetadataStreamFilter,
    RecordingFilter,
    without_namespaces,
)

TT = "http://www.onvif.org/ver10/schema"


def document(*tracks: str, location: str = "Basement", name: str = "Door") -> Any:
    """tt:RecordingInformation as it is sent."""
    track = "".join(
        f"<tt:Track><tt:TrackToken>{kind.upper()}001</tt:TrackToken><tt:TrackType>{kind}</tt:TrackType></tt:Track>"
        for kind in tracks
    )
    return etree.fromstring(
        f'<tt:RecordingInformation xmlns:tt="{TT}"><tt:RecordingToken>rec-1</tt:RecordingToken>'
        f"<tt:Source><tt:Name>{name}</tt:Name><tt:Location>{location}</tt:Location></tt:Source>"
        f"<tt:Content>x</tt:Content>{track}<tt:RecordingStatus>Recording</tt:RecordingStatus></tt:RecordingInformation>"
    )


BOTH, VIDEO, EMPTY = document("Video", "Audio"), document("Video", location="Yard"), document()
DOCUMENTS = [BOTH, VIDEO, EMPTY]


def select(text: str, namespaces: dict[str | None, str] | None = None) -> list[bool]:
    return RecordingFilter(text, namespaces or {}).select(DOCUMENTS)


def refused(text: str, namespaces: dict[str | None, str] | None = None) -> InvalidArgument:
    with pytest.raises(InvalidArgument) as caught:
        select(text, namespaces)
    assert caught.value.detail == "InvalidFilterFault"
    return caught.value


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        # What Milestone sends, and the conformance tests.
        ('boolean(//Track[TrackType = "Video"])', [True, True, False]),
        ('boolean(//Track[TrackType = "Audio"])', [True, False, False]),
        ('boolean(//Track[TrackType = "Metadata"])', [False, False, False]),
        ('boolean(//Track[TrackType = "Video"]) and boolean(//Track[TrackType = "Audio"])', [True, False, False]),
        ('boolean(//Track[TrackToken = "NonExistingToken"])', [False, False, False]),
        ('contains(Source/Location, "Yard")', [False, True, False]),
        # The examples of the specification, typographic quotes included.
        ("boolean(//Source[Location = “Basement”]) and boolean(//Track[TrackType = “Video”])", [True, False, False]),
        ('contains(/RecordingInformation/Source/Location, "Yard")', [False, True, False]),
        ('contains(//Location, "ase") or not(//Track)', [True, False, True]),
        ('not(boolean(//Track[TrackType = "Audio"]))', [False, True, True]),
        ("count(//Track) >= 1", [True, True, False]),
        ("//Track", [True, True, False]),
        ('//Track[1]/TrackType = "Video"', [True, True, False]),
        ('//RecordingStatus != "Stopped"', [True, True, True]),
        ("//Track/child::TrackType", [True, True, False]),
        ("0", [False, False, False]),
        ('"text"', [True, True, True]),
        ('""', [False, False, False]),
    ],
)
def test_selection(text: str, wanted: list[bool]) -> None:
    assert select(text) == wanted


@pytest.mark.parametrize("prefix", ["tt", "x"])
def test_prefixed_names_are_the_same_names(prefix: str) -> None:
    text = f'boolean(//{prefix}:Track[{prefix}:TrackType = "Audio"]) and boolean(//child::{prefix}:Track)'
    assert select(text, {prefix: TT}) == [True, False, False]


def test_undeclared_tt_is_the_schema() -> None:
    assert select("boolean(//tt:Track)") == [True, True, False]


def test_colons_in_strings_are_left_alone() -> None:
    assert select('boolean(//Source[Name = "tt:Door"])') == [False, False, False]
    assert RecordingFilter('boolean(//Source[Name = "a:b"])', {}).select([document(name="a:b")]) == [True]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "boolean((//Track)",
        "//",
        "//Track[",
        "none:Track",
        "$variable",
        'document("file:///etc/passwd")',
        'doc("http://192.0.2.1/")',
        'unparsed-text("file:///etc/passwd")',
        'system-property("x")',
        'environment-variable("PATH")',
        "for $x in //Track return $x",
        "x" * (MAX_LENGTH + 1),
        "(" * 500,
        "not(" * 40 + "1" + ")" * 40,
        "-" * 2000 + "1",
        "\0",
        "1//.",  # shows when it is evaluated
        "//Track\ud800",
    ],
)
def test_what_is_no_xpath_1_is_an_invalid_filter(text: str) -> None:
    refused(text)


def test_a_prefix_of_another_namespace_is_an_invalid_filter() -> None:
    refused("//tt:Track", {"tt": "urn:other"})


@pytest.mark.parametrize(
    "text",
    [
        "//*[" * 14 + "1" + "]" * 14,
        "//*[//*[//*[//*[//*[//*=//*]]]]]",
        "|".join(["//*"] * 400),
        "/".join([".."] * 600),
        "count(" + "//*" * 100 + ")",
        "//*/ancestor::*" * 40,
        "//*[string-length(concat(//*,//*,//*,//*)) > count(//*[//*[//*]])]",
    ],
)
def test_expensive_expressions_are_stopped(text: str) -> None:
    many = RecordingFilter(text, {})
    begun = time.monotonic()
    with contextlib.suppress(InvalidArgument):
        many.select(DOCUMENTS * 100)
    assert time.monotonic() - begun < 3 * MAX_SECONDS


def test_time_is_bounded_over_all_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onvifd.onvif.search.xpath.MAX_SECONDS", 0.0)
    refused("count(" + "|".join(["//*"] * 30) + ")")


def test_the_document_is_not_changed() -> None:
    before = etree.tostring(BOTH)
    select("//Track")
    assert etree.tostring(BOTH) == before
    assert without_namespaces(BOTH).tag == "RecordingInformation"


DOCUMENT = (
    b'<tt:MetadataStream xmlns:tt="http://www.onvif.org/ver10/schema"><tt:VideoAnalytics><tt:Frame><tt:Object ObjectId="7">'
    b'<tt:Appearance><tt:Shape><tt:BoundingBox right="0.6" bottom="0.7"/></tt:Shape></tt:Appearance></tt:Object></tt:Frame>'
    b"</tt:VideoAnalytics></tt:MetadataStream>"
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        # The example of Search 5.3.9, quotes and all.
        (
            "boolean(//Object/Appearance/Shape/BoundingBox[@right > ”0.5”]) and "
            "boolean(//Object/Appearance/Shape/BoundingBox[@bottom > ”0.5”])",
            True,
        ),
        ('boolean(//Object/Appearance/Shape/BoundingBox[@right > "0.65"])', False),
        ('boolean(/MetadataStream/VideoAnalytics/Frame/Object[@ObjectId = "7"])', True),
        ('boolean(//x:Object[@ObjectId = "7"])', True),
        ("count(//Object[//BoundingBox]) = 1", True),
    ],
)
def test_metadata_documents(text: str, wanted: bool) -> None:
    assert MetadataStreamFilter(text, {"x": "urn:any"}).matches(DOCUMENT) is wanted


@pytest.mark.parametrize("data", [b"", b"<x", b"\xff\xfe", b"<x>" * 300 + b"</x>" * 300, b"<x/>" + b" " * MAX_DOCUMENT])
def test_what_is_no_document_matches_nothing(data: bytes) -> None:
    assert MetadataStreamFilter("true()", {}).matches(data) is False


def test_documents_cannot_reach_out(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    entity = f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{tmp_path}/secret">]><x>&e;</x>'.encode()
    assert MetadataStreamFilter('contains(/x, "secret")', {}).matches(entity) is False


def test_expressions_of_the_dialect_are_quick() -> None:
    """A day of documents must not take a day: the dialect of Search 5.22 is evaluated by libxml2."""
    filter_ = MetadataStreamFilter('boolean(//Object/Appearance/Shape/BoundingBox[@right > "0.5"])', {})
    assert filter_._fast is not None
    for slow in ("//a//b", "//a[//b]", "//a = //b", "//a[b[c]]", "count(//a)"):
        assert MetadataStreamFilter(slow, {})._fast is None


PARTS = [
    "//",
    "/",
    "Track",
    "TrackType",
    "tt:",
    "[",
    "]",
    "(",
    ")",
    "=",
    '"Video"',
    " and ",
    " or ",
    "not",
    "boolean",
    "*",
    "@",
    "1",
    "..",
    "|",
    "<",
    "::",
    "text()",
]


@given(st.lists(st.sampled_from(PARTS), max_size=15).map("".join))
@settings(deadline=None)
def test_any_text_selects_or_is_refused(text: str) -> None:
    try:
        chosen = select(text)
    except InvalidArgument:
        return
    assert all(isinstance(value, bool) for value in chosen)


@given(st.lists(st.sampled_from(PARTS[:20]), min_size=1, max_size=8).map("".join))
@settings(deadline=None)
def test_results_agree_with_libxml2(text: str) -> None:
    try:
        chosen = select(text, {"tt": TT})
        reference = [
            bool(without_namespaces(each).getroottree().xpath(f"boolean({text.replace('tt:', '')})"))
            for each in DOCUMENTS
        ]
    except (InvalidArgument, etree.XPathError):
        return
    assert chosen == reference
