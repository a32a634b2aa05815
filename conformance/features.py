"""What a device can do, found out as the Feature Discovery specification prescribes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from conformance.discovery import Prober
from conformance.feature_set import Features, State, judge
from conformance.feature_tables import AUXILIARY, BY_CAPABILITY, BY_TOPIC, RELAY_MODES, SERVICE_FEATURES, Row
from conformance.model import Failure, Settings
from conformance.names import NS, PREFIXES, boolean, find, findall, flag, name_of, text
from conformance.soap import Auth, SoapClient, expect_response


@dataclass(slots=True)
class Discovery:
    """One run of the procedure."""

    soap: SoapClient
    prober: Prober
    settings: Settings
    found: Features = field(default_factory=Features)

    async def run(self) -> Features:
        self.soap.services = {"tds": self.settings.url}
        # A device that cannot be reached has no features at all, not undefined ones: this raises.
        await self.soap.call("tds", "<tds:GetSystemDateAndTime/>", auth="none", validate=False)
        await self._capabilities()
        steps: tuple[Callable[[], Awaitable[None]], ...] = (
            *(self._service_capabilities, self._by_capability, self._information, self._scopes, self._clock),
            *(self._event_properties, self._discovery_types, self._https, self._relays, self._pull_points),
            *(self._media, self._media2, self._deviceio, self._ptz, self._imaging, self._position_search),
        )
        for step in steps:
            try:
                await step()
            except Failure as failure:
                self.found.remarks.append(f"{step.__name__.strip('_')}: {failure}")
        return self.found

    # ---- 5.3 ---------------------------------------------------------------------------------------

    async def _first(self, body: str) -> Any:
        """Without credentials, then with UsernameToken, then with Digest (5.3); None if nothing helps."""
        ways: tuple[Auth, ...] = ("none", "wsse", "digest")
        for way in ways:
            try:
                reply = await self.soap.call("tds", body, auth=way)
            except Failure as failure:
                self.found.remarks.append(str(failure))
                return None
            if reply.fault is None and reply.status == 200 and reply.body is not None:
                return reply.body
            refused = reply.status == 401 or (reply.fault is not None and "ter:NotAuthorized" in reply.fault.subcodes)
            if not refused:
                return None
        return None

    async def _capabilities(self) -> None:
        found = self.found
        body = await self._first("<tds:GetCapabilities><tds:Category>All</tds:Category></tds:GetCapabilities>")
        found.set("GetCapabilities", body is not None)
        found.get_capabilities = find(body, "tds:Capabilities")
        body = await self._first(
            "<tds:GetServices><tds:IncludeCapability>false</tds:IncludeCapability></tds:GetServices>"
        )
        found.set("GetServices", body is not None)
        if body is not None:
            for service in findall(body, "tds:Service"):
                prefix = PREFIXES.get(text(service, "tds:Namespace"))
                version = (_int(text(service, "tds:Version/tt:Major")), _int(text(service, "tds:Version/tt:Minor")))
                # Several of one namespace: the latest version counts.
                if prefix and version >= found.versions.get(prefix, (-1, -1)):
                    found.versions[prefix], found.services[prefix] = version, text(service, "tds:XAddr")
        else:
            self._services_of_capabilities()
        found.services.setdefault("tds", self.settings.url)
        self.soap.services = dict(found.services)
        for prefix, feature in SERVICE_FEATURES.items():
            found.set(feature, prefix in found.services)

    def _services_of_capabilities(self) -> None:
        """5.5: only GetCapabilities is there."""
        places = {
            "Analytics": "tan",
            "Device": "tds",
            "Events": "tev",
            "Imaging": "timg",
            "Media": "trt",
            "PTZ": "tptz",
            "Extension/tt:DeviceIO": "tmd",
            "Extension/tt:Recording": "trc",
            "Extension/tt:Search": "tse",
            "Extension/tt:Replay": "trp",
            "Extension/tt:Receiver": "trv",
        }
        for place, prefix in places.items():
            if address := text(find(self.found.get_capabilities, f"tt:{place}/tt:XAddr")):
                self.found.services[prefix] = address

    # ---- capabilities ------------------------------------------------------------------------------

    async def _service_capabilities(self) -> None:
        found = self.found
        body = await self._first("<tds:GetServiceCapabilities/>")
        if body is not None:
            found.capabilities["tds"] = find(body, "tds:Capabilities")
        digest = judge(
            Row("", "tds", "Security", "HttpDigest", "true"), found.capability("tds", "Security", "HttpDigest")
        )
        token = flag(find(found.capabilities.get("tds"), "tds:Security"), "UsernameToken")
        # 5.4.1, notes: Digest where it is there, else UsernameToken.
        self.soap.preferred = "digest" if digest else ("wsse" if token or body is not None else "auto")
        for prefix in found.services:
            if prefix == "tds":
                continue
            try:
                reply = await self.soap.call(prefix, f"<{prefix}:GetServiceCapabilities/>")
                capabilities = find(expect_response(reply, "GetServiceCapabilities"), f"{prefix}:Capabilities")
            except Failure as failure:
                found.remarks.append(f"{SERVICE_FEATURES.get(prefix, prefix)}: {failure}")
                continue
            if capabilities is not None:
                found.capabilities[prefix] = capabilities

    async def _by_capability(self) -> None:
        found = self.found
        for row in BY_CAPABILITY:
            if row.service not in found.services:
                found.set(row.feature, False)
            elif found.capabilities.get(row.service) is None:
                found.set(row.feature, None)
            else:
                found.set(row.feature, judge(row, found.capability(row.service, row.path, row.attribute)))
        commands = (found.capability("tds", "Misc", "AuxiliaryCommands") or "").split()
        known = found.capabilities.get("tds") is not None
        for feature in AUXILIARY:
            found.set(feature, feature.removeprefix("Device/") in commands if known else None)
        if found.states["Device/Discovery"] is State.NOT_SUPPORTED:
            found.set("Device/Bye Message", False)
        if found.states["Device/Network Configuration"] is State.NOT_SUPPORTED:
            found.set("Device/IPv6", False)
        if found.state("GetServices") is State.NOT_SUPPORTED and not known:
            self._device_of_capabilities()

    def _device_of_capabilities(self) -> None:
        """5.5.1: what GetCapabilities alone tells of the device service."""
        device = find(self.found.get_capabilities, "tt:Device")
        for feature, path in (
            ("Device/IP Filter", "Network/tt:IPFilter"),
            ("Device/Zero Configuration", "Network/tt:ZeroConfiguration"),
            ("Device/IPv6", "Network/tt:IPVersion6"),
            ("Device/Dynamic DNS", "Network/tt:DynDNS"),
            ("Device/Bye Message", "System/tt:DiscoveryBye"),
            ("Device/System logging", "System/tt:SystemLogging"),
        ):
            self.found.set(feature, boolean(text(device, f"tt:{path}")))

    # ---- the rest ----------------------------------------------------------------------------------

    async def _information(self) -> None:
        body = await self.soap.ask("tds", "<tds:GetDeviceInformation/>")
        self.found.information = {name_of(each).partition(":")[2]: text(each) for each in body}

    async def _scopes(self) -> None:
        body = await self.soap.ask("tds", "<tds:GetScopes/>")
        self.found.scopes = tuple(text(each) for each in findall(body, "tds:Scopes/tt:ScopeItem"))

    async def _clock(self) -> None:
        """UsernameToken needs the device's own time."""
        from conformance.clock import device_time

        body = await self._first("<tds:GetSystemDateAndTime/>")
        if body is not None and (offset := device_time(body)) is not None:
            # Nothing is to be gained from correcting less than a round trip.
            self.soap.clock_offset = offset if abs(offset) > 2 else 0.0

    async def _event_properties(self) -> None:
        found = self.found
        if "tev" not in found.services:
            for feature in (*BY_TOPIC, "Event/Message Content Filter", "Event/ONVIF Message Content Filter Dialect"):
                found.set(feature, False)
            return
        body = await self.soap.ask("tev", "<tev:GetEventProperties/>")
        found.topics = frozenset(topics_of(find(body, "wstop:TopicSet")))
        dialects = tuple(text(each) for each in findall(body, "tev:MessageContentFilterDialect"))
        found.filter_dialects = dialects
        found.set("Event/Message Content Filter", any(dialects))
        item_filter = "http://www.onvif.org/ver10/tev/messageContentFilter/ItemFilter"
        found.set("Event/ONVIF Message Content Filter Dialect", item_filter in dialects)
        for feature, topics in BY_TOPIC.items():
            found.set(feature, any(topic in found.topics for topic in topics))

    async def _discovery_types(self) -> None:
        found = self.found
        names = ("tds:Device", "dn:NetworkVideoTransmitter")
        if not found.has("Device/Discovery"):
            for name in names:
                found.set(f"WS-Discovery/Types/{name}", False)
            return
        # 5.4.2: a unicast probe for everything.
        answer = await self.prober.probe("", "", unicast=True)
        if answer is None:
            found.remarks.append("discovery_types: no answer to a unicast Probe within DISCOVERY_TIMEOUT")
            # Where several devices share a host, one of them gets all unicast probes.
            answer = await self.prober.probe("", "")
        if answer is None or answer.kind != "ProbeMatches":
            return
        self.prober.endpoint = answer.endpoint
        for name in names:
            found.set(f"WS-Discovery/Types/{name}", name in answer.types)

    async def _https(self) -> None:
        found = self.found
        if not found.has("Device/Network Configuration"):
            # 5.4.3: the procedure is skipped; what the protocols say is still worth to know.
            found.set("Device/HTTPS", None)
        if found.state("Security/TLS Server") is State.SUPPORTED:
            found.set("Device/HTTPS", True)
        else:
            body = await self.soap.ask("tds", "<tds:GetNetworkProtocols/>")
            found.set("Device/HTTPS", any(
                text(each, "tt:Name") == "HTTPS" and boolean(text(each, "tt:Enabled"))
                for each in findall(body, "tds:NetworkProtocols")
            ))  # fmt: skip
        found.set("Media2/RTP/RTSP/HTTPS", found.has("Device/HTTPS") and found.has("Media2/Real-time Streaming"))

    async def _relays(self) -> None:
        """5.4.4. The settings of the relay are put back."""
        found = self.found
        count = text(find(found.get_capabilities, "tt:Device/tt:IO/tt:RelayOutputs"))
        found.set("Device/RelayOutputs", count.isdigit() and int(count) > 0)
        if not found.has("Device/RelayOutputs"):
            for feature in RELAY_MODES:
                found.set(feature, False)
            return
        relay = find(await self.soap.ask("tds", "<tds:GetRelayOutputs/>"), "tds:RelayOutputs")
        if relay is None:
            return
        before = find(relay, "tt:Properties")
        try:
            for mode in ("Bistable", "Monostable"):
                worked = []
                for idle in ("open", "closed"):
                    reply = await self.soap.call("tds", relay_settings(relay.get("token"), mode, "PT30S", idle))
                    worked.append(reply.fault is None and reply.status == 200)
                    found.set(f"Device/RelayOutputs/{mode} Mode/{idle.capitalize()} Idle State", worked[-1])
                found.set(f"Device/RelayOutputs/{mode} Mode", any(worked))
        finally:
            keep = [text(before, f"tt:{name}") for name in ("Mode", "DelayTime", "IdleState")]
            await self.soap.ask("tds", relay_settings(relay.get("token"), *keep))

    async def _pull_points(self) -> None:
        """5.4.8.5."""
        found = self.found
        if "tev" not in found.services:
            found.set("Event/Pull-Point Notification", False)
            found.set("Event/Two Pull Points", False)
        elif found.capabilities.get("tev") is not None:
            limit = found.capability("tev", "", "MaxPullPoints")
            streaming = "onvif://www.onvif.org/Profile/Streaming" in found.scopes
            found.set("Event/Pull-Point Notification", streaming if limit is None else _int(limit) > 0)
            found.set("Event/Two Pull Points", limit is not None and _int(limit) >= 2)

    async def _media(self) -> None:
        found, names = self.found, ("JPEG", "MPEG-4", "H.264", "Audio", "GetSnapshotUri", "Audio Outputs")
        sounds = (*(f"Audio/{name}" for name in _SOUNDS), *(f"Audio Outputs/{name}" for name in _SOUNDS))
        if "trt" not in found.services:
            for name in (*names, *sounds):
                found.set(f"Media/{name}", False)
            for name in ("RTP/UDP", "RTP/RTSP/HTTP"):
                found.set(f"Media/{name}", False)
            return
        streaming = found.has("Media/Real-time Streaming")
        for name in ("RTP/UDP", "RTP/RTSP/HTTP"):
            found.set(f"Media/{name}", streaming)
        if not streaming:
            # 5.4.6.3: without it none of its setups is there.
            for name in ("RTP/RTSP/TCP", "RTP-Multicast/UDP"):
                found.set(f"Media/{name}", False)
        found.set("Media/JPEG", True)
        options = find(await self.soap.ask("trt", "<trt:GetVideoEncoderConfigurationOptions/>"), "trt:Options")
        found.set("Media/MPEG-4", find(options, "tt:MPEG4") is not None)
        found.set("Media/H.264", find(options, "tt:H264") is not None)
        reply = await self.soap.call("trt", "<trt:GetAudioEncoderConfigurationOptions/>")
        found.set("Media/Audio", reply.fault is None and reply.status == 200)
        encodings = [text(each) for each in findall(reply.body, "trt:Options/tt:Options/tt:Encoding")]
        found.set("Media/Audio/G.711", found.has("Media/Audio"))
        found.set("Media/Audio/G.726", "G726" in encodings)
        found.set("Media/Audio/AAC", "AAC" in encodings)
        await self._media_outputs()

    async def _media_outputs(self) -> None:
        found = self.found
        profiles = findall(await self.soap.ask("trt", "<trt:GetProfiles/>"), "trt:Profiles")
        ready = [
            each.get("token")
            for each in profiles
            if find(each, "tt:VideoSourceConfiguration") is not None
            and find(each, "tt:VideoEncoderConfiguration") is not None
        ]
        if ready:
            request = f"<trt:GetSnapshotUri><trt:ProfileToken>{ready[0]}</trt:ProfileToken></trt:GetSnapshotUri>"
            found.set("Media/GetSnapshotUri", (await self.soap.call("trt", request)).fault is None)
        reply = await self.soap.call("trt", "<trt:GetAudioOutputs/>")
        found.set("Media/Audio Outputs", reply.fault is None and bool(findall(reply.body, "trt:AudioOutputs")))
        if not found.has("Media/Audio Outputs"):
            for name in _SOUNDS:
                found.set(f"Media/Audio Outputs/{name}", False)
            return
        options = find(await self.soap.ask("trt", "<trt:GetAudioDecoderConfigurationOptions/>"), "trt:Options")
        for name, element in _SOUNDS.items():
            found.set(f"Media/Audio Outputs/{name}", find(options, f"tt:{element}") is not None)

    async def _media2(self) -> None:
        found = self.found
        names = ("Video/H.265", "Video/H.264", "Audio/G.711", "Audio/AAC", "RTP/UDP", "RTP/RTSP/HTTP")
        outputs = ("Audio Output/G.711", "Audio Output/AAC", "OSD/Types/Text", "OSD/Types/Image")
        if "tr2" not in found.services:
            for name in (*names, *outputs):
                found.set(f"Media2/{name}", False)
            return
        for name in ("RTP/UDP", "RTP/RTSP/HTTP"):
            found.set(f"Media2/{name}", found.has("Media2/Real-time Streaming"))
        aac = ("MP4A-LATM", "MPEG4-GENERIC")
        for feature, request, wanted in (
            ("Video", "GetVideoEncoderConfigurationOptions", {"H.265": ("H265",), "H.264": ("H264",)}),
            ("Audio", "GetAudioEncoderConfigurationOptions", {"G.711": ("PCMU",), "AAC": aac}),
            ("Audio Output", "GetAudioDecoderConfigurationOptions", {"G.711": ("PCMU",), "AAC": aac}),
        ):
            if not found.has(f"Media2/{feature}"):
                for name in wanted:
                    found.set(f"Media2/{feature}/{name}", False)
                continue
            options = findall(await self.soap.ask("tr2", f"<tr2:{request}/>"), "tr2:Options")
            encodings = {text(each, "tt:Encoding") for each in options}
            for name, words in wanted.items():
                found.set(f"Media2/{feature}/{name}", any(word in encodings for word in words))
        if not found.has("Media2/OSD"):
            for name in ("Text", "Image"):
                found.set(f"Media2/OSD/Types/{name}", False)
            return
        await self._osd_types()

    async def _osd_types(self) -> None:
        kinds: set[str] = set()
        for each in findall(await self.soap.ask("tr2", "<tr2:GetVideoSourceConfigurations/>"), "tr2:Configurations"):
            token = each.get("token")
            request = f"<tr2:GetOSDOptions><tr2:ConfigurationToken>{token}</tr2:ConfigurationToken></tr2:GetOSDOptions>"
            options = find(await self.soap.ask("tr2", request), "tr2:OSDOptions")
            maximum = find(options, "tt:MaximumNumberOfOSDs")
            if maximum is not None and _int(maximum.get("Total", "0")) > 0:
                kinds |= {text(kind) for kind in findall(options, "tt:Type")}
        for name in ("Text", "Image"):
            self.found.set(f"Media2/OSD/Types/{name}", name in kinds)

    async def _deviceio(self) -> None:
        if not self.found.has("Device IO/Relay Outputs"):
            self.found.set("Device IO/Relay Output Options", False)
            return
        reply = await self.soap.call("tmd", "<tmd:GetRelayOutputOptions/>")
        self.found.set("Device IO/Relay Output Options", reply.fault is None and reply.status == 200)

    async def _position_search(self) -> None:
        """5.4.14.2; the end points are those of all recordings, where the operator named none."""
        name = "Recording Search/PTZ Position Search"
        if not self.found.has("Recording Search Service"):
            self.found.set(name, False)
            return
        summary = find(await self.soap.ask("tse", "<tse:GetRecordingSummary/>"), "tse:Summary")
        body = f"<tse:StartPoint>{text(summary, 'tt:DataFrom')}</tse:StartPoint><tse:Scope/>{POSITION_FILTER}"
        body += "<tse:KeepAliveTime>PT3S</tse:KeepAliveTime>"
        reply = await self.soap.call("tse", f"<tse:FindPTZPosition>{body}</tse:FindPTZPosition>")
        self.found.set(name, reply.fault is None)
        if reply.fault is None:
            token = text(reply.body, "tse:SearchToken")
            await self.soap.call("tse", f"<tse:EndSearch><tse:SearchToken>{token}</tse:SearchToken></tse:EndSearch>")

    async def _ptz(self) -> None:
        found = self.found
        spaces = {
            "Continuous Pan/Tilt": "ContinuousPanTiltVelocitySpace",
            "Continuous Zoom": "ContinuousZoomVelocitySpace",
            "Absolute Pan/Tilt": "AbsolutePanTiltPositionSpace",
            "Absolute Zoom": "AbsoluteZoomPositionSpace",
            "Relative Pan/Tilt": "RelativePanTiltTranslationSpace",
            "Relative Zoom": "RelativeZoomTranslationSpace",
            "Speed Pan/Tilt": "PanTiltSpeedSpace",
            "Speed Zoom": "ZoomSpeedSpace",
        }
        others = ("Preset", "Auxiliary", "Home Position", "Fixed Home Position", "Configurable Home Position")
        nodes = (
            findall(await self.soap.ask("tptz", "<tptz:GetNodes/>"), "tptz:PTZNode") if "tptz" in found.services else []
        )
        for name, space in spaces.items():
            found.set(f"PTZ/{name}", any(find(each, f"tt:SupportedPTZSpaces/tt:{space}") is not None for each in nodes))
        home = [each for each in nodes if boolean(text(each, "tt:HomeSupported"))]
        values = (
            any(_int(text(each, "tt:MaximumNumberOfPresets")) > 0 for each in nodes),
            any(find(each, "tt:AuxiliaryCommands") is not None for each in nodes),
            bool(home),
            any(flag(each, "FixedHomePosition") for each in home),
            any(each.get("FixedHomePosition") is not None and not flag(each, "FixedHomePosition") for each in home),
        )
        for name, value in zip(others, values, strict=True):
            found.set(f"PTZ/{name}", value)

    async def _imaging(self) -> None:
        found = self.found
        if "timg" not in found.services:
            found.set("Imaging/IrCutfilter Configuration", False)
            found.set("Imaging/Focus Control", False)
            return
        prefix = "tmd" if "tmd" in found.services else "trt"
        if prefix not in found.services:
            return
        sources = await self.soap.ask(prefix, "<tmd:GetVideoSources/>" if prefix == "tmd" else "<trt:GetVideoSources/>")
        tokens = [text(each) if prefix == "tmd" else each.get("token") for each in sources]
        cut = focus = False
        for token in tokens:
            inside = f"<timg:VideoSourceToken>{token}</timg:VideoSourceToken>"
            options = await self.soap.ask("timg", f"<timg:GetOptions>{inside}</timg:GetOptions>")
            modes = [text(each) for each in findall(options, "timg:ImagingOptions/tt:IrCutFilterModes")]
            cut = cut or (len(modes) > 1 and "OFF" in modes)
            reply = await self.soap.call("timg", f"<timg:GetMoveOptions>{inside}</timg:GetMoveOptions>")
            focus = focus or (reply.fault is None and len(find(reply.body, "timg:MoveOptions")) > 0)
            if cut and focus:
                break
        found.set("Imaging/IrCutfilter Configuration", cut)
        found.set("Imaging/Focus Control", focus)


