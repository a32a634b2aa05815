"""Test/Receiver: receivers that are made, configured, connected and lost."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from conformance.cases.base_common import INVALID, SENDER, reboot
from conformance.cases.event_messages import Message
from conformance.cases.receiver_common import (
    check_receiver,
    configure_receiver,
    receiver,
    receiver_configuration,
    receiver_state,
    receivers,
    rtsp_source,
    same_receiver,
    set_receiver_mode,
    stream_to,
)
from conformance.cases.recording_common import NOWHERE, PULL_POINT, RECEIVER, spare_own
from conformance.cases.recording_general import same_capabilities
from conformance.cases.recording_messages import (
    CHANGE_STATE,
    CONNECTION_FAILED,
    await_message,
    await_receiver_state,
    delta,
    item,
    listening,
)
from conformance.model import Examination, Failure, case
from conformance.names import boolean, find, renamed, text
from conformance.source import ONE

DOCUMENT = "Receiver"
VALID_URI = "rtsp://192.0.2.7/stream"
"""An address of a documentation network: nothing is there, and nothing is asked of it (mode NeverConnect)."""
OTHER_URI = "rtsp://192.0.2.8/other"
MAX_CREATED = 1000
NEW = receiver_configuration("NeverConnect", VALID_URI)

after_reboot = partial(case, document=DOCUMENT, requires=(RECEIVER,), destructive=True, bound=300)
"""A case that reboots the device."""


async def capabilities(x: Examination) -> Any:
    found = find(await x.ask("trv", "<trv:GetServiceCapabilities/>"), "trv:Capabilities")
    x.check(found is not None, "GetServiceCapabilitiesResponse has no Capabilities")
    return found


async def supported(x: Examination) -> int:
    value = (await capabilities(x)).get("SupportedReceivers", "")
    x.check(value.isdigit(), f"Capabilities.SupportedReceivers is {value!r}")
    return int(value)


async def create(x: Examination) -> str:
    """CreateReceiver; what is answered must be what was asked for."""
    answer = await x.ask("trv", f"<trv:CreateReceiver>{NEW}</trv:CreateReceiver>")
    token = text(answer, "trv:Receiver/tt:Token")
    x.check(token, "CreateReceiverResponse has no Token")
    try:
        made = find(answer, "trv:Receiver/tt:Configuration")
        wanted = {"tt:Mode": "NeverConnect", "tt:MediaUri": VALID_URI, "tt:StreamSetup/tt:Stream": "RTP-Unicast"}
        for path, value in {**wanted, "tt:StreamSetup/tt:Transport/tt:Protocol": "UDP"}.items():
            x.check(text(made, path) == value, f"{path} of the new receiver is {text(made, path)!r}, not {value!r}")
    except Failure:
        await discard(x, token)
        raise
    return token


def delete_request(token: str) -> str:
    return f"<trv:DeleteReceiver><trv:ReceiverToken>{token}</trv:ReceiverToken></trv:DeleteReceiver>"


async def discard(x: Examination, token: str) -> None:
    """Leave nothing behind; what the device answers is not judged here."""
    with contextlib.suppress(Failure):
        await x.soap.call("trv", delete_request(token))


@contextlib.asynccontextmanager
async def room(x: Examination) -> AsyncIterator[None]:
    """Where the device is full, one receiver goes for the time of the case (steps 7 to 9 of Receiver Test 5.2.6)."""
    known = await receivers(x)
    removed: Any = None
    if len(known) >= await supported(x):
        spare_own(x, "receivers")
        for token, kept in known.items():
            if (await x.soap.call("trv", delete_request(token))).fault is None:
                removed = kept
                break
        else:
            x.cannot("the device has no room for a receiver, and none can be deleted")
    try:
        yield
    finally:
        if removed is not None:
            inside = renamed(removed, "trv:Configuration")
            await x.ask("trv", f"<trv:CreateReceiver>{inside}</trv:CreateReceiver>")


@contextlib.asynccontextmanager
async def new_receiver(x: Examination) -> AsyncIterator[str]:
    async with room(x):
        token = await create(x)
        try:
            yield token
        finally:
            await discard(x, token)


@contextlib.asynccontextmanager
async def some_receiver(x: Examination) -> AsyncIterator[str]:
    """Receiver Test 6.2: the first receiver, or a new one. It is configured afterwards as it was before."""
    known = await receivers(x)
    if not known:
        async with new_receiver(x) as token:
            yield token
        return
    token, before = next(iter(known.items()))
    try:
        yield token
    finally:
        await configure_receiver(x, token, renamed(before, "trv:Configuration"))


async def check_listed(x: Examination, token: str, configured: Any) -> None:
    """GetReceivers and GetReceiver must both give a configuration."""
    known = await receivers(x)
    x.check(token in known, f"GetReceivers does not list the receiver {token}")
    same_receiver(x, configured, known[token], "configured", "GetReceivers")
    same_receiver(x, configured, await receiver(x, token), "configured", "GetReceiver")


# ---- 5.1 ----------------------------------------------------------------------------------------------


@case("RECEIVER-1-1-1", document=DOCUMENT, name="RECEIVER SERVICE CAPABILITIES", requires=(RECEIVER,))
async def service_capabilities(x: Examination) -> None:
    length = (await capabilities(x)).get("MaximumRTSPURILength")
    x.check(length is None or int(length) >= 128, f"Capabilities.MaximumRTSPURILength is {length}, less than 128")
    x.check(await supported(x) >= 1, "Capabilities.SupportedReceivers is less than 1")


@case(
    "RECEIVER-1-1-2",
    document=DOCUMENT,
    name="GET SERVICES AND GET RECEIVER SERVICE CAPABILITIES CONSISTENCY",
    requires=("GetServices", RECEIVER),
)
async def consistency(x: Examination) -> None:
    names = ("RTP_Multicast", "RTP_TCP", "RTP_RTSP_TCP", "SupportedReceivers", "MaximumRTSPURILength")
    await same_capabilities(x, "trv", *names)


# ---- 5.2: reading and making --------------------------------------------------------------------------


@case("RECEIVER-2-1-1", document=DOCUMENT, name="GET RECEIVERS", requires=(RECEIVER,))
async def get_receivers(x: Examination) -> None:
    await receivers(x)


@case("RECEIVER-2-1-2", document=DOCUMENT, name="GET RECEIVER", requires=(RECEIVER,))
async def get_receiver(x: Examination) -> None:
    async with some_receiver(x):
        for token, listed in (await receivers(x)).items():
            same_receiver(x, listed, await receiver(x, token), "listed by GetReceivers", "GetReceiver")


@case("RECEIVER-2-1-4", document=DOCUMENT, name="GET RECEIVER STATE", requires=(RECEIVER,))
async def get_receiver_state(x: Examination) -> None:
    async with some_receiver(x):
        for token in await receivers(x):
            await receiver_state(x, token)


def _unknown_token(request: Callable[[str], str]) -> Callable[[Examination], Any]:
    async def run(x: Examination) -> None:
        async with some_receiver(x):
            await x.soap.refuse("trv", request(NOWHERE), (SENDER, INVALID, "ter:UnknownToken"), strict=False)

    return run


def _with_token(operation: str, inside: str = "") -> Callable[[str], str]:
    def request(token: str) -> str:
        return f"<trv:{operation}><trv:ReceiverToken>{token}</trv:ReceiverToken>{inside}</trv:{operation}>"

    return request


for _id, _name, _operation, _inside in (
    ("RECEIVER-2-1-3", "GET RECEIVER WITH INVALID TOKEN", "GetReceiver", ""),
    ("RECEIVER-2-1-5", "GET RECEIVER STATE WITH INVALID TOKEN", "GetReceiverState", ""),
    ("RECEIVER-2-1-10", "DELETE RECEIVER WITH INVALID TOKEN", "DeleteReceiver", ""),
    (
        "RECEIVER-2-1-13",
        "SET RECEIVER MODE WITH INVALID TOKEN",
        "SetReceiverMode",
        "<trv:Mode>NeverConnect</trv:Mode>",
    ),
    ("RECEIVER-2-1-19", "CONFIGURE RECEIVER WITH INVALID TOKEN", "ConfigureReceiver", NEW),
):
    case(_id, document=DOCUMENT, name=_name, requires=(RECEIVER,))(_unknown_token(_with_token(_operation, _inside)))


async def _check_new(x: Examination, token: str) -> None:
    known = await receivers(x)
    x.check(token in known, f"GetReceivers does not list the new receiver {token}")
    await check_receiver(x, token, NEW)
    same_receiver(x, await receiver(x, token), known[token], "given by GetReceiver", "GetReceivers")


@case("RECEIVER-2-1-6", document=DOCUMENT, name="CREATE RECEIVER", requires=(RECEIVER,))
async def create_receiver(x: Examination) -> None:
    async with new_receiver(x) as token:
        await _check_new(x, token)


@after_reboot("RECEIVER-2-1-7", name="CREATE RECEIVER - PERSISTENCE")
async def create_receiver_persistence(x: Examination) -> None:
    async with new_receiver(x) as token:
        await reboot(x)
        await _check_new(x, token)


@case("RECEIVER-2-1-8", document=DOCUMENT, name="CREATE RECEIVER - RECEIVERS MAX NUMBER", requires=(RECEIVER,))
async def create_receiver_maximum(x: Examination) -> None:
    left = await supported(x) - len(await receivers(x))
    if left > MAX_CREATED:
        x.cannot(f"{left} receivers would have to be made to reach SupportedReceivers")
    made = []
    try:
        for _ in range(left):
            made.append(await create(x))
        request = f"<trv:CreateReceiver>{NEW}</trv:CreateReceiver>"
        reply = await x.soap.call("trv", request)
        if reply.fault is None:
            made.append(text(reply.body, "trv:Receiver/tt:Token"))
            x.fail(f"the device took a receiver more than SupportedReceivers ({len(made) - 1} were made here)")
    finally:
        for token in made:
            await discard(x, token)


@case("RECEIVER-2-1-9", document=DOCUMENT, name="DELETE RECEIVER", requires=(RECEIVER,))
async def delete_receiver(x: Examination) -> None:
    async with room(x):
        token = await create(x)
        try:
            await x.ask("trv", delete_request(token))
            x.check(token not in await receivers(x), f"GetReceivers lists {token} after it was deleted")
            request = _with_token("GetReceiver")(token)
            await x.soap.refuse("trv", request, (SENDER, INVALID, "ter:UnknownToken"), strict=False)
        finally:
            await discard(x, token)


# ---- 5.2: modes and configuration ---------------------------------------------------------------------


async def _check_mode(x: Examination, token: str, mode: str) -> None:
    listed = text((await receivers(x))[token], "tt:Mode")
    x.check(listed == mode, f"the mode of {token} was set to {mode}, GetReceivers says {listed}")
    read = text(await receiver(x, token), "tt:Mode")
    x.check(read == mode, f"the mode of {token} was set to {mode}, GetReceiver says {read}")


@case("RECEIVER-2-1-11", document=DOCUMENT, name="SET RECEIVER MODE", requires=(RECEIVER,))
async def set_mode(x: Examination) -> None:
    async with some_receiver(x) as token:
        for mode in ("AutoConnect", "AlwaysConnect", "NeverConnect"):
            await set_receiver_mode(x, token, mode)
            await _check_mode(x, token, mode)


@after_reboot("RECEIVER-2-1-12", name="SET RECEIVER MODE - PERSISTENCE")
async def set_mode_persistence(x: Examination) -> None:
    async with some_receiver(x) as token:
        mode = _other(text(await receiver(x, token), "tt:Mode"))
        await set_receiver_mode(x, token, mode)
        await reboot(x)
        await _check_mode(x, token, mode)


def _other(mode: str) -> str:
    return "AutoConnect" if mode != "AutoConnect" else "NeverConnect"


async def _reconfigure(x: Examination, token: str) -> str:
    """Mode, MediaUri and, where the device can, Stream other than they are (Receiver Test 5.2.18)."""
    known = await receiver(x, token)
    multicast = boolean((await capabilities(x)).get("RTP_Multicast", "false"))
    stream = "RTP-Unicast"
    if multicast and text(known, "tt:StreamSetup/tt:Stream") == "RTP-Unicast":
        stream = "RTP-Multicast"
    uri = OTHER_URI if text(known, "tt:MediaUri") != OTHER_URI else VALID_URI
    inside = receiver_configuration(_other(text(known, "tt:Mode")), uri, stream=stream)
    await configure_receiver(x, token, inside)
    return inside


async def _check_configured(x: Examination, token: str, inside: str) -> None:
    await check_receiver(x, token, inside)
    await check_listed(x, token, await receiver(x, token))


@case("RECEIVER-2-1-20", document=DOCUMENT, name="CONFIGURE RECEIVER", requires=(RECEIVER,))
async def configure(x: Examination) -> None:
    async with some_receiver(x) as token:
        await _check_configured(x, token, await _reconfigure(x, token))


@after_reboot("RECEIVER-2-1-21", name="CONFIGURE RECEIVER - PERSISTENCE")
async def configure_persistence(x: Examination) -> None:
    async with some_receiver(x) as token:
        inside = await _reconfigure(x, token)
        await reboot(x)
        await _check_configured(x, token, inside)


# ---- 5.2: receiving -----------------------------------------------------------------------------------


def _receives(protocol: str, offered: Callable[[str], bool], words: str) -> Callable[[Examination], Any]:
    async def run(x: Examination) -> None:
        async with some_receiver(x) as token, rtsp_source(x) as source:
            async with listening(x, CHANGE_STATE) as sub:
                await stream_to(x, token, source, ONE, protocol)
                for method in ("DESCRIBE", "SETUP", "PLAY"):
                    seen = await source.wait_for(method, delta(x))
                    x.check(seen is not None, f"the device sent no RTSP {method} to its receiver's address")
                # What was tried before counts for nothing: the device may try other transports first.
                asked = [each.transport for each in source.seen if each.method == "SETUP"]
                x.check(offered(asked[-1]), f"the device set up {asked[-1]!r}; its receiver is configured for {words}")
                await await_receiver_state(x, sub, token, "Connected")
            state = await receiver_state(x, token)
            x.check(state == "Connected", f"GetReceiverState says {state} after the message that it is Connected")
            async with listening(x, CHANGE_STATE) as sub:
                stopped = time.monotonic()
                await set_receiver_mode(x, token, "NeverConnect")
                seen = await source.wait_for("TEARDOWN", delta(x), stopped)
                x.check(
                    seen is not None, "the device sent no RTSP TEARDOWN when its receiver was told to connect never"
                )
                await await_receiver_state(x, sub, token, "NotConnected")
            state = await receiver_state(x, token)
            x.check(state == "NotConnected", f"GetReceiverState says {state} after the message that it is NotConnected")

    return run


def _is_udp(transport: str) -> bool:
    return "client_port" in transport and "TCP" not in transport


def _is_interleaved(transport: str) -> bool:
    return "RTP/AVP/TCP" in transport and "interleaved" in transport


for _id, _protocol, _offered, _words in (
    ("RECEIVER-2-1-16", "UDP", _is_udp, "RTP-Unicast/UDP"),
    ("RECEIVER-2-1-17", "RTSP", _is_interleaved, "RTP/RTSP/TCP"),
):
    case(_id, document=DOCUMENT, name=f"CONFIGURE RECEIVER - ({_words})", requires=(RECEIVER, PULL_POINT))(
        _receives(_protocol, _offered, _words)
    )


@case(
    "RECEIVER-2-1-18",
    document=DOCUMENT,
    name="CONFIGURE RECEIVER - INVALID MEDIA URI",
    requires=(RECEIVER, PULL_POINT),
)
async def invalid_uri(x: Examination) -> None:
    async with some_receiver(x) as token, rtsp_source(x) as source, listening(x, CONNECTION_FAILED) as sub:
        inside = receiver_configuration("AlwaysConnect", source.uri(ONE) + "/nothing-here")
        await configure_receiver(x, token, inside)

        def wanted(message: Message) -> bool:
            return item(message, "Source", "ReceiverToken") == token

        await await_message(x, sub, CONNECTION_FAILED, f"for receiver {token}", wanted)
        await check_receiver(x, token, inside)
        state = await receiver_state(x, token)
        x.check(state == "NotConnected", f"GetReceiverState says {state} although there is no stream at the address")
