"""Talks to a camera as GStreamer's rtspsrc does in ONVIF mode, and looks at it meanwhile. Runs on the system's Python.

gst_talk.py URL USER PASSWORD PROTOCOL FILE: sends the G.711 mu-law of FILE, 160 bytes a packet; tells what it saw as JSON.
"""

import json
import struct
import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

LIMIT = 30
url, user, password, protocol, file = sys.argv[1:]
Gst.init(None)
loop = GLib.MainLoop()
pipeline = Gst.Pipeline.new("talk")
source = Gst.ElementFactory.make("rtspsrc", None)
source.set_property("location", url)
source.set_property("user-id", user)
source.set_property("user-pw", password)
source.set_property("protocols", protocol)
source.set_property("backchannel", "onvif")
source.set_property("tls-validation-flags", 0)
pipeline.add(source)
found = {"back": -1, "seen": 0, "media": [], "error": ""}


def select(_, number, caps):
    structure = caps.get_structure(0)
    found["media"].append(structure.get_string("media"))
    if structure.has_field("a-sendonly"):
        found["back"] = number
    return True


def added(_, pad):
    sink = Gst.ElementFactory.make("fakesink", None)
    sink.set_property("signal-handoffs", True)
    sink.set_property("sync", False)
    sink.connect("handoff", seen)
    pipeline.add(sink)
    sink.sync_state_with_parent()
    pad.link(sink.get_static_pad("sink"))


def seen(*_):
    found["seen"] += 1


def message(_, each):
    if each.type == Gst.MessageType.ERROR:
        found["error"] = str(each.parse_error())
        loop.quit()
    elif each.type == Gst.MessageType.PROGRESS and "Sent PLAY" in str(each.parse_progress()):
        threading.Thread(target=speak, daemon=True).start()


def speak():
    with open(file, "rb") as stream:
        speech = stream.read()
    caps = Gst.Caps.from_string("application/x-rtp,media=audio,payload=0,clock-rate=8000,encoding-name=PCMU")
    for number, at in enumerate(range(0, len(speech), 160)):
        header = struct.pack(">BBHII", 0x80, 0, number, number * 160, 0x67737421)
        buffer = Gst.Buffer.new_wrapped(header + speech[at : at + 160])
        source.emit("push-backchannel-sample", found["back"], Gst.Sample.new(buffer, caps, None, None))
        time.sleep(0.01)
    time.sleep(0.5)
    loop.quit()


source.connect("select-stream", select)
source.connect("pad-added", added)
bus = pipeline.get_bus()
bus.add_signal_watch()
bus.connect("message", message)
GLib.timeout_add_seconds(LIMIT, loop.quit)
pipeline.set_state(Gst.State.PLAYING)
loop.run()
pipeline.set_state(Gst.State.NULL)
print(json.dumps(found))
