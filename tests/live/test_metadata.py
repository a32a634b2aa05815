"""Live metadata: documents of what a configuration selects, each second at least."""

from __future__ import annotations

import pytest
from lxml import etree

from onvifd.clock import US
from onvifd.errors import OnvifdError
from onvifd.live.metadata import (
    GATHER,
    LONGEST,
    MAX_BYTES,
    MAX_STATES,
    Assembler,
    Part,
    PartKind,
    Selection,
    States,
    parts_of,
    ptz_of,
    write_document,
)
from onvifd.media.types import PtzPart
from tests.onvif.oracle import metadata_schema

TT = "{http://www.onvif.org/ver10/schema}"
ALL = Selection(analytics=True, ptz_status=True, ptz_position=True)
UTC = "<tt:UtcTime>2026-01-01T00:00:00Z</tt:UtcTime>"
PTZ_STATUS = (
    '<tt:PTZStatus><tt:Position><tt:PanTilt x="0.5" y="0"/></tt:Position>'
    f"<tt:MoveStatus><tt:PanTilt>IDLE</tt:PanTilt></tt:MoveStatus>{UTC}</tt:PTZStatus>"
)
FRAME = '<tt:Frame UtcTime="2026-01-01T00:00:00Z"/>'
CAMERA = (
    '<?xml version="1.0"?><x:MetadataStream xmlns:x="http://www.onvif.org/ver10/schema" '
    'xmlns:w="http://docs.oasis-open.org/wsn/b-2">'
    '<x:VideoAnalytics><x:Frame UtcTime="2026-01-01T00:00:00Z"><x:Object ObjectId="1"/></x:Frame></x:VideoAnalytics>'
    f"<x:PTZ>{PTZ_STATUS.replace('tt:', 'x:')}</x:PTZ>"
    "<x:Event><w:NotificationMessage/></x:Event></x:MetadataStream>"
).encode()
EVENT = Part(
    PartKind.EVENT,
    b'<wsnt:NotificationMessage><wsnt:Topic Dialect="http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet">'
    b"tns1:VideoSource/MotionAlarm</wsnt:Topic><wsnt:Message><tt:Message "
    b'UtcTime="2026-01-01T00:00:00Z" PropertyOperation="Changed"/></wsnt:Message></wsnt:NotificationMessage>',
)


def ptz() -> Part:
    return Part(PartKind.PTZ, PTZ_STATUS.replace("<tt:PTZStatus", f'<tt:PTZStatus xmlns:tt="{TT[1:-1]}"').encode())


def shape(document: bytes) -> list[tuple[str, list[str]]]:
    """Local names of the parts of a document and of what is in them."""
    root = etree.fromstring(document)
    assert root.tag == f"{TT}MetadataStream"
    return [(etree.QName(part).localname, [etree.QName(each).localname for each in part]) for part in root]


def test_an_empty_document_is_valid() -> None:
    metadata_schema().assertValid(etree.fromstring(write_document([])))


def test_parts_of_one_kind_stand_together_in_their_order() -> None:
    frame = Part(PartKind.ANALYTICS, FRAME.encode())
    document = write_document([EVENT, EVENT, frame, ptz(), EVENT])
    assert shape(document) == [
        ("Event", ["NotificationMessage"] * 2),
        ("VideoAnalytics", ["Frame"]),
        ("PTZ", ["PTZStatus"]),
        ("Event", ["NotificationMessage"]),
    ]
    metadata_schema().assertValid(etree.fromstring(document))
    assert b"xmlns:tns1=" in document  # the topic is named with a prefix
    assert b"xmlns:timg=" not in document


def test_parts_of_a_camera_keep_their_declarations_and_its_events_are_left_out() -> None:
    parts = list(parts_of(CAMERA))
    assert [part.kind for part in parts] == [PartKind.ANALYTICS, PartKind.PTZ]
    document = write_document(parts)
    assert shape(document) == [("VideoAnalytics", ["Frame"]), ("PTZ", ["PTZStatus"])]
    metadata_schema().assertValid(etree.fromstring(document))


APPEARANCES = {
    "M-ObjectClass": '<x:Class><x:Type Likelihood="0.9">Human</x:Type></x:Class>',
    "M-GeoLocation": '<x:GeoLocation lon="8.5" lat="47.4" elevation="400"/>',
    "M-VehicleInfo": '<x:VehicleInfo><x:Type Likelihood="0.8">Car</x:Type><x:Brand Likelihood="0.7">Saab</x:Brand></x:VehicleInfo>',
    "M-LicensePlateInfo": '<x:LicensePlateInfo><x:PlateNumber Likelihood="0.9">ZH 4711</x:PlateNumber></x:LicensePlateInfo>',
    "M-HumanFace": "<x:HumanFace><f:Gender>Female</f:Gender></x:HumanFace>",
    "M-HumanBody": "<x:HumanBody><b:BodyMetric><b:Height>180</b:Height></b:BodyMetric></x:HumanBody>",
    "M-Image": "<x:Image>/9j/2Q==</x:Image>",
}


