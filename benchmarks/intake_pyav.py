"""The peer of our intake: libavformat through PyAV, one thread per camera. `python -m benchmarks.intake_pyav PORT CAMERAS`."""

from __future__ import annotations

import sys
import threading

import av


def pull(url: str, started: threading.Barrier) -> None:
    with av.open(url, options={"rtsp_transport": "tcp"}, timeout=20) as source:
        packets = source.demux(video=0)
        next(packets)
        started.wait(60)
        for _ in packets:
            pass


def main() -> None:
    port, cameras = int(sys.argv[1]), int(sys.argv[2])
    started = threading.Barrier(cameras + 1)
    for number in range(cameras):
        url = f"rtsp://127.0.0.1:{port}/cam{number}"
        threading.Thread(target=pull, args=(url, started), daemon=True).start()
    started.wait(60)
    print("ready", flush=True)
    threading.Event().wait(600)


if __name__ == "__main__":
    main()
