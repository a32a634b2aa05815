"""SOAP faults (SOAP 1.2 part 1 section 5.4, Core 5.8.2) and those of WS-BaseNotification with their detail."""

from __future__ import annotations

from datetime import timedelta

from lxml import etree

from onvifd.errors import Forbidden, NotAuthorized, OnvifdError
from onvifd.onvif.soap.codec import Element
from onvifd.onvif.soap.namespaces import PREFIXES, SOAP, TER, TEV, WSNT, WSRF_BF, WSRF_R, XML
from onvifd.onvif.soap.values import format_datetime, format_duration

SENDER = "Sender"
RECEIVER = "Receiver"
FAULT_ACTION = "http://www.w3.org/2005/08/addressing/soap/fault"
_PREFIX_OF = {uri: prefix for prefix, uri in PREFIXES.items()} | {WSRF_R: "wsrf-r"}


class SoapFault(OnvifdError):
    """A fault exactly as it is to be sent.

    `code` is a SOAP 1.2 fault code (Sender, Receiver, VersionMismatch, MustUnderstand, DataEncodingUnknown). `subcodes` are names
    in the `ter:` namespace from the outside in, or Clark notation for other namespaces. `content` is what Detail contains,
    `headers` what the reply's Header does.
    """

    def __init__(
        self,
        code: str,
        subcodes: tuple[str, ...] = (),
        reason: str = "",
        content: tuple[Element, ...] = (),
        *,
        http_status: int = 500,
        headers: tuple[Element, ...] = (),
    ) -> None:
        super().__init__(
            reason or (subcodes[-1] if subcodes else code), detail=subcodes[1] if len(subcodes) > 1 else None
        )
        self.code = code
        self.subcodes = subcodes
        self.content = content
        self.status = http_status
        self.headers = headers


def from_error(error: OnvifdError) -> SoapFault:
    """The fault that a face shows for an error of the tree."""
    if isinstance(error, SoapFault):
        return error
    subcodes = (error.soap_subcode, error.detail) if error.detail else (error.soap_subcode,)
    # Core 5.9.1: 400 goes with NotAuthorized where no HTTP challenge is sent; all other faults travel with 500.
    status = 400 if isinstance(error, NotAuthorized | Forbidden) else 500
    return SoapFault(error.soap_code, subcodes, error.reason, http_status=status)


def sender(subcode: str, reason: str, *, http_status: int = 500) -> SoapFault:
    """A fault for which the client is to blame."""
    return SoapFault(SENDER, (subcode,), reason, http_status=http_status)


def write(fault: SoapFault, body: Element) -> None:
    """Append the Fault element to a SOAP Body."""
    node = _sub(body, SOAP, "Fault")
    code = _sub(node, SOAP, "Code")
    _sub(code, SOAP, "Value").text = f"SOAP-ENV:{fault.code}"
    for name in fault.subcodes:
        code = _sub(code, SOAP, "Subcode")
        uri, local = name[1:].split("}", 1) if name.startswith("{") else (TER, name)
        prefix = _PREFIX_OF[uri]
        value = etree.SubElement(code, f"{{{SOAP}}}Value", nsmap={prefix: uri})
        value.text = f"{prefix}:{local}"
    text = _sub(_sub(node, SOAP, "Reason"), SOAP, "Text")
    text.set(f"{{{XML}}}lang", "en")
    text.text = "".join(c if c.isprintable() else " " for c in fault.reason)[:1000]
    if fault.content:
        detail = _sub(node, SOAP, "Detail")
        for element in fault.content:
            detail.append(element)


def _sub(parent: Element, ns: str, name: str) -> Element:
    return etree.SubElement(parent, f"{{{ns}}}{name}")


# ---- WS-BaseNotification, WSRF and the event service ------------------------------------------------


def _base_fault(ns: str, name: str, now: int, reason: str, *, code: str = SENDER) -> tuple[SoapFault, Element]:
    """A fault whose detail is a WSRF base fault (BaseFaults 1.2 section 2) and that detail, to be completed."""
    detail = etree.Element(f"{{{ns}}}{name}", nsmap={_PREFIX_OF[ns]: ns, "wsrf-bf": WSRF_BF})
    _sub(detail, WSRF_BF, "Timestamp").text = format_datetime(now)
    description = _sub(detail, WSRF_BF, "Description")
    description.set(f"{{{XML}}}lang", "en")
    description.text = reason
    return SoapFault(code, (f"{{{ns}}}{name}",), reason, (detail,)), detail


def _notification(name: str, now: int, reason: str, code: str = SENDER) -> SoapFault:
    return _base_fault(WSNT, name, now, reason, code=code)[0]


