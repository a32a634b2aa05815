"""gst-rtsp-server as peer: run with the system's Python (`/usr/bin/python3`), which has gi.

`gst_server.py PORT relay CAMERA_PORT CAMERAS [PEM]` relays cameras as `/cam0`, ..., in TLS with the key and certificate of a file
where it is named; `gst_server.py PORT file PATH` serves an MP4 file.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtspServer  # noqa: E402

LIFE = 600
"""Seconds after which it ends by itself, should its parent die."""

ANYBODY = "anybody"
"""Role of who has no account."""

PAY = "rtph264pay name=pay0 pt=96 config-interval=-1 mtu=1428"

Gst.init(None)
port, kind, *rest = sys.argv[1:]
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(port)
server.set_backlog(1024)
# Some distributions allow few sessions by default.
server.get_session_pool().set_max_sessions(0)


def mount(path, launch, shared):
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(launch)
    factory.set_shared(shared)
    if shared:
        factory.set_latency(0)
    permissions = GstRtspServer.RTSPPermissions.new()
    for right in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role(ANYBODY, right, True)
    factory.set_permissions(permissions)
    server.get_mount_points().add_factory(path, factory)


if kind == "relay":
    for number in range(int(rest[1])):
        source = f"rtspsrc location=rtsp://127.0.0.1:{rest[0]}/cam{number} protocols=tcp latency=0"
        mount(f"/cam{number}", f"( {source} ! rtph264depay ! {PAY} )", True)
    if rest[2:]:
        auth = GstRtspServer.RTSPAuth()
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(rest[2]))
        token = GstRtspServer.RTSPToken.new()
        token.set_string("media.factory.role", ANYBODY)
        auth.set_default_token(token)
        server.set_auth(auth)
else:
    mount("/cam0", f"( filesrc location={rest[0]} ! qtdemux ! h264parse ! {PAY} )", False)
server.attach(None)
print("ready", flush=True)
loop = GLib.MainLoop()
GLib.timeout_add_seconds(LIFE, loop.quit)
loop.run()
