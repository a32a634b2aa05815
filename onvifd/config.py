"""Every setting of the recorder: type, unit, range, default and meaning.

A setting is known by its dotted key, for example `network.http_port`. Its value comes, in rising precedence, from the
default below, the TOML file (`[network]` / `http_port = 8080`), the environment (`ONVIFD_NETWORK_HTTP_PORT=8080`) and the
command line. The file is `--config`, else `ONVIFD_CONFIG`, else `onvifd.toml` in the data folder if it exists.
"""

from __future__ import annotations

import difflib
import logging
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, cast, get_origin, get_type_hints

from onvifd.config_values import check, convert
from onvifd.errors import InvalidArgument, Unavailable

log = logging.getLogger(__name__)

ENVIRONMENT_PREFIX = "ONVIFD_"
NOT_SETTINGS = frozenset(
    {
        "ONVIFD_ADMIN_PASSWORD",
        "ONVIFD_BACKUP_PASSWORD",
        "ONVIFD_CAMERA_PASSWORD",
        "ONVIFD_LOG_FOLDER",
        "ONVIFD_CERTIFICATE_PASSPHRASE",
        "ONVIFD_CONFIG",
        "ONVIFD_USER_PASSWORD",
    }
)
"""Variables of the command line that carry no setting."""


class ConfigError(InvalidArgument):
    """A setting cannot be used. `key` is its dotted name, or the file that could not be read."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key


def _about(
    meaning: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    check: str = "",
) -> dict[str, Any]:
    """What a person needs to know of a setting, as the metadata of its field."""
    return {"meaning": meaning, "unit": unit, "low": low, "high": high, "choices": choices, "check": check}


def setting(default: Any, meaning: str, **about: Any) -> Any:
    """A dataclass field that is a setting."""
    return field(default=default, metadata=_about(meaning, **about))


def default_data_folder() -> Path:
    """`/var/lib/onvifd` for root, else `~/.local/share/onvifd` (XDG base directories)."""
    if os.geteuid() == 0:
        return Path("/var/lib/onvifd")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "onvifd"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """Where the recorder listens."""

    host: str = setting("0.0.0.0", "address to listen on; 127.0.0.1 keeps everything on lo", check="address")
    http_port: int = setting(8080, "HTTP: SOAP, API and console; 0 takes a free port", low=0, high=65535)
    https_port: int = setting(8443, "HTTPS; 0 takes a free port", low=0, high=65535)
    rtsp_port: int = setting(8554, "RTSP; 0 takes a free port", low=0, high=65535)
    rtsps_port: int = setting(0, "RTSP in TLS, by custom 322; 0 for not at all", low=0, high=65535)
    http: bool = setting(True, "serve HTTP; off leaves HTTPS alone")
    https: bool = setting(True, "serve HTTPS")
    discovery: bool = setting(True, "answer WS-Discovery probes and send Hello and Bye")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSettings:
    """What the recorder says it is."""

    name: str = setting("onvifd", "device name, in the scope onvif://www.onvif.org/name/", low=1, high=63)
    location: str = setting("", "where it stands, in the scope onvif://www.onvif.org/location/", low=0, high=63)
    manufacturer: str = setting("onvifd", "manufacturer in GetDeviceInformation", low=1, high=63)
    model: str = setting("Recorder", "model in GetDeviceInformation", low=1, high=63)
    relay_outputs: int = setting(0, "relay outputs: states that clients switch and events tell", low=0, high=16)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    """What of the host the recorder may change when an ONVIF administrator asks for it."""

    network: str = setting(
        "none",
        "how names, addresses and gateways are set; none where that is not the recorder's business",
        choices=("none", "iproute2", "NetworkManager"),
    )
    clock: str = setting("none", "how clock and time servers are set", choices=("none", "timedatectl"))
    dynamic_dns: bool = setting(True, "allow updates of a DNS name (RFC 2136), which a client must ask for")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """Where the catalogue is kept."""

    url: str = setting(
        "", "SQLAlchemy URL; empty for SQLite in the data folder; postgresql://user@host/name for PostgreSQL"
    )
    threads: int = setting(2, "threads that talk to the database, per process", low=1, high=16)
    timeout: float = setting(5.0, "longest wait for a lock or a connection", unit="s", low=0.1, high=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSettings:
    """How recordings are kept."""

    volumes: tuple[Path, ...] = setting((), "folders that hold segments; none for `volume` in the data folder")
    roots: tuple[Path, ...] = setting((), "folders below which ONVIF clients may add storage; none for not at all")
    max_bytes: int = setting(0, "most bytes per volume; 0 for all but the reserve", unit="bytes", low=0)
    reserve_percent: float = setting(10.0, "part of each file system that stays free", unit="%", low=0, high=90)
    segment_seconds: int = setting(60, "length of a segment", unit="s", low=5, high=600)
    fragment_seconds: float = setting(1.0, "longest fragment: what a power cut may cost", unit="s", low=0.2, high=10)
    retention_seconds: int = setting(0, "age at which footage is deleted; 0 when the volume is full", unit="s", low=0)
    event_retention_seconds: int = setting(
        30 * 86400, "age at which stored events are deleted; 0 for never", unit="s", low=0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How the work is spread over processes."""

    media: int = setting(0, "media worker processes; 0 for one per two cores, at most 8", low=0, high=64)
    one_process: bool = setting(False, "run all parts in one process (for tests and small machines)")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutSettings:
    """How long to wait for others."""

    rtsp_session: int = setting(60, "silence after which a live RTSP session ends", unit="s", low=10, high=3600)
    replay_session: int = setting(60, "silence after which a replay session ends", unit="s", low=10, high=3600)
    camera_connect: float = setting(5.0, "wait for a camera's connection", unit="s", low=0.5, high=60)
    camera_silence: float = setting(10.0, "silence of a camera that counts as lost", unit="s", low=1, high=120)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSettings:
    """How cameras are reached."""

    ways: str = setting(
        "tcp,http,rtsps,https",
        "ways by which a camera that is added is asked, in this order, until it answers; without tcp and http it is never asked in clear",
        check="ways",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """Bounds on what outside parties may take."""

    rtsp_clients: int = setting(512, "RTSP connections at once to one media worker", low=1, high=100_000)
    replay_clients: int = setting(256, "RTSP connections at once for recordings", low=1, high=10_000)
    rtsp_sessions: int = setting(128, "RTSP sessions at once, live and replay; 0 for any number", low=0, high=100_000)
    rtsp_sessions_per_user: int = setting(0, "RTSP sessions at once of one account; 0 for any number", low=0)
    rtsp_sessions_per_address: int = setting(
        0, "RTSP sessions at once from one address (IPv6: one /64); 0 for any number", low=0
    )
    rtsp_bandwidth: float = setting(
        0.0, "live media sent by RTSP to single clients; 0 for any amount", unit="Mbit/s", low=0
    )
    http_connections: int = setting(512, "HTTP connections at once", low=1, high=100_000)
    http_connections_per_address: int = setting(
        256, "HTTP connections at once from one address (IPv6: one /64)", low=1, high=100_000
    )
    pull_points: int = setting(32, "event pull points at once", low=1, high=1024)
    subscriptions: int = setting(32, "subscriptions that events are pushed to at once", low=1, high=1024)
    event_brokers: int = setting(4, "MQTT brokers that events are published to", low=1, high=32)
    searches: int = setting(16, "searches at once", low=1, high=1024)
    accounts: int = setting(32, "ONVIF accounts", low=3, high=1024)
    console_accounts: int = setting(64, "console accounts", low=1, high=1024)
    console_groups: int = setting(32, "groups of console accounts, the three built in included", low=3, high=256)
    console_sessions: int = setting(256, "console sessions at once", low=1, high=10_000)
    audit_entries: int = setting(100_000, "entries of the audit log; the oldest are deleted", low=1000, high=10_000_000)
    cameras: int = setting(256, "cameras", low=1, high=1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessSettings:
    """How callers prove who they are."""

    realm: str = setting(
        "onvifd", "realm of HTTP and RTSP digest; a change voids digests that clients stored", low=1, high=63
    )
    clock_skew: int = setting(
        300, "allowed distance of a UsernameToken's Created from now", unit="s", low=5, high=86_400
    )
    digest_algorithms: str = setting(
        "MD5",
        "algorithms of HTTP and RTSP digest in order of preference, until a client sets them (SetHashingAlgorithm)",
        choices=("MD5", "SHA-256", "MD5,SHA-256", "SHA-256,MD5"),
    )
    lockout_tries: int = setting(
        5, "wrong passwords that lock an account, and the address they come from; 0 for never", low=0, high=1000
    )
    lockout_seconds: int = setting(300, "how long a lock lasts", unit="s", low=1, high=86_400)
    console_idle: int = setting(1800, "idle time that ends a console session", unit="s", low=60, high=86_400)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSettings:
    """Where events may be sent."""

    callback_networks: str = setting(
        "",
        "networks, separated by commas, that notifications may be pushed to though they are loopback, link-local or the like;"
        " a subscriber's own address always may",
        check="networks",
    )
    ca_file: str = setting(
        "", "PEM file of authorities that vouch for MQTT brokers and consumers, beside those of the system"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """What is logged."""

    level: str = setting("info", "least severe level that is logged", choices=("debug", "info", "warning", "error"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings, resolved once at start."""

    data: Path = field(
        default_factory=default_data_folder,
        metadata=_about("data folder: catalogue, keys and, unless set otherwise, recordings"),
    )
    network: NetworkSettings = field(default_factory=NetworkSettings)
    device: DeviceSettings = field(default_factory=DeviceSettings)
    host: HostSettings = field(default_factory=HostSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    archive: ArchiveSettings = field(default_factory=ArchiveSettings)
    workers: WorkerSettings = field(default_factory=WorkerSettings)
    timeouts: TimeoutSettings = field(default_factory=TimeoutSettings)
    cameras: CameraSettings = field(default_factory=CameraSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    access: AccessSettings = field(default_factory=AccessSettings)
    events: EventSettings = field(default_factory=EventSettings)
    log: LogSettings = field(default_factory=LogSettings)

    @property
    def key_file(self) -> Path:
        """The key that encrypts stored passwords."""
        return self.data / "onvifd.key"

    @property
    def database_url(self) -> str:
        return self.database.url or f"sqlite:///{self.data / 'catalogue.sqlite3'}"

    @property
    def volume_paths(self) -> tuple[Path, ...]:
        return self.archive.volumes or (self.data / "volume",)

    @property
    def media_workers(self) -> int:
        return self.workers.media or max(1, min(8, (os.cpu_count() or 1) // 2))


@dataclass(frozen=True, slots=True)
class Setting:
    """One entry of the reference: `kind` is the Python type's name."""

    key: str
    kind: str
    default: object
    unit: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    meaning: str

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return variable_of(self.key)

    @property
    def range(self) -> str:
        """The allowed values, for a person."""
        if self.choices:
            return ", ".join(self.choices)
        unit = f" {self.unit}" if self.unit else ""
        what = "length " if self.kind == "str" and self.high is not None else ""
        if self.low is not None and self.high is not None:
            return (
                f"{what}{self.low:g} to {self.high:g}{unit}"
                if self.high < 1e6
                else f"{self.low:g} to {int(self.high)}{unit}"
            )
        return f"{self.low:g} or more{unit}" if self.low is not None else ""


def variable_of(key: str) -> str:
    return ENVIRONMENT_PREFIX + key.replace(".", "_").upper()


def reference() -> tuple[Setting, ...]:
    """Every setting in order, for documentation and for `onvifd doctor`."""
    return tuple(entry for entry, _ in _walk(Config, ""))


def _walk(cls: type, prefix: str) -> Iterator[tuple[Setting, tuple[Any, Field[Any]]]]:
    hints = get_type_hints(cls)
    for item in fields(cls):
        kind = hints[item.name]
        if is_dataclass(kind):
            yield from _walk(cast(type, kind), f"{prefix}{item.name}.")
            continue
        about = item.metadata
        default = default_data_folder() if prefix + item.name == "data" else item.default
        name = kind.__name__ if get_origin(kind) is None else "paths"
        yield (
            Setting(
                prefix + item.name,
                name,
                None if default is MISSING else default,
                about["unit"],
                about["low"],
                about["high"],
                about["choices"],
                about["meaning"],
            ),
            (kind, item),
        )


def load(
    overrides: Mapping[str, object] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Config:
    """Resolve all settings. `overrides` are dotted keys from the command line; values of None are left out.

    Raises ConfigError with the key and what it may be.
    """
    environment = os.environ if environment is None else environment
    known = {entry.key: kind for entry, kind in _walk(Config, "")}
    values: dict[str, tuple[object, str]] = {}

    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    from_environment = _from_environment(environment, known)
    data = _data_folder(given, from_environment, known)
    path = file or _file_of(environment, data)
    if path is not None:
        values.update({key: (value, str(path)) for key, value in _from_file(path, known).items()})
    values.update({key: (value, variable_of(key)) for key, value in from_environment.items()})
    for key, value in given.items():
        _must_know(key, known)
        values[key] = (value, "command line")

    parsed = {key: _parse(key, value, source, *known[key]) for key, (value, source) in values.items()}
    parsed.setdefault("data", data)
    parsed["data"] = Path(cast(Path, parsed["data"])).expanduser().absolute()
    config: Config = _build(Config, "", parsed)
    if not config.network.http and not config.network.https:
        raise ConfigError("network.http", "is off and so is network.https: nobody could reach the recorder")
    return config


_T = TypeVar("_T")


def _build(cls: type[_T], prefix: str, values: Mapping[str, object]) -> _T:
    hints = get_type_hints(cls)
    arguments: dict[str, object] = {}
    for item in fields(cast(Any, cls)):
        key = prefix + item.name
        if is_dataclass(hints[item.name]):
            arguments[item.name] = _build(hints[item.name], key + ".", values)
        elif key in values:
            arguments[item.name] = values[key]
    return cls(**arguments)


def _data_folder(given: Mapping[str, object], environment: Mapping[str, str], known: Mapping[str, Any]) -> Path:
    """The folder in which the settings file is looked for; the file itself cannot move it."""
    value = given.get("data", environment.get("data"))
    if value is None:
        return default_data_folder()
    return cast(Path, _parse("data", value, "command line", *known["data"])).expanduser().absolute()


def _file_of(environment: Mapping[str, str], data: Path) -> Path | None:
    named = environment.get("ONVIFD_CONFIG")
    if named:
        return Path(named)
    usual = data / "onvifd.toml"
    return usual if usual.is_file() else None


def _from_environment(environment: Mapping[str, str], known: Mapping[str, Any]) -> dict[str, str]:
    names = {variable_of(key): key for key in known}
    found = {}
    for name, value in environment.items():
        if name in names:
            found[names[name]] = value
        elif name.startswith(ENVIRONMENT_PREFIX) and name not in NOT_SETTINGS:
            log.warning("environment variable %s names no setting and is ignored", name)
    return found


def _from_file(path: Path, known: Mapping[str, Any]) -> dict[str, object]:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"is not TOML: {error}") from error
    found: dict[str, object] = {}
    for name, value in document.items():
        if isinstance(value, dict):
            found.update({f"{name}.{inner}": one for inner, one in value.items()})
        else:
            found[name] = value
    for key in found:
        _must_know(key, known)
    return found


def _must_know(key: str, known: Mapping[str, Any]) -> None:
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1)
        raise ConfigError(key, "is no setting" + (f"; did you mean {near[0]}?" if near else ""))


def _parse(key: str, value: object, source: str, kind: Any, item: Field[Any]) -> object:
    about = item.metadata
    try:
        result = convert(value, kind, about["unit"])
        if about["choices"] and isinstance(result, str):
            # People write DEBUG as readily as debug.
            word = result.strip().lower()
            result = next((choice for choice in about["choices"] if choice.lower() == word), result)
        check(result, about)
    except (ValueError, TypeError) as error:
        allowed = next(entry.range for entry, _ in _walk(Config, "") if entry.key == key)
        hint = f" (allowed: {allowed})" if allowed else ""
        raise ConfigError(key, f"{error}{hint}, from {source}") from error
    return result


def prepare_data_folder(config: Config) -> None:
    """Make the data folder, readable by its owner alone. Raises Unavailable when that cannot be had."""
    try:
        config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if config.data.stat().st_mode & 0o077:
            config.data.chmod(0o700)
    except OSError as error:
        raise Unavailable(f"data folder {config.data} cannot be made private: {error.strerror}") from error