def resource_unknown(now: int, reason: str = "no such subscription") -> SoapFault:
    return _base_fault(WSRF_R, "ResourceUnknownFault", now, reason)[0]


def subscribe_creation_failed(now: int, reason: str) -> SoapFault:
    return _notification("SubscribeCreationFailedFault", now, reason, RECEIVER)


def can_be_written(namespace: str) -> bool:
    """Whether a namespace that a client made up can be declared again: the parser takes more than the writer does."""
    try:
        etree.Element("x", nsmap={"x": namespace} if namespace else None)
    except ValueError:
        return False
    return True


def invalid_filter(now: int, reason: str, unknown: tuple[str, ...]) -> SoapFault:
    """`unknown` are the filter elements that were not accepted, in Clark notation; the schema wants at least one."""
    fault, detail = _base_fault(WSNT, "InvalidFilterFault", now, reason)
    for name in unknown:
        uri, _, local = name[1:].partition("}") if name.startswith("{") else ("", "", name)
        uri = uri if can_be_written(uri) else ""
        # The envelope's own prefix where there is one: lxml drops a second declaration of its namespace.
        prefix = _PREFIX_OF.get(uri, "f")
        node = etree.SubElement(detail, f"{{{WSNT}}}UnknownFilter", nsmap={prefix: uri} if uri else None)
        node.text = f"{prefix}:{local}" if uri else local
    return fault


def topic_expression_dialect_unknown(now: int, reason: str) -> SoapFault:
    return _notification("TopicExpressionDialectUnknownFault", now, reason)


def invalid_topic_expression(now: int, reason: str) -> SoapFault:
    return _notification("InvalidTopicExpressionFault", now, reason)


def topic_not_supported(now: int, reason: str) -> SoapFault:
    return _notification("TopicNotSupportedFault", now, reason)


def multiple_topics_specified(now: int, reason: str) -> SoapFault:
    return _notification("MultipleTopicsSpecifiedFault", now, reason)


def no_current_message_on_topic(now: int, reason: str) -> SoapFault:
    return _notification("NoCurrentMessageOnTopicFault", now, reason)


def invalid_message_content_expression(now: int, reason: str) -> SoapFault:
    return _notification("InvalidMessageContentExpressionFault", now, reason)


def invalid_producer_properties_expression(now: int, reason: str) -> SoapFault:
    return _notification("InvalidProducerPropertiesExpressionFault", now, reason)


def unrecognized_policy_request(now: int, reason: str) -> SoapFault:
    return _notification("UnrecognizedPolicyRequestFault", now, reason)


def unsupported_policy_request(now: int, reason: str) -> SoapFault:
    return _notification("UnsupportedPolicyRequestFault", now, reason)


def notify_message_not_supported(now: int, reason: str) -> SoapFault:
    return _notification("NotifyMessageNotSupportedFault", now, reason)


def unable_to_get_messages(now: int, reason: str) -> SoapFault:
    return _notification("UnableToGetMessagesFault", now, reason, RECEIVER)


def unable_to_destroy_subscription(now: int, reason: str) -> SoapFault:
    return _notification("UnableToDestroySubscriptionFault", now, reason, RECEIVER)


def unacceptable_initial_termination_time(now: int, reason: str, minimum: int, maximum: int | None = None) -> SoapFault:
    """`minimum` and `maximum` are moments in microseconds UTC."""
    return _termination("UnacceptableInitialTerminationTimeFault", now, reason, minimum, maximum)


def unacceptable_termination_time(now: int, reason: str, minimum: int, maximum: int | None = None) -> SoapFault:
    """`minimum` and `maximum` are moments in microseconds UTC."""
    return _termination("UnacceptableTerminationTimeFault", now, reason, minimum, maximum)


def _termination(name: str, now: int, reason: str, minimum: int, maximum: int | None) -> SoapFault:
    fault, detail = _base_fault(WSNT, name, now, reason)
    _sub(detail, WSNT, "MinimumTime").text = format_datetime(minimum)
    if maximum is not None:
        _sub(detail, WSNT, "MaximumTime").text = format_datetime(maximum)
    return fault


def pull_messages_fault(max_timeout: timedelta, max_message_limit: int, reason: str) -> SoapFault:
    """The time-out of a PullMessages is beyond what the device supports (Core 9.1.2)."""
    detail = etree.Element(f"{{{TEV}}}PullMessagesFaultResponse", nsmap={"tev": TEV})
    _sub(detail, TEV, "MaxTimeout").text = format_duration(max_timeout)
    _sub(detail, TEV, "MaxMessageLimit").text = str(max_message_limit)
    return SoapFault(SENDER, ("InvalidArgVal",), reason, (detail,))
