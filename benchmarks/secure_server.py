"""One stream of 4 Mbit/s by every encrypted way: `python -m benchmarks.secure_server`.

Front door, web server's gate and RTSP server in one process, so that its CPU is all that a way costs. Prints the ports when ready.
"""

from __future__ import annotations

import asyncio
import datetime
import os
import signal
import ssl
import tempfile
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from benchmarks.camera import STAMP
from benchmarks.servers import PASSWORD, USER
from onvifd.access.digest import DigestVerifier, make_ha1
from onvifd.access.doorkeeper import Doorkeeper
from onvifd.access.types import Account, Credential, Level
from onvifd.bodies.gate import HttpGate
from onvifd.clock import SystemClock
from onvifd.live.hub import LiveStream, LiveTrack
from onvifd.live.mount import LiveMount
from onvifd.media.rtp.pack import Packer
from onvifd.media.types import AccessUnit, Codec, TrackFormat
from onvifd.rtsp.arrival import Arrival
from onvifd.rtsp.server import RtspServer
from onvifd.workers.frontdoor import FrontDoor
from onvifd.workers.process import run_loop

PATH = "/live/cam-0/main"
REALM = "benchmark"
FRAME = 20_000
INTERVAL = 0.04


def identity() -> bytes:
    """A key and its certificate (PEM)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "benchmark")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private + made.sign(key, hashes.SHA256()).public_bytes(pem)


def context() -> ssl.SSLContext:
    """With a certificate of its own."""
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(identity())
        file.flush()
        found.load_cert_chain(file.name)
    return found


async def feed(stream: LiveStream, packer: Packer) -> None:
    loop = asyncio.get_running_loop()
    head = (FRAME - 4).to_bytes(4, "big") + b"\x65" + STAMP
    rest = os.urandom(FRAME - len(head) - 16)
    begin = loop.time()
    for number in range(1 << 30):
        payload = head + b"%016x" % time.time_ns() + rest
        unit = AccessUnit(0, int((begin + number * INTERVAL) * 1e6), number * 3600, number % 25 == 0, payload)
        stream.publish(packer.pack(unit))
        await asyncio.sleep(max(0.0, begin + (number + 1) * INTERVAL - loop.time()))


async def serve() -> None:
    credential = Credential(Account(USER, Level.USER), make_ha1(USER, REALM, PASSWORD))
    verifier = DigestVerifier.for_rtsp(REALM, lambda name: credential if name == USER else None)
    format = TrackFormat(codec=Codec.H264, clock_rate=90000)
    stream = LiveStream("cam-0/main")
    stream.set_tracks((LiveTrack(format, 96, 0x1234),))
    mount = LiveMount(lambda path: stream if path == PATH else None, 60)
    server = RtspServer({"/live": mount}, verifier, SystemClock())

    async def route(_: str, arrival: Arrival) -> None:
        server.admit(arrival.duplicate())

    door = FrontDoor(route)
    keeper = Doorkeeper(total=4096, per_address=4096)
    gate = HttpGate(asyncio.Protocol, keeper, tunnels=door.tunnels.take)
    tls = context()
    ports = (
        door.listen("127.0.0.1", 0),
        door.listen("127.0.0.1", 0, tls),
        gate.listen("127.0.0.1", 0),
        gate.listen("127.0.0.1", 0, tls),
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    feeding = asyncio.create_task(feed(stream, Packer(format, track=0, payload_type=96, ssrc=0x1234, seq=1, mtu=1400)))
    print("ready", *ports, flush=True)
    await stop.wait()
    feeding.cancel()
    await gate.close()
    await door.close()
    await server.close()


if __name__ == "__main__":
    run_loop(serve())
