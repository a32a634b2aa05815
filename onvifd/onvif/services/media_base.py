"""What both media services rest on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

from onvifd.errors import Conflict, InvalidArgument, NotSupported, Prohibited
from onvifd.onvif.backend import DeviceBackend, MediaBackend, MediaControl, MediaProfile, VideoEncoder
from onvifd.onvif.services import media_metadata as metadata
from onvifd.onvif.services import media_write as write
from onvifd.onvif.services.media_configurations import media_name
from onvifd.onvif.services.media_fixed import FixedMedia
from onvifd.onvif.services.media_view import MediaView
from onvifd.onvif.soap.dispatch import Service
from onvifd.onvif.types import tt

GROUPS_QUERY = "?multicast"
"""Of stream addresses whose description is to tell groups (Streaming 5.2.2.5); see rtsp.requests.wants_multicast."""
SRTP_QUERY = "?srtp"
"""Of addresses whose description is to be one of SRTP, with our key; see rtsp.protection."""
GROUPS_FIELD = "&multicast"
"""The same as GROUPS_QUERY, behind SRTP_QUERY."""


class MediaBase(Service):
    """`control` is how it is changed; without it, it stays as it is. `multicast` is whether streams are sent by multicast, `secure`
    gives the port where RTSP comes in TLS with SRTP, `topics` are all that the device emits."""

    def __init__(
        self,
        backend: MediaBackend,
        device: DeviceBackend,
        control: MediaControl | None = None,
        *,
        multicast: bool = False,
        secure: Callable[[], int | None] = lambda: None,
        topics: Sequence[str] = (),
    ) -> None:
        self._backend = backend
        self._device = device
        self._control: MediaControl = FixedMedia(backend.media)
        if control is not None:
            self._control = control
        self._multicast = multicast
        self._secure = secure
        self._topics = tuple(topics)

    def _view(self) -> MediaView:
        return MediaView(self._backend.media())

    async def _set_video_source(self, wanted: tt.VideoSourceConfiguration, *, adapt: bool) -> None:
        """See media_write.video_source."""
        name = write.video_source(self._view().video_source(wanted.token), wanted, adapt=adapt)
        await self._control.set_source(wanted.token, name)

    async def _set_audio_source(self, wanted: tt.AudioSourceConfiguration) -> None:
        name = write.audio_source(self._view().audio_source(wanted.token).token, wanted)
        await self._control.set_source(wanted.token, name)

    async def _set_metadata(self, wanted: tt.MetadataConfiguration) -> None:
        known = self._view().metadata(wanted.token)
        await self._control.set_metadata(
            known.token,
            name=write.name(wanted.name),
            choice=metadata.choice(known, wanted, self._topics),
            multicast=write.multicast(wanted.multicast),
        )

    async def _instances(self, encoders: Sequence[VideoEncoder]) -> Counter[str]:
        """How many of these encoders can have each encoding, by its name in Media2 (Media2 5.3.5, Media 5.5.6).

        Each can have any of its own whatever the others have, so these may be more than the encoders together.
        """
        offered = await asyncio.gather(*(self._control.video_options((each,)) for each in encoders))
        counted: Counter[str] = Counter()
        for encoder, choices in zip(encoders, offered, strict=True):
            # In order, the present one first.
            counted.update(dict.fromkeys((media_name(encoder), *map(media_name, choices)), 1))
        return counted

    def _streaming(self, view: MediaView, token: str) -> MediaProfile:
        """A profile that has a stream. Raises NoProfile, IncompleteConfiguration."""
        profile = view.profile(token)
        if not view.streams(profile):
            raise Conflict(
                "The profile has no source with its encoder, and no metadata.", detail="IncompleteConfiguration"
            )
        return profile

    def _check_groups(self, view: MediaView, profile: MediaProfile) -> None:
        """Whether a profile can be sent by multicast. Raises InvalidStreamSetup, InvalidMulticastSettings, StreamConflict."""
        if not self._multicast:
            raise InvalidArgument("Nothing is sent by multicast.", detail="InvalidStreamSetup")
        groups = view.groups(profile)
        if not groups:
            raise InvalidArgument("No configuration has a multicast address.", detail="InvalidMulticastSettings")
        places = {(each.address, port) for each in groups for port in (each.port, each.port + 1)}
        if len(places) < 2 * len(groups):
            raise Prohibited("Two configurations share ports of one address.", detail="StreamConflict")

    async def _start(self, token: str, started: bool, *, complete: bool = True) -> None:
        view = self._view()
        profile = self._streaming(view, token) if complete else view.profile(token)
        if not self._multicast:
            raise NotSupported("Nothing is sent by multicast.")
        if started and not view.groups(profile):
            raise Conflict("No configuration has a multicast address.", detail="IncompleteConfiguration")
        await self._control.start_multicast(profile.token, started)
