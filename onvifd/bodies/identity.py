"""Who the recorder is: names of the settings, and a UUID that is drawn once."""

from __future__ import annotations

import uuid
from importlib.metadata import version

from onvifd.config import Config
from onvifd.onvif.backend import Identity
from onvifd.store.catalogue import Catalogue

UUID_SETTING = "device.uuid"


def identity_of(config: Config, catalogue: Catalogue) -> Identity:
    """The same at every start with this catalogue. Blocks."""
    device = config.device
    stable = catalogue.settings.put_default(UUID_SETTING, str(uuid.uuid4()))
    return Identity(
        uuid=stable,
        manufacturer=device.manufacturer,
        model=device.model,
        firmware_version=version("onvifd"),
        serial_number=stable.replace("-", "")[:12].upper(),
        hardware_id="onvifd",
        name=device.name,
        location=device.location,
    )
