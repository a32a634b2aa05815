"""The status page at `/` and its data at `/api/status`: cameras, streams, recordings and the addresses for a VMS.

A console account sees its own cameras (`web.guard`). Errors of the API are problem+json (RFC 9457).
"""

from __future__ import annotations

import html
import secrets
from dataclasses import asdict, dataclass, replace
from typing import Protocol
from urllib.parse import quote

from aiohttp import web

from onvifd.access.permissions import ConsoleAccount, Right, may
from onvifd.clock import isoformat
from onvifd.web.certificate import DER_PATH, PEM_PATH
from onvifd.web.guard import Guard, Visitor


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStatus:
    """One stream now. `bitrate` is bit/s, `framerate` frames per second over the last report."""

    name: str
    online: bool
    reason: str
    codec: str
    width: int
    height: int
    framerate: float
    bitrate: int
    clients: int
    lost_packets: int
    reconnects: int
    url: str
    profile: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraStatus:
    id: str
    channel: int
    name: str
    motion: bool
    streams: tuple[StreamStatus, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStatus:
    """One recording now. Times are microseconds UTC, None when it holds nothing. `mode` is auto, manual, off or job; `types` are
    the record types that apply, what counts most first; `will_reach` is days, None for ever or unknown."""

    token: str
    camera: str
    active: bool
    reason: str
    earliest: int | None
    latest: int | None
    bytes: int
    url: str
    mode: str = ""
    types: tuple[str, ...] = ()
    days: float = 0.0
    will_reach: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeLine:
    """One volume now. Bytes of footage, and of its file system."""

    id: str
    name: str
    state: str
    reason: str
    access: str
    group: int
    bytes: int
    free: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    name: str
    running: bool
    pid: int
    restarts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Everything the page shows."""

    name: str
    version: str
    utc: int
    device_url: str
    rtsp_url: str
    free_bytes: int
    cameras: tuple[CameraStatus, ...]
    recordings: tuple[RecordingStatus, ...]
    workers: tuple[WorkerStatus, ...]
    volumes: tuple[VolumeLine, ...] = ()
    forecast: tuple[str, ...] = ()
    """How far the archive will reach, for people: one for each group of volumes."""


class StatusSource(Protocol):
    async def status(self, scheme: str, host: str) -> Status:
        """The present status, with addresses as the client at `host` (host:port) reaches them."""
        ...


def shown(status: Status, account: ConsoleAccount) -> Status:
    """What an account may see of a status: its cameras, their recordings, and with the rights to
    them the processes and the volumes."""
    storage = may(account, Right.STORAGE)
    return replace(
        status,
        cameras=tuple(one for one in status.cameras if may(account, Right.LIVE, one.id)),
        recordings=tuple(one for one in status.recordings if may(account, Right.PLAYBACK, one.camera)),
        workers=status.workers if may(account, Right.MAINTENANCE) else (),
        volumes=status.volumes if storage else (),
        forecast=status.forecast if storage else (),
    )


def add_routes(app: web.Application, source: StatusSource, guard: Guard) -> None:
    """Mount the page and its data."""

    async def page(request: web.Request, visitor: Visitor) -> web.StreamResponse:
        nonce = secrets.token_urlsafe(12)
        status = shown(await source.status(request.scheme, request.host), visitor.account)
        return web.Response(
            text=render(status, nonce, visitor),
            content_type="text/html",
            headers={
                "Content-Security-Policy": f"default-src 'none'; img-src 'self'; style-src 'nonce-{nonce}'; "
                f"script-src 'nonce-{nonce}'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
                "base-uri 'none'",
                "X-Content-Type-Options": "nosniff",
                "Referrer-Policy": "same-origin",
                "Cache-Control": "no-store",
            },
        )

    async def data(request: web.Request, visitor: Visitor) -> web.StreamResponse:
        return web.json_response(asdict(shown(await source.status(request.scheme, request.host), visitor.account)))

    app.router.add_get("/", guard.page(page))
    app.router.add_get("/api/status", guard.reads(data))


_STYLE = """
:root{color-scheme:light dark;--line:#8884;--ok:#1a8a3a;--bad:#c62828;--dim:#777}
body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;max-width:72rem;padding:1.2rem}
h1{font-size:1.4rem;margin:0}h2{font-size:1.05rem;margin:1.6rem 0 .5rem}
.sub{color:var(--dim);margin:.1rem 0 1rem}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));gap:1rem}
.card{border:1px solid var(--line);border-radius:.5rem;overflow:hidden}
.card img{width:100%;aspect-ratio:16/9;object-fit:contain;background:#000;display:block}
.card div{padding:.6rem .8rem}.card h3{margin:0 0 .3rem;font-size:1rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);white-space:nowrap}
th{font-weight:600;color:var(--dim)}code{font-size:.9em}
.who{float:right;display:flex;gap:.6rem;align-items:center}
.ok{color:var(--ok)}.bad{color:var(--bad)}.dim{color:var(--dim)}
"""

_SCRIPT = """
let busy = true;
['pointermove', 'keydown'].forEach(e => addEventListener(e, () => { busy = true; }, {passive: true}));
setInterval(async () => {
  const headers = {'X-Console': '1'};
  if (!busy) headers['X-Idle'] = '1';
  busy = false;
  const r = await fetch(location.href, {cache: 'no-store', headers});
  if (r.status === 401) location.assign('/login');
  if (!r.ok) return;
  const d = new DOMParser().parseFromString(await r.text(), 'text/html');
  document.querySelector('#tables').replaceWith(d.querySelector('#tables'));
}, 5000);
setInterval(() => document.querySelectorAll('img[data-src]').forEach(i => { i.src = i.dataset.src + '?' + Date.now(); }), 5000);
"""


def _state(good: bool, yes: str, no: str) -> str:
    return f'<span class="{"ok" if good else "bad"}">{html.escape(yes if good else no)}</span>'


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} TB"


def _time(utc: int | None) -> str:
    return '<span class="dim">none</span>' if utc is None else isoformat(utc - utc % 1_000_000).replace("T", " ")


def _card(camera: CameraStatus) -> str:
    main = camera.streams[0] if camera.streams else None
    picture = ""
    if main is not None and main.online:
        source = f"/console/snapshot/{quote(main.profile)}"
        picture = f'<img src="{source}" data-src="{source}" alt="Latest key frame of {html.escape(camera.name)}">'
    motion = ' <span class="bad">motion</span>' if camera.motion else ""
    state = _state(any(s.online for s in camera.streams), "online", "offline")
    return (
        f'<div class="card">{picture}<div><h3>{camera.channel} · {html.escape(camera.name)}</h3>{state}{motion} '
        f'<span class="dim">{html.escape(camera.id)}</span></div></div>'
    )


def _stream_row(camera: CameraStatus, stream: StreamStatus) -> str:
    size = f"{stream.width}×{stream.height}" if stream.width else "–"
    return (
        f"<tr><td>{camera.channel}<td>{html.escape(stream.name)}<td>"
        f"{_state(stream.online, 'online', stream.reason or 'offline')}<td>{html.escape(stream.codec or '–')}<td>{size}"
        f"<td>{stream.framerate:.1f}<td>{stream.bitrate / 1e6:.2f} Mbit/s<td>{stream.clients}<td>{stream.lost_packets}"
        f"<td>{stream.reconnects}<td><code>{html.escape(stream.url)}</code></tr>"
    )


def _recording_row(recording: RecordingStatus) -> str:
    reach = "–" if recording.will_reach is None else f"{recording.will_reach:.1f} days"
    return (
        f"<tr><td>{html.escape(recording.token)}<td>"
        f"{_state(recording.active, 'recording', recording.reason or 'stopped')}<td>{html.escape(recording.mode or '–')}"
        f"<td>{html.escape(', '.join(recording.types) or '–')}<td>{_time(recording.earliest)}"
        f"<td>{_time(recording.latest)}<td>{recording.days:.1f} days<td>{reach}<td>{_bytes(recording.bytes)}"
        f"<td><code>{html.escape(recording.url)}</code></tr>"
    )


def _volume_row(volume: VolumeLine) -> str:
    state = volume.state + (f": {volume.reason}" if volume.reason else "")
    return (
        f"<tr><td>{html.escape(volume.id)}<td>{html.escape(volume.name or '–')}"
        f"<td>{_state(volume.state == 'ok', 'ok', state)}<td>{html.escape(volume.access)}<td>{volume.group}"
        f"<td>{_bytes(volume.bytes)}<td>{_bytes(volume.free)} of {_bytes(volume.total)}</tr>"
    )


def _storage(status: Status) -> str:
    """Volumes and forecast, for who may see them."""
    if not status.volumes:
        return ""
    rows = "".join(_volume_row(volume) for volume in status.volumes)
    said = "".join(f'<p class="sub">{html.escape(each)}</p>' for each in status.forecast)
    return (
        '<h2>Storage</h2><div class="scroll"><table><tr><th>Volume<th>Name<th>State<th>Property<th>Group<th>Footage'
        f"<th>Free</tr>{rows}</table></div>{said}\n"
    )


def _worker_row(worker: WorkerStatus) -> str:
    return (
        f"<tr><td>{html.escape(worker.name)}<td>{_state(worker.running, 'running', 'stopped')}"
        f"<td>{worker.pid or '–'}<td>{worker.restarts}</tr>"
    )


def _who(visitor: Visitor | None) -> str:
    """Who is signed in, and the way out."""
    if visitor is None or visitor.session is None:
        return ""
    token = html.escape(visitor.session.token, quote=True)
    return (
        f'<form class="who" method="post" action="/logout"><span>{html.escape(visitor.account.name)}</span>'
        f'<input type="hidden" name="token" value="{token}"><button>Sign out</button></form>'
    )


def render(status: Status, nonce: str, visitor: Visitor | None = None) -> str:
    """The whole page as HTML. Every value is escaped."""
    cards = "".join(_card(camera) for camera in status.cameras)
    streams = "".join(_stream_row(camera, stream) for camera in status.cameras for stream in camera.streams)
    recordings = "".join(_recording_row(recording) for recording in status.recordings)
    workers = "".join(_worker_row(worker) for worker in status.workers)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{html.escape(status.name)}</title><style nonce="{nonce}">{_STYLE}</style></head><body>
{_who(visitor)}<h1>{html.escape(status.name)}</h1><p class="sub">onvifd {html.escape(status.version)}</p>
<div class="cards">{cards or '<p class="dim">No cameras yet: <code>onvifd camera add</code></p>'}</div>
<div id="tables">
<h2>For the VMS</h2><div class="scroll"><table>
<tr><th>ONVIF device service<td><code>{html.escape(status.device_url)}</code></tr>
<tr><th>RTSP<td><code>{html.escape(status.rtsp_url)}</code></tr>
<tr><th>Certificate to trust<td><a href="{PEM_PATH}">PEM</a> · <a href="{DER_PATH}">DER</a></tr>
<tr><th>Time (UTC)<td>{_time(status.utc)}</tr><tr><th>Free space<td>{_bytes(status.free_bytes)}</tr></table></div>
<h2>Streams</h2><div class="scroll"><table><tr><th>Ch<th>Stream<th>State<th>Codec<th>Size<th>fps<th>Rate<th>Clients<th>Lost
<th>Reconnects<th>Address</tr>{streams}</table></div>
<h2>Recordings</h2><div class="scroll"><table><tr><th>Recording<th>State<th>Mode
<th>Types<th>From<th>To<th>Reaches back<th>Will reach<th>Size<th>Replay address</tr>
{recordings}</table></div>
{_storage(status)}<h2>Processes</h2><div class="scroll"><table><tr><th>Worker<th>State<th>Process<th>Restarts</tr>{workers}</table></div>
</div><script nonce="{nonce}">{_SCRIPT}</script></body></html>
"""