@pytest.mark.parametrize(
    "inside", [pytest.param(each, id=key, marks=pytest.mark.covers(key)) for key, each in APPEARANCES.items()]
)
def test_what_a_camera_tells_of_objects_is_passed_on_as_it_is(inside: str) -> None:
    frame = (
        '<x:Frame xmlns:x="http://www.onvif.org/ver10/schema" xmlns:f="http://www.onvif.org/ver20/analytics/humanface" '
        'xmlns:b="http://www.onvif.org/ver20/analytics/humanbody" UtcTime="2026-01-01T00:00:00Z">'
        f'<x:Object ObjectId="1"><x:Appearance>{inside}</x:Appearance></x:Object></x:Frame>'
    )
    document = (
        '<x:MetadataStream xmlns:x="http://www.onvif.org/ver10/schema"><x:VideoAnalytics>'
        f"{frame}</x:VideoAnalytics></x:MetadataStream>"
    )
    passed = etree.fromstring(write_document(parts_of(document.encode())))
    metadata_schema().assertValid(passed)
    (found,) = passed.iter(f"{TT}Frame")
    assert [(each.tag, each.text, dict(each.attrib)) for each in found.iter()] == [
        (each.tag, each.text, dict(each.attrib)) for each in etree.fromstring(frame).iter()
    ]


@pytest.mark.parametrize("broken", [b"", b"<a", b"<!DOCTYPE a []><a/>", b"<a>" * 200 + b"</a>" * 200, bytes(2 << 20)])
def test_what_is_no_document_is_refused(broken: bytes) -> None:
    with pytest.raises(OnvifdError):
        list(parts_of(broken))


@pytest.mark.parametrize(
    ("selection", "left"),
    [
        (Selection(ptz_position=True), ["Position", "UtcTime"]),
        (Selection(ptz_status=True), ["MoveStatus", "UtcTime"]),
        (ALL, ["Position", "MoveStatus", "UtcTime"]),
        (Selection(analytics=True), None),
    ],
)
def test_positions_and_states_of_a_camera_are_selected_apart(selection: Selection, left: list[str] | None) -> None:
    chosen = selection.of(ptz())
    if left is None:
        assert chosen is None
    else:
        assert chosen is not None
        assert [etree.QName(each).localname for each in etree.fromstring(chosen.data)] == left


@pytest.mark.covers("T-MetadataStream", "M-MetadataStream")
def test_a_document_is_closed_each_second_though_nothing_happens() -> None:
    assembler = Assembler(ALL)
    assembler.begin(7 * US)
    assert assembler.due() == 7 * US + LONGEST
    assert shape(assembler.close(8 * US)) == []
    assert assembler.due() == 8 * US + LONGEST


def test_what_comes_within_a_moment_shares_a_document() -> None:
    assembler = Assembler(ALL)
    assembler.begin(0)
    assembler.add(EVENT, 500_000)
    assembler.add(ptz(), 510_000)
    assert assembler.due() == 500_000 + GATHER
    assert shape(assembler.close(assembler.due())) == [("Event", ["NotificationMessage"]), ("PTZ", ["PTZStatus"])]
    assembler.add(EVENT, 530_000 + LONGEST)
    assert assembler.due() == 540_000 + LONGEST  # a second after the last one, not later


def test_a_large_document_is_closed_at_once() -> None:
    assembler = Assembler(ALL)
    assembler.begin(5)
    assembler.add(Part(PartKind.ANALYTICS, b"<tt:Frame/>" + b" " * MAX_BYTES), 10)
    assert assembler.due() == 5


def test_what_is_not_selected_makes_no_document() -> None:
    assembler = Assembler(Selection())
    assembler.begin(0)
    assembler.add(ptz(), 0)
    assembler.add(Part(PartKind.ANALYTICS, FRAME.encode()), 0)
    assert assembler.due() == LONGEST


def test_states_are_told_to_their_configurations_until_they_end() -> None:
    states = States()
    states.tell("motion", ("a", "b"), EVENT)
    other = Part(PartKind.EVENT, b"<x/>")
    states.tell("loss", ("a",), other)
    states.see(CAMERA)
    states.see(b"<x:MetadataStream/>")  # says nothing of the position, which stays
    assert [part.kind for part in states.for_configuration("a")] == [PartKind.EVENT, PartKind.EVENT, PartKind.PTZ]
    assert next(states.for_configuration("b")) == EVENT
    states.tell("motion", ("a", "b"), None)
    assert next(states.for_configuration("a")) == other
    states.forget()
    assert [part.kind for part in states.for_configuration("a")] == [PartKind.PTZ]


def test_states_are_bounded() -> None:
    states = States()
    for number in range(MAX_STATES + 10):
        states.tell(str(number), ("a",), EVENT)
    assert len(list(states.for_configuration("a"))) == MAX_STATES


def test_what_a_camera_tells_of_where_it_looks() -> None:
    assert ptz_of(CAMERA) == {PtzPart.PAN_TILT_POSITION, PtzPart.PAN_TILT_STATUS}
    states = States()
    assert states.ptz() == frozenset()
    states.see(b"PTZStatus")  # no document
    assert states.ptz() == frozenset()
    states.see(CAMERA)
    assert states.ptz() == {PtzPart.PAN_TILT_POSITION, PtzPart.PAN_TILT_STATUS}
    zoom = b'<x:Position><x:Zoom x="1"/></x:Position>'
    states.see(CAMERA.replace(b"</x:PTZStatus>", zoom + b"</x:PTZStatus>"))
    assert len(states.ptz()) == 3


def test_a_camera_that_does_not_move_has_no_status_in_its_documents() -> None:
    empty = CAMERA[: CAMERA.index(b"<x:Position>")] + CAMERA[CAMERA.index(b"<x:UtcTime>") :]
    assert b"PTZStatus" in empty
    assert [part.kind for part in parts_of(empty)] == [PartKind.ANALYTICS]
    assert ptz_of(empty) == frozenset()
    only = etree.fromstring(ptz().data)
    only.remove(only[1])
    assert Selection(ptz_status=True).of(Part(PartKind.PTZ, etree.tostring(only))) is None
