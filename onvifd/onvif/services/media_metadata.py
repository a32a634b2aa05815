"""Metadata configurations between backend and schema: the same in both media services."""

from __future__ import annotations

from lxml import etree

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


def configuration(view: MediaView, metadata: Metadata) -> tt.MetadataConfiguration:
    choice = metadata.choice
    ptz = tt.PTZFilter(status=choice.ptz_status, position=choice.ptz_position)
    return tt.MetadataConfiguration(
        token=metadata.token,
        name=metadata.name,
        use_count=view.uses_of_metadata(metadata),
        ptz_status=ptz if choice.ptz_status or choice.ptz_position else None,
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


def options() -> tt.MetadataConfigurationOptions:
    return tt.MetadataConfigurationOptions(
        ptz_status_filter_options=tt.PTZStatusFilterOptions(
            pan_tilt_status_supported=True,
            zoom_status_supported=True,
            pan_tilt_position_supported=True,
            zoom_position_supported=True,
        )
    )


def choice(wanted: tt.MetadataConfiguration, topics: tuple[str, ...]) -> MetadataChoice:
    """What a client selects. `topics` are all that the device emits. Raises ConfigModify."""
    if wanted.compression_type not in (None, "", NO_COMPRESSION):
        raise impossible("Metadata is not compressed.")
    ptz = wanted.ptz_status
    selected = MetadataChoice(
        analytics=bool(wanted.analytics),
        ptz_status=ptz is not None and ptz.status,
        ptz_position=ptz is not None and ptz.position,
        events=wanted.events is not None,
    )
    filters = wanted.events.filter_.any_ if wanted.events is not None and wanted.events.filter_ is not None else ()
    if not filters:
        return selected
    if len(filters) > 1 or filters[0].tag != TOPIC_EXPRESSION:
        raise impossible("Events are selected by one topic expression.")
    return _with_topics(selected, filters[0], topics)


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
