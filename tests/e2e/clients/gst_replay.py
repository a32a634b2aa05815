"""GStreamer's `rtspsrc onvif-mode=true` as a replay client; needs the system's Python with gi.

Arguments: url user password mode start end output. `start` and `end` are microseconds UTC. Mode `seek` plays in real time
and stops after 10 pictures; mode `download` sends `Rate-Control: no` and runs to the end, `reverse` the same from the end to
the start, `keys` with key frames alone. Writes the decoded pictures as grey frames to `output` (all of them, made small, for
`reverse` and `keys`) and prints one JSON object with the times that the header extension gave them.
"""

import collections
import json
import sys
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

url, user, password, mode, start, end, output = sys.argv[1:8]
NTP_US = 2_208_988_800 * 1_000_000
SEEK, REVERSE, KEYS = "seek", "reverse", "keys"
SMALL = "videoscale ! video/x-raw,width=320,height=180 ! " if mode in (REVERSE, KEYS) else ""


def nanoseconds(utc):
    """In ONVIF mode rtspsrc counts in nanoseconds since 1900."""
    return (int(utc) + NTP_US) * 1000


Gst.init(None)
# Times come from the header extension. Other buffer modes wait for an arrival time, which GStreamer 1.22 does not give to
# the first packets over TCP: it would throw the first key frame away.
pipeline = Gst.parse_launch(
    f"rtspsrc name=src onvif-mode=true onvif-rate-control={'true' if mode == SEEK else 'false'} protocols=tcp buffer-mode=none "
    "rtponvifparse name=parse ! identity name=packets signal-handoffs=true ! rtph264depay ! identity name=units ! h264parse ! "
    "avdec_h264 ! videoconvert ! video/x-raw,format=GRAY8 ! "
    f"{SMALL}"
    "fakesink name=sink sync=false signal-handoffs=true"
)
source, sink = pipeline.get_by_name("src"), pipeline.get_by_name("sink")
source.set_property("location", url)
source.set_property("user-id", user)
source.set_property("user-pw", password)
count = 0
times = []
size = [0, 0]
began = 0.0


def wants_video(_, number, caps):
    return caps.get_structure(0).get_string("media") == "video"


def link(_, pad):
    target = pipeline.get_by_name("parse").get_static_pad("sink")
    if not target.is_linked():
        pad.link(target)


def picture(_, buffer, pad):
    global count
    structure = pad.get_current_caps().get_structure(0)
    size[:] = [structure.get_value("width"), structure.get_value("height")]
    ok, data = buffer.map(Gst.MapFlags.READ)
    times.append(buffer.pts // 1000 - NTP_US)
    if ok and (count < 10 or mode != "download"):
        frames.write(data.data)
        frames.flush()
    buffer.unmap(data)
    count += 1
    if mode == SEEK and count >= 10:
        pipeline.get_bus().post(Gst.Message.new_eos(sink))


stamps = collections.deque()


def packet(_, buffer):
    """The first packet of each unit has the time of its header extension."""
    if buffer.extract_dup(0, 1)[0] & 0x10:
        stamps.append(buffer.pts)


def unit(_, buffer):
    """GStreamer 1.22 takes the time of a unit from a packet without the extension: it guesses, and backward the decoder then
    clips pictures that belong to the range."""
    buffer.pts = stamps.popleft()


pipeline.get_by_name("packets").connect("handoff", packet)
pipeline.get_by_name("units").connect("handoff", unit)
source.connect("select-stream", wants_video)
source.connect("pad-added", link)
sink.connect("handoff", picture)
bus = pipeline.get_bus()


def wait(kinds, seconds):
    message = bus.timed_pop_filtered(int(seconds * Gst.SECOND), kinds | Gst.MessageType.ERROR)
    if message is None:
        raise SystemExit(f"nothing happened in {seconds} s, {count} pictures")
    if message.type == Gst.MessageType.ERROR:
        raise SystemExit(str(message.parse_error()))
    return message


with open(output, "wb") as frames:
    # With READY, the seek becomes the Range of the first PLAY.
    pipeline.set_state(Gst.State.READY)
    flags = Gst.SeekFlags.FLUSH
    if mode == KEYS:
        flags |= Gst.SeekFlags.TRICKMODE | Gst.SeekFlags.TRICKMODE_KEY_UNITS
    event = Gst.Event.new_seek(
        -1.0 if mode == REVERSE else 1.0,
        Gst.Format.TIME,
        flags,
        Gst.SeekType.SET,
        nanoseconds(start),
        Gst.SeekType.SET if mode != SEEK else Gst.SeekType.NONE,
        nanoseconds(end),
    )
    source.send_event(event)
    began = time.monotonic()
    pipeline.set_state(Gst.State.PLAYING)
    try:
        wait(Gst.MessageType.EOS, 40)
    finally:
        took = time.monotonic() - began
        pipeline.set_state(Gst.State.NULL)
print(json.dumps({"pictures": count, "width": size[0], "height": size[1], "seconds": took, "times": times}))
