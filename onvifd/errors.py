"""The one error tree.

    OnvifdError
    ├── BadInput                  what the caller sent cannot be used
    │   ├── InvalidArgument       S/InvalidArgVal[/detail] · 400 · 400
    │   ├── NotFound              S/InvalidArgVal/<detail> · 404 · 404
    │   ├── NotAuthorized         S/NotAuthorized · 401 · 401 (credentials missing or wrong)
    │   ├── Forbidden             S/NotAuthorized · 403 · 403 (authenticated, level too low)
    │   └── Prohibited            S/OperationProhibited[/detail] · 403 · 409
    ├── NotSupported              R/ActionNotSupported[/detail] · 551 · 501
    ├── Conflict                  R/Action[/detail] · 455 · 409
    ├── LimitReached              R/Action/<detail> · 453 · 429
    └── Unavailable               R/Action[/detail] · 503 · 503 (camera, disk, database, worker)
        └── Timeout               R/Action · 503 · 504

Each class knows its SOAP fault (Core 5.8.2), RTSP status (RFC 2326 section 7.1.1) and HTTP status (RFC 9457 problem).
Foreign exceptions are mapped to a leaf once, at the edge where they arise.
"""

from __future__ import annotations

from typing import ClassVar


class OnvifdError(Exception):
    """Root of all errors that a face may show to a caller.

    `detail` is the second `ter:` subcode (for example "NoProfile"); `reason` is English text for a person, free of secrets.
    """

    soap_code: ClassVar[str] = "Receiver"
    soap_subcode: ClassVar[str] = "Action"
    rtsp_status: ClassVar[int] = 500
    http_status: ClassVar[int] = 500

    def __init__(self, reason: str, *, detail: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class BadInput(OnvifdError):
    """The caller sent something that cannot be used."""

    soap_code = "Sender"
    soap_subcode = "InvalidArgs"
    rtsp_status = 400
    http_status = 400


class InvalidArgument(BadInput):
    """A value is outside what is allowed."""

    soap_subcode = "InvalidArgVal"


class NotFound(InvalidArgument):
    """A token or path names nothing."""

    rtsp_status = 404
    http_status = 404


class NotAuthorized(BadInput):
    """Credentials are missing or wrong."""

    soap_subcode = "NotAuthorized"
    rtsp_status = 401
    http_status = 401


class Forbidden(BadInput):
    """The account is known but its level does not allow the operation."""

    soap_subcode = "NotAuthorized"
    rtsp_status = 403
    http_status = 403


class Prohibited(BadInput):
    """The operation is never allowed on this object."""

    soap_subcode = "OperationProhibited"
    rtsp_status = 403
    http_status = 409


class NotSupported(OnvifdError):
    """The device does not have this function."""

    soap_subcode = "ActionNotSupported"
    rtsp_status = 551
    http_status = 501


class Conflict(OnvifdError):
    """The request contradicts the present state."""

    rtsp_status = 455
    http_status = 409


class LimitReached(OnvifdError):
    """A stated bound would be exceeded."""

    rtsp_status = 453
    http_status = 429


class Unavailable(OnvifdError):
    """A party that is needed (camera, disk, database, worker) does not answer."""

    rtsp_status = 503
    http_status = 503


class Timeout(Unavailable):
    """A party did not answer in time."""

    http_status = 504
