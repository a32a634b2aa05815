"""Both media services behind one interface: profiles, configurations and their options, stream URIs.

What the procedures of test/Streaming and test/StreamingMedia2 need, in the words of the newer service.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

from conformance.cases.event_values import seconds_of
from conformance.cases.media_options import (
    ENCODERS,
    KINDS,
    MAX_RATE,
    AudioOptions,
    Group,
    Profile,
    VideoOptions,
    VideoWish,
    bitrate,
    nearest,
    numbers,
    rendered,
    resolutions_of,
)
from conformance.model import Examination
from conformance.names import boolean, find, findall, flag, text


@dataclass
class MediaService(ABC):
    """One of the two."""

    x: Examination
    prefix: str = field(default="", init=False)

    # ---- profiles

    @abstractmethod
    async def profiles(self) -> list[Profile]: ...

    @abstractmethod
    async def create(self, name: str, token: str = "") -> str:
        """A profile without configurations; its token. Raises Failure if the device has no room."""

    @abstractmethod
    async def delete(self, token: str) -> None: ...

    @abstractmethod
    async def add(self, profile: str, kind: str, token: str) -> None: ...

    @abstractmethod
    async def remove(self, profile: str, kind: str) -> None: ...

    async def profile(self, token: str) -> Profile:
        found = next((each for each in await self.profiles() if each.token == token), None)
        self.x.check(found is not None, f"GetProfiles does not list the profile {token}")
        assert found is not None
        return found

    async def strip(self, profile: Profile, kinds: Iterable[str]) -> None:
        """Remove configurations that are there (Streaming Test 6.29)."""
        for kind in reversed(KINDS):
            if kind in kinds and kind in profile.configurations:
                await self.remove(profile.token, kind)
                del profile.configurations[kind]

    # ---- configurations

    def name(self, kind: str) -> str:
        """Of a configuration in names of requests."""
        return kind

    @abstractmethod
    async def compatible(self, profile: str, kind: str) -> list[Any]: ...

    async def configurations(self, kind: str) -> list[Any]:
        request = f"Get{self.name(kind)}Configurations"
        return findall(await self.ask(f"<{self.prefix}:{request}/>"), f"{self.prefix}:Configurations")

    async def configuration(self, kind: str, token: str) -> Any:
        found = next((each for each in await self.configurations(kind) if each.get("token") == token), None)
        self.x.check(found is not None, f"Get{self.name(kind)}Configurations does not list {token}")
        return found

    @abstractmethod
    async def video_options(self, profile: str, token: str = "") -> list[VideoOptions]: ...

    async def audio_options(self, profile: str, token: str = "") -> list[AudioOptions]:
        answer = await self.ask(self.options_request("AudioEncoder", profile, token))
        return [
            AudioOptions(
                text(each, "tt:Encoding"),
                tuple(int(text(item)) for item in findall(each, "tt:BitrateList/tt:Items")),
                tuple(int(text(item)) for item in findall(each, "tt:SampleRateList/tt:Items")),
            )
            for each in findall(answer, self.audio_path)
        ]

    audio_path = ""

    def options_request(self, kind: str, profile: str, token: str = "") -> str:
        inside = f"<{self.prefix}:ConfigurationToken>{token}</{self.prefix}:ConfigurationToken>" if token else ""
        inside += f"<{self.prefix}:ProfileToken>{profile}</{self.prefix}:ProfileToken>" if profile else ""
        name = f"{self.prefix}:Get{self.name(kind)}ConfigurationOptions"
        return f"<{name}>{inside}</{name}>"

    @abstractmethod
    async def decoders(self, profile: str, token: str = "") -> list[str]:
        """Encodings that an audio decoder configuration takes, by the examiner's names."""

    async def primacies(self, profile: str, token: str) -> list[str]:
        """SendPrimacyOptions of an audio output configuration."""
        answer = await self.ask(self.options_request("AudioOutput", profile, token))
        return [text(each) for each in findall(answer, f"{self.prefix}:Options/tt:SendPrimacyOptions")]

    async def metadata_options(self, profile: str, token: str) -> Any:
        answer = await self.ask(self.options_request("Metadata", profile, token))
        return find(answer, f"{self.prefix}:Options")

    async def set(self, kind: str, element: str) -> None:
        """`element` is the whole Configuration."""
        name = f"{self.prefix}:Set{self.name(kind)}Configuration"
        await self.ask(f"<{name}>{element}{self.persistence}</{name}>")

    persistence = ""

    @abstractmethod
    def video(self, present: Any, options: VideoOptions, wish: VideoWish) -> str: ...

    @abstractmethod
    def audio(self, present: Any, options: AudioOptions, group: Group | None) -> str: ...

    def head(self, present: Any, more: str = "") -> str:
        return (
            f'<{self.prefix}:Configuration token="{escape(present.get("token"))}"{more}>'
            f"<tt:Name>{escape(text(present, 'tt:Name'))}</tt:Name><tt:UseCount>{text(present, 'tt:UseCount')}</tt:UseCount>"
        )

    def metadata(self, present: Any, inside: str, group: Group | None) -> str:
        """The order of elements is the schema's: PTZStatus, Events, Analytics, Multicast, SessionTimeout."""
        multicast = group.element if group is not None else rendered(present, "tt:Multicast")
        timeout = rendered(present, "tt:SessionTimeout")
        return f"{self.head(present)}{inside}{multicast}{timeout}</{self.prefix}:Configuration>"

    def output(self, present: Any, primacy: str) -> str:
        chosen = f"<tt:SendPrimacy>{primacy}</tt:SendPrimacy>" if primacy else ""
        return (
            f"{self.head(present)}{rendered(present, 'tt:OutputToken')}{chosen}{rendered(present, 'tt:OutputLevel')}"
            f"</{self.prefix}:Configuration>"
        )

    # ---- streams

    @abstractmethod
    async def uri(self, profile: str, transport: str) -> str: ...

    async def synchronize(self, profile: str) -> None:
        await self._of_profile("SetSynchronizationPoint", profile)

    async def multicast(self, profile: str, start: bool) -> None:
        await self._of_profile(f"{'Start' if start else 'Stop'}MulticastStreaming", profile)

    async def _of_profile(self, name: str, profile: str) -> None:
        inside = f"<{self.prefix}:ProfileToken>{profile}</{self.prefix}:ProfileToken>"
        await self.ask(f"<{self.prefix}:{name}>{inside}</{self.prefix}:{name}>")

    async def ask(self, body: str) -> Any:
        return await self.x.ask(self.prefix, body)

    def is_called(self, encoding: str, given: str) -> bool:
        """Whether the service's name is one of an encoding's."""
        return given in ENCODERS[self.prefix].get(encoding, "").split("|")

    def encoding_of(self, configuration: Any) -> str:
        return text(configuration, "tt:Encoding")

    def best(self, encoding: str, given: Iterable[str]) -> str:
        """The better one of the names of an encoding that are offered; empty if none is."""
        offered = set(given)
        return next((each for each in ENCODERS[self.prefix].get(encoding, "").split("|") if each in offered), "")


