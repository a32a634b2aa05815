"""The media profiles of a media worker as its RTSP server serves them: paths to what they are composed of."""

from __future__ import annotations

from collections.abc import Callable

from onvifd.live.hub import LiveStream
from onvifd.live.parts import Composition
from onvifd.live.talk import TalkLine
from onvifd.media.types import Kind
from onvifd.rtsp.play import Multicast
from onvifd.workers.messages import Presentations
from onvifd.workers.specs import PresentationSpec


class PresentationTable:
    """Answers for the paths below `/live`.

    `stream` gives a stream of a camera by name. A path that no profile has names the stream of that name with all its tracks:
    so it is for cameras whose profiles are still to come, and for workers that are told of none. `metadata` gives the metadata
    stream of a profile that has one, `talk` the way for sound to a camera.
    """

    def __init__(
        self,
        stream: Callable[[str, str], LiveStream | None],
        metadata: Callable[[PresentationSpec], LiveStream | None] = lambda spec: None,
        talk: Callable[[str], TalkLine | None] = lambda camera: None,
    ) -> None:
        self._stream = stream
        self._metadata = metadata
        self._talk = talk
        self._specs: dict[str, PresentationSpec] = {}

    @property
    def specs(self) -> tuple[PresentationSpec, ...]:
        return tuple(self._specs.values())

    def replace(self, message: Presentations) -> None:
        """Take over all profiles; those not named are gone."""
        self._specs = {_key(spec.path): spec for spec in message.presentations}

    def names(self, path: str) -> bool:
        """Whether a path is that of a profile or stream, which need not deliver now."""
        return _key(path) in self._specs or self.lookup(path) is not None

    def lookup(self, path: str) -> LiveStream | Composition | None:
        """What a path names (see live.mount.LiveMount)."""
        spec = self._specs.get(_key(path))
        if spec is not None:
            return self.compose(spec)
        parts = _key(path).split("/")
        return self._stream(parts[1], parts[2]) if len(parts) == 3 and parts[0] == "live" else None

    def compose(self, spec: PresentationSpec) -> Composition | None:
        """What a profile is composed of; None while its camera is not here."""
        composition = Composition(
            name=f"{spec.camera}/{_key(spec.path).rpartition('/')[2]}",
            profile=spec.profile,
            video=self._stream(spec.camera, spec.video) if spec.video else None,
            audio=self._stream(spec.camera, spec.audio) if spec.audio else None,
            metadata=self._metadata(spec) if spec.metadata is not None else None,
            talk=self._talk(spec.camera) if spec.talk else None,
            multicast={Kind(each.kind): Multicast(each.address, each.port, each.ttl) for each in spec.multicast},
        )
        complete = (not spec.video or composition.video) and composition.sources
        return composition if complete else None

    def synchronise(self, path: str) -> bool:
        """Ask for a synchronisation point of all that a path carries; false if there is no such path."""
        found = self.lookup(path)
        if found is None:
            return False
        streams = [found] if isinstance(found, LiveStream) else _with_points(found)
        for stream in dict.fromkeys(streams):
            stream.want_keyframe()
        return True


def _with_points(found: Composition) -> list[LiveStream]:
    """Sound can be joined at any time: of a stream of which that alone is wanted nothing is asked."""
    return [stream for kind, stream in found.sources if kind is not Kind.AUDIO]


def _key(path: str) -> str:
    return path.strip("/")
