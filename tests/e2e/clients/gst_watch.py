"""GStreamer watches a live stream for some seconds; needs the system's Python with gi.

Arguments: url user password seconds. Prints one JSON object: pictures decoded, packets and pictures that do not follow the one before,
and what jitter buffers, decoder and bus complained about.
"""

import json
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

url, user, password, seconds = sys.argv[1:5]
Gst.init(None)
pipeline = Gst.parse_launch(
    "rtspsrc name=src protocols=tcp latency=500 ! application/x-rtp,media=video ! "
    "identity name=packets signal-handoffs=true ! rtph264depay ! h264parse ! "
    "avdec_h264 name=decoder ! fakesink name=sink sync=false signal-handoffs=true"
)
source = pipeline.get_by_name("src")
for name, value in (("location", url), ("user-id", user), ("user-pw", password)):
    source.set_property(name, value)
told = {"packets": 0, "pictures": 0, "gaps": 0, "holes": 0, "lost": 0, "damaged": 0, "complaints": []}
buffers = []
last = None


def packet(_, buffer):
    """Sequence numbers follow one another, time stamps stay or go on by one picture."""
    global last
    head = buffer.extract_dup(0, 8)
    sequence, time = int.from_bytes(head[2:4], "big"), int.from_bytes(head[4:8], "big")
    if last is not None:
        told["gaps"] += sequence != (last[0] + 1) & 0xFFFF
        told["holes"] += (time - last[1]) & 0xFFFFFFFF not in (0, 3600)
    last = sequence, time
    told["packets"] += 1


def picture(_, buffer, pad):
    told["pictures"] += 1
    told["damaged"] += bool(buffer.get_flags() & Gst.BufferFlags.CORRUPTED)


def heard(_, message):
    if message.type in (Gst.MessageType.ERROR, Gst.MessageType.WARNING):
        told["complaints"].append(message.get_structure().to_string()[:300])
    if message.type in (Gst.MessageType.ERROR, Gst.MessageType.EOS):
        loop.quit()


def added(_, manager):
    manager.connect("new-jitterbuffer", lambda _, buffer, session, ssrc: buffers.append(buffer))


source.connect("new-manager", added)
pipeline.get_by_name("packets").connect("handoff", packet)
pipeline.get_by_name("sink").connect("handoff", picture)
bus = pipeline.get_bus()
bus.add_signal_watch()
bus.connect("message", heard)
loop = GLib.MainLoop()
GLib.timeout_add(int(float(seconds) * 1000), loop.quit)
pipeline.set_state(Gst.State.PLAYING)
loop.run()
told["lost"] = sum(each.get_property("stats").get_value("num-lost") for each in buffers)
told["buffers"] = len(buffers)
pipeline.set_state(Gst.State.NULL)
print(json.dumps(told))