# ---- the first one ------------------------------------------------------------------------------------

_SETUPS = {
    "UDP": ("RTP-Unicast", "UDP"),
    "HTTP": ("RTP-Unicast", "HTTP"),
    "RTSP": ("RTP-Unicast", "RTSP"),
    "MULTICAST": ("RTP-Multicast", "UDP"),
}


class Media1(MediaService):
    """http://www.onvif.org/ver10/media/wsdl"""

    prefix = "trt"
    persistence = "<trt:ForcePersistence>false</trt:ForcePersistence>"
    audio_path = "trt:Options/tt:Options"

    def name(self, kind: str) -> str:
        return "VideoAnalytics" if kind == "Analytics" else kind

    async def profiles(self) -> list[Profile]:
        found = findall(await self.ask("<trt:GetProfiles/>"), "trt:Profiles")
        return [self._read(each) for each in found]

    def _read(self, element: Any) -> Profile:
        places = {kind: f"tt:{self.name(kind)}Configuration" for kind in KINDS}
        places |= {kind: f"tt:Extension/{places[kind]}" for kind in ("AudioOutput", "AudioDecoder")}
        found = {kind: find(element, place) for kind, place in places.items()}
        there = {kind: each for kind, each in found.items() if each is not None}
        return Profile(str(element.get("token")), text(element, "tt:Name"), flag(element, "fixed"), there)

    async def create(self, name: str, token: str = "") -> str:
        named = f"<trt:Token>{escape(token)}</trt:Token>" if token else ""
        body = f"<trt:CreateProfile><trt:Name>{escape(name)}</trt:Name>{named}</trt:CreateProfile>"
        return str(find(await self.ask(body), "trt:Profile").get("token"))

    async def delete(self, token: str) -> None:
        await self._of_profile("DeleteProfile", token)

    async def add(self, profile: str, kind: str, token: str) -> None:
        name = f"trt:Add{self.name(kind)}Configuration"
        inside = (
            f"<trt:ProfileToken>{profile}</trt:ProfileToken><trt:ConfigurationToken>{token}</trt:ConfigurationToken>"
        )
        await self.ask(f"<{name}>{inside}</{name}>")

    async def remove(self, profile: str, kind: str) -> None:
        await self._of_profile(f"Remove{self.name(kind)}Configuration", profile)

    async def compatible(self, profile: str, kind: str) -> list[Any]:
        name = f"trt:GetCompatible{self.name(kind)}Configurations"
        body = f"<{name}><trt:ProfileToken>{profile}</trt:ProfileToken></{name}>"
        return findall(await self.ask(body), "trt:Configurations")

    async def video_options(self, profile: str, token: str = "") -> list[VideoOptions]:
        options = find(await self.ask(self.options_request("VideoEncoder", profile, token)), "trt:Options")
        return [
            self._video(options, name, find(options, f"tt:{name}"))
            for name in ("JPEG", "MPEG4", "H264")
            if find(options, f"tt:{name}") is not None
        ]

    def _video(self, options: Any, name: str, element: Any) -> VideoOptions:
        rates = numbers(element, "tt:FrameRateRange")
        return VideoOptions(
            name,
            resolutions_of(element),
            tuple(float(each) for each in range(rates[0], min(rates[1], MAX_RATE) + 1)) if rates else (),
            numbers(element, "tt:GovLengthRange"),
            text(options, "tt:QualityRange/tt:Min", "1"),
            numbers(options, f"tt:Extension/tt:{name}/tt:BitrateRange"),
            tuple(
                text(each) for each in findall(element, f"tt:{'H264' if name == 'H264' else 'Mpeg4'}ProfilesSupported")
            ),
            text(element, "tt:EncodingIntervalRange/tt:Min", "1"),
        )

    async def decoders(self, profile: str, token: str = "") -> list[str]:
        options = find(await self.ask(self.options_request("AudioDecoder", profile, token)), "trt:Options")
        return [name for name in ("AAC", "G711", "G726") if find(options, f"tt:{name}DecOptions") is not None]

    def video(self, present: Any, options: VideoOptions, wish: VideoWish) -> str:
        width, height = wish.choose(options)
        made = self.head(present)
        made += f"<tt:Encoding>{options.encoding}</tt:Encoding>"
        made += f"<tt:Resolution><tt:Width>{width}</tt:Width><tt:Height>{height}</tt:Height></tt:Resolution>"
        made += f"<tt:Quality>{options.quality}</tt:Quality>"
        if find(present, "tt:RateControl") is not None:
            rate = float(wish.frames(options, text(present, "tt:RateControl/tt:FrameRateLimit")))
            made += f"<tt:RateControl><tt:FrameRateLimit>{round(rate)}</tt:FrameRateLimit>"
            made += f"<tt:EncodingInterval>{options.interval}</tt:EncodingInterval>"
            made += f"<tt:BitrateLimit>{bitrate(present, options)}</tt:BitrateLimit></tt:RateControl>"
        if options.encoding != "JPEG" and options.goves is not None:
            inside = find(present, f"tt:{options.encoding}")
            kind = "H264" if options.encoding == "H264" else "Mpeg4"
            length = wish.groups(options, text(inside, "tt:GovLength"))
            chosen = wish.profile(options, text(inside, f"tt:{kind}Profile"))
            made += f"<tt:{options.encoding}><tt:GovLength>{length}</tt:GovLength>"
            made += f"<tt:{kind}Profile>{chosen}</tt:{kind}Profile></tt:{options.encoding}>"
        made += wish.group.element if wish.group is not None else rendered(present, "tt:Multicast")
        timeout = f"<tt:SessionTimeout>{wish.timeout}</tt:SessionTimeout>"
        made += timeout if wish.timeout else rendered(present, "tt:SessionTimeout")
        return f"{made}</trt:Configuration>"

    def audio(self, present: Any, options: AudioOptions, group: Group | None) -> str:
        made = self.head(present)
        made += f"<tt:Encoding>{options.encoding}</tt:Encoding>"
        made += f"<tt:Bitrate>{nearest(text(present, 'tt:Bitrate'), options.bitrates)}</tt:Bitrate>"
        made += f"<tt:SampleRate>{nearest(text(present, 'tt:SampleRate'), options.rates)}</tt:SampleRate>"
        made += group.element if group is not None else rendered(present, "tt:Multicast")
        return f"{made}{rendered(present, 'tt:SessionTimeout')}</trt:Configuration>"

    async def uri(self, profile: str, transport: str) -> str:
        stream, protocol = _SETUPS[transport]
        setup = f"<tt:Stream>{stream}</tt:Stream><tt:Transport><tt:Protocol>{protocol}</tt:Protocol></tt:Transport>"
        body = f"<trt:StreamSetup>{setup}</trt:StreamSetup><trt:ProfileToken>{profile}</trt:ProfileToken>"
        answer = find(await self.ask(f"<trt:GetStreamUri>{body}</trt:GetStreamUri>"), "trt:MediaUri")
        seconds_of(text(answer, "tt:Timeout"))
        boolean(text(answer, "tt:InvalidAfterConnect"))
        return text(answer, "tt:Uri")


