"""The few SOAP calls that tests make themselves, without any ONVIF library."""

from __future__ import annotations

import base64
import hashlib
import http.client
import secrets
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from lxml import etree

NS = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "tt": "http://www.onvif.org/ver10/schema",
    "tds": "http://www.onvif.org/ver10/device/wsdl",
    "trt": "http://www.onvif.org/ver10/media/wsdl",
    "tr2": "http://www.onvif.org/ver20/media/wsdl",
    "trc": "http://www.onvif.org/ver10/recording/wsdl",
    "tse": "http://www.onvif.org/ver10/search/wsdl",
    "trp": "http://www.onvif.org/ver10/replay/wsdl",
    "trv": "http://www.onvif.org/ver10/receiver/wsdl",
    "tev": "http://www.onvif.org/ver10/events/wsdl",
    "wsnt": "http://docs.oasis-open.org/wsn/b-2",
}
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
DIGEST = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest"


def utc(text: str) -> int:
    """xs:dateTime to microseconds UTC."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def post(url: str, body: bytes, timeout: float = 20.0) -> tuple[int, bytes]:
    """POST as SOAP 1.2 and return status and body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout)
    try:
        connection.request("POST", parts.path, body, {"Content-Type": "application/soap+xml; charset=utf-8"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@dataclass(slots=True)
class Device:
    """An ONVIF device seen by a client that knows its address and an account."""

    address: str
    user: str
    password: str = field(repr=False)
    services: dict[str, str] = field(default_factory=dict)

    def envelope(self, request: str) -> bytes:
        nonce, created = secrets.token_bytes(16), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        digest = hashlib.sha1(nonce + created.encode() + self.password.encode(), usedforsecurity=False).digest()
        prefixes = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NS.items())
        return f"""<?xml version="1.0" encoding="utf-8"?>
<s:Envelope {prefixes}><s:Header><o:Security xmlns:o="{WSSE}" xmlns:u="{WSU}"><o:UsernameToken>
<o:Username>{self.user}</o:Username><o:Password Type="{DIGEST}">{base64.b64encode(digest).decode()}</o:Password>
<o:Nonce>{base64.b64encode(nonce).decode()}</o:Nonce><u:Created>{created}</u:Created>
</o:UsernameToken></o:Security></s:Header><s:Body>{request}</s:Body></s:Envelope>""".encode()

    def call(self, request: str) -> etree._Element:
        """Send a request element (its prefix names the service) and return the response element."""
        prefix = request[1 : request.index(":")]
        status, reply = post(self._url(prefix), self.envelope(request))
        body = etree.fromstring(reply).find("s:Body", NS)
        assert status == 200, reply.decode(errors="replace")
        assert body is not None
        return body[0]

    def _url(self, prefix: str) -> str:
        if prefix == "tds":
            return self.address
        if not self.services:
            reply = self.call("<tds:GetServices><tds:IncludeCapability>false</tds:IncludeCapability></tds:GetServices>")
            for each in reply.iterfind("tds:Service", NS):
                self.services[each.findtext("tds:Namespace", "", NS)] = each.findtext("tds:XAddr", "", NS)
        return self.services[NS[prefix]]

    def text(self, request: str, path: str) -> str:
        found = self.call(request).findtext(path, None, NS)
        assert found is not None, f"{path} is not in the answer to {request}"
        return found

    # ---- questions that many tests ask -----------------------------------------------------------

    def profiles(self) -> list[str]:
        """Profile tokens in channel order."""
        return [str(each.get("token")) for each in self.call("<trt:GetProfiles/>").iterfind("trt:Profiles", NS)]

    def profile_sizes(self) -> dict[str, tuple[int, int]]:
        """Picture size of each profile with H.264 or H.265 video."""
        sizes = {}
        for each in self.call("<tr2:GetProfiles><tr2:Type>All</tr2:Type></tr2:GetProfiles>").iterfind(
            "tr2:Profiles", NS
        ):
            encoder = each.find("tr2:Configurations/tr2:VideoEncoder", NS)
            if encoder is not None and encoder.findtext("tt:Encoding", "", NS) in ("H264", "H265"):
                width = int(encoder.findtext("tt:Resolution/tt:Width", "0", NS))
                sizes[str(each.get("token"))] = (width, int(encoder.findtext("tt:Resolution/tt:Height", "0", NS)))
        return sizes

    def stream_uri(self, profile: str, protocol: str = "RTSP") -> str:
        request = f"<tr2:GetStreamUri><tr2:Protocol>{protocol}</tr2:Protocol><tr2:ProfileToken>{profile}</tr2:ProfileToken></tr2:GetStreamUri>"
        return self.text(request, "tr2:Uri")

    def snapshot_uri(self, profile: str) -> str:
        request = f"<trt:GetSnapshotUri><trt:ProfileToken>{profile}</trt:ProfileToken></trt:GetSnapshotUri>"
        return self.text(request, "trt:MediaUri/tt:Uri")

    def recordings(self) -> list[str]:
        items = self.call("<trc:GetRecordings/>").iterfind("trc:RecordingItem", NS)
        return [each.findtext("tt:RecordingToken", "", NS) for each in items]

    def span(self, recording: str) -> tuple[int, int] | None:
        """Times of the first and last data of a recording, microseconds UTC."""
        reply = self.call(
            f"<tse:GetRecordingInformation><tse:RecordingToken>{recording}</tse:RecordingToken></tse:GetRecordingInformation>"
        )
        tracks = reply.findall("tse:RecordingInformation/tt:Track", NS)
        video = [each for each in tracks if each.findtext("tt:TrackType", "", NS) == "Video"]
        if not video:
            return None
        return utc(video[0].findtext("tt:DataFrom", "", NS)), utc(video[0].findtext("tt:DataTo", "", NS))

    def replay_uri(self, recording: str) -> str:
        return self.text(
            "<trp:GetReplayUri><trp:StreamSetup><tt:Stream>RTP-Unicast</tt:Stream><tt:Transport><tt:Protocol>RTSP"
            f"</tt:Protocol></tt:Transport></trp:StreamSetup><trp:RecordingToken>{recording}</trp:RecordingToken></trp:GetReplayUri>",
            "trp:Uri",
        )

    def download(self, url: str) -> tuple[str, bytes]:
        """GET with HTTP Digest. Returns content type and body."""
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        passwords.add_password(None, url, self.user, self.password)
        opener = urllib.request.build_opener(urllib.request.HTTPDigestAuthHandler(passwords))
        with opener.open(url, timeout=20) as response:
            return response.headers.get_content_type(), response.read()
