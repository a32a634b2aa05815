"""What recordings, jobs and tracks are compared by."""

from __future__ import annotations

from typing import Any

from lxml import etree

from conformance.names import findall, text


def values(element: Any, *paths: str) -> dict[str, tuple[str, ...]]:
    """What stands at some paths, for comparison."""
    return {path: tuple(text(each) for each in findall(element, path)) for path in paths}


def differing(one: dict[str, tuple[str, ...]], other: dict[str, tuple[str, ...]]) -> str:
    """The first path whose values differ, for people; empty if none does."""
    for path, value in one.items():
        if value != other.get(path):
            return f"{path.replace('tt:', '')}: {', '.join(value) or 'nothing'} and {', '.join(other.get(path, ())) or 'nothing'}"
    return ""


RECORDING_PATHS = (
    *("tt:Source/tt:SourceId", "tt:Source/tt:Name", "tt:Source/tt:Location", "tt:Source/tt:Description"),
    *("tt:Source/tt:Address", "tt:Content", "tt:MaximumRetentionTime"),
)
"""Recording Test 6.1."""
JOB_PATHS = (
    *("tt:RecordingToken", "tt:Mode", "tt:Priority", "tt:Source/tt:SourceToken"),
    *("tt:Source/tt:SourceToken/tt:Token", "tt:Source/tt:Tracks/tt:SourceTag", "tt:Source/tt:Tracks/tt:Destination"),
)
"""Recording Test 6.2; the type of a source token is an attribute (`source_types`)."""


def source_types(job: Any) -> tuple[str, ...]:
    return tuple(each.get("Type", "") for each in findall(job, "tt:Source/tt:SourceToken"))


def whole(element: Any) -> str:
    """Content of an element without prefixes and white space, for comparison of messages with answers."""

    def walk(node: Any) -> Any:
        inside = tuple(walk(each) for each in node if isinstance(each.tag, str))
        return etree.QName(node).localname, tuple(sorted(node.attrib.items())), (node.text or "").strip(), inside

    return repr(walk(element)[1:])