# ---- the second one -----------------------------------------------------------------------------------

_PROTOCOLS = {
    "UDP": "RtspUnicast",
    "MULTICAST": "RtspMulticast",
    "RTSP": "RTSP",
    "WS": "RTSP",
    "HTTP": "RtspOverHttp",
    "HTTPS": "RtspOverHttp",
}


class Media2(MediaService):
    """http://www.onvif.org/ver20/media/wsdl"""

    prefix = "tr2"
    audio_path = "tr2:Options"

    async def profiles(self) -> list[Profile]:
        answer = await self.ask("<tr2:GetProfiles><tr2:Type>All</tr2:Type></tr2:GetProfiles>")
        return [
            Profile(
                str(each.get("token")),
                text(each, "tr2:Name"),
                flag(each, "fixed"),
                {
                    kind: inside
                    for kind in KINDS
                    if (inside := find(each, f"tr2:Configurations/tr2:{kind}")) is not None
                },
            )
            for each in findall(answer, "tr2:Profiles")
        ]

    async def create(self, name: str, token: str = "") -> str:
        body = f"<tr2:CreateProfile><tr2:Name>{escape(name)}</tr2:Name></tr2:CreateProfile>"
        return text(await self.ask(body), "tr2:Token")

    async def delete(self, token: str) -> None:
        await self.ask(f"<tr2:DeleteProfile><tr2:Token>{token}</tr2:Token></tr2:DeleteProfile>")

    async def add(self, profile: str, kind: str, token: str) -> None:
        inside = f"<tr2:Configuration><tr2:Type>{kind}</tr2:Type><tr2:Token>{token}</tr2:Token></tr2:Configuration>"
        body = f"<tr2:ProfileToken>{profile}</tr2:ProfileToken>{inside}"
        await self.ask(f"<tr2:AddConfiguration>{body}</tr2:AddConfiguration>")

    async def remove(self, profile: str, kind: str) -> None:
        inside = f"<tr2:Configuration><tr2:Type>{kind}</tr2:Type></tr2:Configuration>"
        body = f"<tr2:ProfileToken>{profile}</tr2:ProfileToken>{inside}"
        await self.ask(f"<tr2:RemoveConfiguration>{body}</tr2:RemoveConfiguration>")

    async def compatible(self, profile: str, kind: str) -> list[Any]:
        name = f"tr2:Get{kind}Configurations"
        body = f"<{name}><tr2:ProfileToken>{profile}</tr2:ProfileToken></{name}>"
        return findall(await self.ask(body), "tr2:Configurations")

    async def video_options(self, profile: str, token: str = "") -> list[VideoOptions]:
        answer = await self.ask(self.options_request("VideoEncoder", profile, token))
        return [self._video(each) for each in findall(answer, "tr2:Options")]

    def _video(self, element: Any) -> VideoOptions:
        goves = [int(each) for each in (element.get("GovLengthRange") or "").split()]
        return VideoOptions(
            text(element, "tt:Encoding"),
            resolutions_of(element),
            tuple(float(each) for each in (element.get("FrameRatesSupported") or "").split()),
            (min(goves), max(goves)) if goves else None,
            text(element, "tt:QualityRange/tt:Min", "1"),
            numbers(element, "tt:BitrateRange"),
            tuple((element.get("ProfilesSupported") or "").split()),
            constant=element.get("ConstantBitRateSupported") or "",
        )

    async def decoders(self, profile: str, token: str = "") -> list[str]:
        answer = await self.ask(self.options_request("AudioDecoder", profile, token))
        given = {text(each, "tt:Encoding") for each in findall(answer, "tr2:Options")}
        return [name for name in ("G711", "AAC") if self.best(name, given)]

    def video(self, present: Any, options: VideoOptions, wish: VideoWish) -> str:
        width, height = wish.choose(options)
        more = ""
        if options.goves is not None:
            more += f' GovLength="{wish.groups(options, present.get("GovLength") or "")}"'
        if options.profiles:
            more += f' Profile="{wish.profile(options, present.get("Profile") or "")}"'
        made = self.head(present, more)
        made += f"<tt:Encoding>{options.encoding}</tt:Encoding>"
        made += f"<tt:Resolution><tt:Width>{width}</tt:Width><tt:Height>{height}</tt:Height></tt:Resolution>"
        if find(present, "tt:RateControl") is not None:
            constant = f' ConstantBitRate="{options.constant}"' if options.constant else ""
            rate = wish.frames(options, text(present, "tt:RateControl/tt:FrameRateLimit"))
            made += f"<tt:RateControl{constant}><tt:FrameRateLimit>{rate}</tt:FrameRateLimit>"
            made += f"<tt:BitrateLimit>{bitrate(present, options)}</tt:BitrateLimit></tt:RateControl>"
        made += wish.group.element if wish.group is not None else rendered(present, "tt:Multicast")
        return f"{made}<tt:Quality>{options.quality}</tt:Quality></tr2:Configuration>"

    def audio(self, present: Any, options: AudioOptions, group: Group | None) -> str:
        made = self.head(present)
        made += f"<tt:Encoding>{options.encoding}</tt:Encoding>"
        made += group.element if group is not None else rendered(present, "tt:Multicast")
        made += f"<tt:Bitrate>{nearest(text(present, 'tt:Bitrate'), options.bitrates)}</tt:Bitrate>"
        made += f"<tt:SampleRate>{nearest(text(present, 'tt:SampleRate'), options.rates)}</tt:SampleRate>"
        return f"{made}</tr2:Configuration>"

    async def uri(self, profile: str, transport: str) -> str:
        inside = f"<tr2:Protocol>{_PROTOCOLS[transport]}</tr2:Protocol><tr2:ProfileToken>{profile}</tr2:ProfileToken>"
        return text(await self.ask(f"<tr2:GetStreamUri>{inside}</tr2:GetStreamUri>"), "tr2:Uri")


def service(x: Examination, prefix: str) -> MediaService:
    return Media1(x) if prefix == "trt" else Media2(x)
