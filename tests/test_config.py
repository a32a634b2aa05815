"""Settings: precedence, types, ranges, errors that name the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from onvifd.config import Config, ConfigError, load, prepare_data_folder, reference
from onvifd.errors import Unavailable


def read(tmp_path: Path, toml: str = "", environment: dict[str, str] | None = None, **overrides: object) -> Config:
    (tmp_path / "onvifd.toml").write_text(toml)
    given = {key.replace("__", "."): value for key, value in overrides.items()}
    return load({"data": tmp_path, **given}, environment=environment or {})


@pytest.mark.covers("NET-21")
def test_defaults(tmp_path: Path) -> None:
    config = read(tmp_path)
    assert config.data == tmp_path
    assert (config.network.host, config.network.http_port, config.network.rtsp_port) == ("0.0.0.0", 8080, 8554)
    assert config.database_url == f"sqlite:///{tmp_path}/catalogue.sqlite3"
    assert config.volume_paths == (tmp_path / "volume",)
    assert config.key_file == tmp_path / "onvifd.key"
    assert config.archive.segment_seconds == 60
    assert 1 <= config.media_workers <= 8
    assert config.access.realm == "onvifd"


@pytest.mark.covers("A002", "CAM-31")
def test_every_default_is_within_its_range() -> None:
    for entry in reference():
        if entry.low is not None and isinstance(entry.default, int | float):
            assert entry.low <= entry.default, entry.key
        if entry.high is not None and isinstance(entry.default, int | float):
            assert entry.default <= entry.high, entry.key
        if entry.choices:
            assert entry.default in entry.choices
        assert entry.meaning, entry.key


def test_environment_names_are_unique() -> None:
    names = [entry.variable for entry in reference()]
    assert len(set(names)) == len(names)
    assert "ONVIFD_NETWORK_HTTP_PORT" in names


@pytest.mark.covers("NET-17", "NET-18", "NET-19", "P244")
def test_file_below_environment_below_command_line(tmp_path: Path) -> None:
    toml = "[network]\nhttp_port = 1001\nhttps_port = 1001\nrtsp_port = 1001\n"
    environment = {"ONVIFD_NETWORK_HTTPS_PORT": "1002", "ONVIFD_NETWORK_RTSP_PORT": "1002"}
    network = read(tmp_path, toml, environment, network__rtsp_port=1003).network
    assert (network.http_port, network.https_port, network.rtsp_port) == (1001, 1002, 1003)


def test_what_was_not_given_on_the_command_line_is_left_out(tmp_path: Path) -> None:
    assert read(tmp_path, "[network]\nhttp_port = 1001\n", network__http_port=None).network.http_port == 1001


def test_the_file_is_found_by_name_by_variable_and_in_the_data_folder(tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text("[device]\nname = 'gate'\n")
    assert load({"data": tmp_path}, environment={}).device.name == "onvifd"
    assert load({"data": tmp_path}, environment={}, file=file).device.name == "gate"
    assert load({"data": tmp_path}, environment={"ONVIFD_CONFIG": str(file)}).device.name == "gate"
    assert load({}, environment={"ONVIFD_DATA": str(tmp_path)}).data == tmp_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [("true", True), ("1", True), ("on", True), ("No", False), ("0", False), ("off", False)],
)
def test_truth_from_the_environment(tmp_path: Path, text: str, expected: bool) -> None:
    assert read(tmp_path, environment={"ONVIFD_NETWORK_DISCOVERY": text}).network.discovery is expected


@pytest.mark.parametrize(
    ("text", "expected"), [("500 GB", 500 * 10**9), ("1.5TiB", 3 * 2**39), ("1024", 1024), ("0", 0)]
)
def test_sizes_have_units(tmp_path: Path, text: str, expected: int) -> None:
    assert read(tmp_path, environment={"ONVIFD_ARCHIVE_MAX_BYTES": text}).archive.max_bytes == expected


def test_volumes_are_absolute(tmp_path: Path) -> None:
    assert read(tmp_path, "[archive]\nvolumes = ['/a', '/b']\n").volume_paths == (Path("/a"), Path("/b"))
    assert read(tmp_path, environment={"ONVIFD_ARCHIVE_VOLUMES": "/a:/b"}).volume_paths == (Path("/a"), Path("/b"))
    assert all(path.is_absolute() for path in read(tmp_path, "[archive]\nvolumes = ['x']\n").volume_paths)


@pytest.mark.parametrize(
    ("toml", "key", "says"),
    [
        ("[network]\nhttp_port = 70000\n", "network.http_port", "0 to 65535"),
        ("[network]\nhttp_port = 'x'\n", "network.http_port", "whole number"),
        ("[network]\nhttp_port = 1.5\n", "network.http_port", "whole number"),
        ("[network]\nhttp_port = true\n", "network.http_port", "whole number"),
        ("[network]\nhost = 'example'\n", "network.host", "IPv4 or IPv6"),
        ("[network]\ndiscovery = 'maybe'\n", "network.discovery", "true or false"),
        ("[archive]\nmax_bytes = '5 parsecs'\n", "archive.max_bytes", "500 GB"),
        ("[archive]\nreserve_percent = nan\n", "archive.reserve_percent", "0 to 90 %"),
        ("[archive]\nvolumes = 5\n", "archive.volumes", "folders"),
        ("[log]\nlevel = 'loud'\n", "log.level", "debug, info, warning, error"),
        ("[device]\nname = ''\n", "device.name", "length 1 to 63"),
        ("[device]\nname = 5\n", "device.name", "not text"),
        ("[network]\nhttp_prot = 1\n", "network.http_prot", "network.http_port"),
        ("network = 5\n", "network", "no setting"),
        ("speed = 5\n", "speed", "no setting"),
    ],
)
def test_an_error_names_the_key_and_what_is_allowed(tmp_path: Path, toml: str, key: str, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(tmp_path, toml)
    assert error.value.key == key
    assert error.value.reason.startswith(f"{key}: ")
    assert says in error.value.reason


@pytest.mark.parametrize("written", ["debug", "DEBUG", " Debug "])
def test_a_choice_may_be_written_in_any_case(tmp_path: Path, written: str) -> None:
    assert read(tmp_path, environment={"ONVIFD_LOG_LEVEL": written}).log.level == "debug"


def test_an_error_says_where_the_value_came_from(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ONVIFD_NETWORK_HTTP_PORT"):
        read(tmp_path, environment={"ONVIFD_NETWORK_HTTP_PORT": "-1"})
    with pytest.raises(ConfigError, match="command line"):
        read(tmp_path, network__http_port=-1)
    with pytest.raises(ConfigError, match=r"onvifd\.toml"):
        read(tmp_path, "[network]\nhttp_port = -1\n")


def test_a_broken_or_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not TOML"):
        read(tmp_path, "][")
    with pytest.raises(ConfigError, match="cannot be read"):
        load({"data": tmp_path}, environment={}, file=tmp_path / "none.toml")


def test_unknown_variables_are_named_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(tmp_path, environment={"ONVIFD_NETWRK_HOST": "x", "ONVIFD_ADMIN_PASSWORD": "y", "OTHER": "z"})
    assert "ONVIFD_NETWRK_HOST" in caplog.text
    assert "ADMIN" not in caplog.text


def test_the_data_folder_becomes_private(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    prepare_data_folder(load({"data": folder}, environment={}))
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    prepare_data_folder(load({"data": folder}, environment={}))
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="data folder"):
        prepare_data_folder(load({"data": tmp_path / "file" / "x"}, environment={}))


def test_http_can_be_off_while_https_is_on() -> None:
    assert not load({"network.http": False}, environment={}).network.http
    with pytest.raises(ConfigError) as caught:
        load({"network.http": False, "network.https": False}, environment={})
    assert caught.value.key == "network.http"
