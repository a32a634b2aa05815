"""Tasks whose end is nobody's answer: a fault in them must not pass unseen."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

log = logging.getLogger(__name__)


def tell_fault(task: asyncio.Task[Any]) -> None:
    """For `add_done_callback`: log what ended a task other than its cancellation."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("%s ended by a fault", task.get_name(), exc_info=error)
