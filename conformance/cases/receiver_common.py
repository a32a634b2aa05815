"""Receivers as cases ask for them and set them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any
from xml.sax.saxutils import escape

from lxml import etree

from conformance.cases.recording_values import differing, values
from conformance.model import Examination
from conformance.names import NS, find, findall, text
from conformance.source import RtspSource, Stream


def receiver_configuration(mode: str, uri: str, protocol: str = "UDP", stream: str = "RTP-Unicast") -> str:
    return (
        f"<trv:Configuration><tt:Mode>{mode}</tt:Mode><tt:MediaUri>{escape(uri)}</tt:MediaUri><tt:StreamSetup>"
        f"<tt:Stream>{stream}</tt:Stream><tt:Transport><tt:Protocol>{protocol}</tt:Protocol></tt:Transport>"
        "</tt:StreamSetup></trv:Configuration>"
    )


async def receivers(x: Examination) -> dict[str, Any]:
    """Configurations of GetReceivers by token."""
    items = findall(await x.ask("trv", "<trv:GetReceivers/>"), "trv:Receivers")
    tokens = [text(each, "tt:Token") for each in items]
    x.check(len(tokens) == len(set(tokens)), f"GetReceiversResponse has a Token twice: {', '.join(tokens)}")
    return {token: find(item, "tt:Configuration") for token, item in zip(tokens, items, strict=True)}


async def receiver(x: Examination, token: str) -> Any:
    answer = await x.ask("trv", f"<trv:GetReceiver><trv:ReceiverToken>{token}</trv:ReceiverToken></trv:GetReceiver>")
    known = text(answer, "trv:Receiver/tt:Token")
    x.check(known == token, f"GetReceiver of {token} was answered with the receiver {known}")
    return find(answer, "trv:Receiver/tt:Configuration")


async def configure_receiver(x: Examination, token: str, inside: str) -> None:
    body = f"<trv:ReceiverToken>{token}</trv:ReceiverToken>{inside}"
    await x.ask("trv", f"<trv:ConfigureReceiver>{body}</trv:ConfigureReceiver>")


async def set_receiver_mode(x: Examination, token: str, mode: str) -> None:
    body = f"<trv:ReceiverToken>{token}</trv:ReceiverToken><trv:Mode>{mode}</trv:Mode>"
    await x.ask("trv", f"<trv:SetReceiverMode>{body}</trv:SetReceiverMode>")


async def receiver_state(x: Examination, token: str) -> str:
    body = f"<trv:GetReceiverState><trv:ReceiverToken>{token}</trv:ReceiverToken></trv:GetReceiverState>"
    return text(await x.ask("trv", body), "trv:ReceiverState/tt:State")


async def check_receiver(x: Examination, token: str, inside: str) -> None:
    """GetReceiver must give what was configured (Receiver Test 6.1)."""
    same_receiver(x, _parsed(inside), await receiver(x, token), "configured", "GetReceiver")


def _parsed(inside: str) -> Any:
    return etree.fromstring(
        inside.replace("<trv:Configuration", f'<trv:Configuration xmlns:trv="{NS["trv"]}" xmlns:tt="{NS["tt"]}"', 1)
    )


def same_receiver(x: Examination, one: Any, other: Any, first: str, second: str) -> None:
    paths = (
        *("tt:Mode", "tt:MediaUri", "tt:StreamSetup/tt:Stream", "tt:StreamSetup/tt:Transport/tt:Protocol"),
        *("tt:StreamSetup/tt:Transport/tt:Tunnel/tt:Protocol",),
    )
    wrong = differing(values(one, *paths), values(other, *paths))
    x.check(not wrong, f"a receiver as {first} and in {second} differs in {wrong}")


@contextlib.asynccontextmanager
async def rtsp_source(x: Examination) -> AsyncIterator[RtspSource]:
    async with RtspSource(x.prober.local(), x.note) as source:
        yield source


async def stream_to(x: Examination, token: str, source: RtspSource, stream: Stream, protocol: str = "UDP") -> None:
    """Point a receiver at the RTSP simulator and let it connect."""
    inside = receiver_configuration("AlwaysConnect", source.uri(stream), protocol)
    await configure_receiver(x, token, inside)
    await check_receiver(x, token, inside)
