"""Metadata configurations between backend and schema: the same in both media services."""

from __future__ import annotations

from collections.abc import Iterable

from lxml import etree

from onvifd.media.types import PtzPart
from onvifd.onvif.backend import Metadata, MetadataChoice
from onvifd.onvif.notification.faults import NotificationFault
from onvifd.onvif.notification.topic_expression import CONCRETE_SET, parse_topic_expression
from onvifd.onvif.services.media_configurations import RTSP_TIMEOUT, multicast
from onvifd.onvif.services.media_view import MediaView
from onvifd.onvif.services.media_write import impossible
from onvifd.onvif.soap.codec import Element
from onvifd.onvif.soap.namespaces import TNS1, WSNT
from onvifd.onvif.types import tt, wsnt

TOPIC_EXPRESSION = f"{{{WSNT}}}TopicExpression"
NO_COMPRESSION = "None"
STATUS = frozenset({PtzPart.PAN_TILT_STATUS, PtzPart.ZOOM_STATUS})
POSITION = frozenset({PtzPart.PAN_TILT_POSITION, PtzPart.ZOOM_POSITION})


def configuration(view: MediaView, metadata: Metadata) -> tt.MetadataConfiguration:
    choice = metadata.choice
    ptz = tt.PTZFilter(
        status=choice.ptz_status and bool(metadata.ptz & STATUS),
        position=choice.ptz_position and bool(metadata.ptz & POSITION),
    )
    return tt.MetadataConfiguration(
        token=metadata.token,
        name=metadata.name,
        use_count=view.uses_of_metadata(metadata),
        ptz_status=ptz if ptz.status or ptz.position else None,
        events=_events(choice) if choice.events else None,
        analytics=choice.analytics,
        multicast=multicast(metadata.multicast),
        session_timeout=RTSP_TIMEOUT,
    )


def _events(choice: MetadataChoice) -> tt.EventSubscription:
    if not choice.topics:
        return tt.EventSubscription()
    prefixes = {key or None: uri for key, uri in choice.namespaces}
    expression = etree.Element(TOPIC_EXPRESSION, nsmap={"wsnt": WSNT} | prefixes)
    expression.set("Dialect", choice.dialect or CONCRETE_SET)
    expression.text = choice.topics
    return tt.EventSubscription(filter_=wsnt.FilterType(any_=(expression,)))


def options(configurations: Iterable[Metadata]) -> tt.MetadataConfigurationOptions:
    """What can be selected of any of these."""
    ptz = {part for each in configurations for part in each.ptz}
    return tt.MetadataConfigurationOptions(
        ptz_status_filter_options=tt.PTZStatusFilterOptions(
            pan_tilt_status_supported=PtzPart.PAN_TILT_STATUS in ptz,
            zoom_status_supported=PtzPart.ZOOM_STATUS in ptz,
            pan_tilt_position_supported=PtzPart.PAN_TILT_POSITION in ptz,
            zoom_position_supported=PtzPart.ZOOM_POSITION in ptz,
        )
    )


def choice(known: Metadata, wanted: tt.MetadataConfiguration, topics: tuple[str, ...]) -> MetadataChoice:
    """What a client selects of `known`. `topics` are all that the device emits. Raises ConfigModify."""
    if wanted.compression_type not in (None, "", NO_COMPRESSION):
        raise impossible("Metadata is not compressed.")
    status, position = _ptz(known, wanted.ptz_status)
    selected = MetadataChoice(
        analytics=bool(wanted.analytics),
        ptz_status=status,
        ptz_position=position,
        events=wanted.events is not None,
    )
    filters = wanted.events.filter_.any_ if wanted.events is not None and wanted.events.filter_ is not None else ()
    if not filters:
        return selected
    if len(filters) > 1 or filters[0].tag != TOPIC_EXPRESSION:
        raise impossible("Events are selected by one topic expression.")
    return _with_topics(selected, filters[0], topics)


def _ptz(known: Metadata, wanted: tt.PTZFilter | None) -> tuple[bool, bool]:
    """Status and position. Where there is nothing of it, what was selected before stands: who writes back what is shown does not
    know that a camera moves which was not heard yet."""
    found = []
    for asked, there, before in (
        (wanted is not None and wanted.status, known.ptz & STATUS, known.choice.ptz_status),
        (wanted is not None and wanted.position, known.ptz & POSITION, known.choice.ptz_position),
    ):
        if asked and not there:
            raise impossible("The camera does not tell where it looks.")
        found.append(asked if there else before)
    return found[0], found[1]


def _with_topics(selected: MetadataChoice, node: Element, topics: tuple[str, ...]) -> MetadataChoice:
    text, dialect = (node.text or "").strip(), (node.get("Dialect") or CONCRETE_SET).strip()
    try:
        parse_topic_expression(text, dialect, node.nsmap, topics)
    except NotificationFault as fault:
        raise impossible(fault.reason) from fault
    return MetadataChoice(
        analytics=selected.analytics,
        ptz_status=selected.ptz_status,
        ptz_position=selected.ptz_position,
        events=True,
        topics=_plain(text, node),
        dialect=dialect,
        namespaces=(("tns1", TNS1),),
    )


def _plain(text: str, node: Element) -> str:
    """The expression with the prefix that we declare ourselves, without alternatives of foreign topics."""
    found = []
    for path in text.split("|"):
        steps = [step.strip().rpartition(":") for step in path.split("/")]
        if all(not colon or node.nsmap.get(prefix) == TNS1 for prefix, colon, _ in steps):
            found.append("/".join(f"tns1:{local}" if colon else local for _, colon, local in steps))
    return "|".join(found)