_SOUNDS = {"G.711": "G711DecOptions", "G.726": "G726DecOptions", "AAC": "AACDecOptions"}
POSITION_FILTER = (
    '<tse:SearchFilter><tt:MinPosition><tt:PanTilt x="-1" y="-1"/></tt:MinPosition>'
    '<tt:MaxPosition><tt:PanTilt x="1" y="1"/></tt:MaxPosition><tt:EnterOrExit>false</tt:EnterOrExit></tse:SearchFilter>'
)


def _int(value: str) -> int:
    try:
        return int(value)
    except ValueError:
        return 0


def relay_settings(token: str, mode: str, delay: str, idle: str) -> str:
    """SetRelayOutputSettings of the device service."""
    return (
        f"<tds:SetRelayOutputSettings><tds:RelayOutputToken>{token}</tds:RelayOutputToken><tds:Properties>"
        f"<tt:Mode>{mode}</tt:Mode><tt:DelayTime>{delay}</tt:DelayTime><tt:IdleState>{idle}</tt:IdleState>"
        "</tds:Properties></tds:SetRelayOutputSettings>"
    )


def topics_of(topic_set: Any) -> list[str]:
    """Concrete topics of a TopicSet: `tns1:Monitoring/ProcessorUsage`."""
    found: list[str] = []
    mark = f"{{{NS['wstop']}}}topic"

    def walk(element: Any, path: str) -> None:
        for child in element:
            if not isinstance(child.tag, str) or child.tag == f"{{{NS['tt']}}}MessageDescription":
                continue
            here = f"{path}/{name_of(child)}" if path else name_of(child)
            if boolean(child.get(mark, "")):
                found.append(here)
            walk(child, here)

    if topic_set is not None:
        walk(topic_set, "")
    return found
