"""Events as documents of the metadata stream (Core 9.2), valid against the official schema."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from lxml import etree

from onvifd.clock import US
from onvifd.events import topics
from onvifd.onvif.backend import JobState, JobStatus, SourceKind, SourceStatus, TrackStatus
from onvifd.onvif.notification.metadata import metadata_document
from onvifd.onvif.soap.namespaces import TNS1, TT, WSNT

T, NT = f"{{{TT}}}", f"{{{WSNT}}}"
UTC = 1_767_225_600 * US


def test_a_document_holds_the_messages_in_order_and_no_subscription(oracle: ModuleType) -> None:
    status = JobStatus(
        job="job-1",
        recording="rec-1",
        state=JobState.ACTIVE,
        sources=(
            SourceStatus(
                kind=SourceKind.PROFILE,
                token="p",
                state=JobState.ACTIVE,
                tracks=(TrackStatus(source_tag="VIDEO001", destination="VIDEO001", state=JobState.ACTIVE),),
            ),
        ),
    )
    events = [topics.motion_alarm("vs-1", True, UTC), topics.job_state(status, UTC), topics.profile_changed("<&>", UTC)]
    document = metadata_document(events, "http://192.0.2.10/onvif/event_service")
    root: Any = etree.fromstring(document)
    oracle.metadata_schema().assertValid(root)
    assert root.tag == f"{T}MetadataStream"
    (part,) = root
    assert part.tag == f"{T}Event"
    names = [message.findtext(f"{NT}Topic") for message in part]
    assert names == ["tns1:VideoSource/MotionAlarm", "tns1:RecordingConfig/JobState", "tns1:Media/ProfileChanged"]
    for message in part:
        assert message.tag == f"{NT}NotificationMessage"
        assert message.find(f"{NT}SubscriptionReference") is None
        assert message.find(f"{NT}ProducerReference") is not None
        assert message.find(f"{NT}Topic").nsmap["tns1"] == TNS1
    assert part[0].find(f".//{T}Message").get("PropertyOperation") == "Changed"
    assert part[2].find(f".//{T}SimpleItem").get("Value") == "<&>"


def test_no_events_make_an_empty_document(oracle: ModuleType) -> None:
    root: Any = etree.fromstring(metadata_document([]))
    oracle.metadata_schema().assertValid(root)
    assert [len(child) for child in root] == [0]
