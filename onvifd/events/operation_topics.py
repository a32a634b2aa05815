"""Progress of operations that outlive their request (Core 8.9.7)."""

from __future__ import annotations

from collections.abc import Iterable

from lxml import etree

from onvifd.events.topic import FLOAT, STRING, TOKEN, Item, Topic
from onvifd.events.types import Event, Operation
from onvifd.onvif.soap.codec import encode
from onvifd.onvif.soap.namespaces import SOAP, TT
from onvifd.onvif.types import tt

SERVICE = "http://www.onvif.org/ver10/recording/wsdl"
"""ServiceName of what the recorder does so: all of it belongs to recording control."""

OPERATION_STATUS = Topic(
    name="Monitoring/AsynchronousOperationStatus",
    is_property=True,
    source=(Item("Token", TOKEN), Item("OperationName", STRING), Item("ServiceName", STRING)),
    data=(Item("Progress", FLOAT), Item("Alias", STRING)),
    elements=(Item("FileProgressStatus", f"{{{TT}}}ArrayOfFileProgress"), Item("Error", f"{{{SOAP}}}Fault")),
)

OPERATION_TOPICS = (OPERATION_STATUS,)


def file_progress(files: Iterable[tuple[str, float]]) -> tt.ArrayOfFileProgress:
    """Files with what is done of each, 0 to 1."""
    return tt.ArrayOfFileProgress(
        file_progress=tuple(tt.FileProgress(file_name=name, progress=progress) for name, progress in files)
    )


def operation_status(
    token: str,
    operation: str,
    progress: float,
    utc: int,
    *,
    files: Iterable[tuple[str, float]] = (),
    alias: str | None = None,
    error: str = "",
) -> Event:
    """How far an operation is, 0 to 1. `files` are those that this message is about."""
    elements = []
    if named := tuple(files):
        elements.append(("FileProgressStatus", _text(encode(file_progress(named), f"{{{TT}}}FileProgressStatus"))))
    if error:
        elements.append(("Error", _fault(error)))
    return Event(
        topic=OPERATION_STATUS.name,
        utc=utc,
        source=(("Token", token), ("OperationName", operation), ("ServiceName", SERVICE)),
        data=(("Progress", f"{progress:g}"), *((("Alias", alias),) if alias is not None else ())),
        elements=tuple(elements),
        operation=Operation.CHANGED,
    )


def _fault(reason: str) -> str:
    fault = etree.Element(f"{{{SOAP}}}Fault", nsmap={"SOAP-ENV": SOAP})
    code = etree.SubElement(fault, f"{{{SOAP}}}Code")
    etree.SubElement(code, f"{{{SOAP}}}Value").text = "SOAP-ENV:Receiver"
    text = etree.SubElement(etree.SubElement(fault, f"{{{SOAP}}}Reason"), f"{{{SOAP}}}Text")
    text.set("{http://www.w3.org/XML/1998/namespace}lang", "en")
    text.text = reason
    return str(etree.tostring(fault, encoding="unicode"))


def _text(node: etree._Element) -> str:
    etree.cleanup_namespaces(node)
    return str(etree.tostring(node, encoding="unicode"))
