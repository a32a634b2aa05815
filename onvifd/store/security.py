"""Keys, certificates and what they are used for, as stored: private keys and passphrases are opaque here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select, update

from onvifd.store import schema
from onvifd.store.engine import Database
from onvifd.store.settings import _get, _put, bump

VERSIONS_SETTING = "tls.versions"
CLIENT_SETTING = "tls.client_authentication"
CN_SETTING = "tls.cn_maps_to_user"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """A key pair. `private` is encrypted, None if only the public key is known; `size` is bits or the name of a curve."""

    id: str
    alias: str | None
    algorithm: str
    size: str
    status: str
    public: bytes
    private: bytes | None = field(repr=False)
    external: bool
    created: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRow:
    """A certificate in DER and the key it certifies. `role` names the profile that the recorder made it from."""

    id: str
    alias: str | None
    key: str
    content: bytes
    role: str
    created: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRow:
    """A certification path; the first certificate is the one that is presented."""

    id: str
    alias: str | None
    certificates: tuple[str, ...]
    created: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PassphraseRow:
    """`secret` is encrypted."""

    id: str
    alias: str | None
    secret: bytes = field(repr=False)
    created: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlRow:
    id: str
    alias: str | None
    content: bytes
    created: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRow:
    """A certification path validation policy; `anchors` are certificates that are trusted."""

    id: str
    alias: str | None
    client_usage: bool
    deltas: bool
    anchors: tuple[str, ...]
    created: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsRow:
    """What the TLS server uses: paths and policies in order of assignment, enabled versions."""

    paths: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    versions: tuple[str, ...] = ("1.2", "1.3")
    client_authentication: bool = False
    cn_maps_to_user: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityState:
    """Everything at once, each kind by its id in order of creation. The mappings must not be changed."""

    keys: Mapping[str, KeyRow] = field(default_factory=dict)
    certificates: Mapping[str, CertificateRow] = field(default_factory=dict)
    paths: Mapping[str, PathRow] = field(default_factory=dict)
    passphrases: Mapping[str, PassphraseRow] = field(default_factory=dict)
    crls: Mapping[str, CrlRow] = field(default_factory=dict)
    policies: Mapping[str, PolicyRow] = field(default_factory=dict)
    tls: TlsRow = TlsRow()


class Security:
    """Reads and changes the keystore as a whole: it is small, and its parts refer to each other."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> SecurityState:
        return self._database.read(_load)

    def edit(self, decide: Callable[[SecurityState], SecurityState]) -> SecurityState:
        """Change it, all or nothing; gives the new state. `decide` runs within the transaction that writes.

        It may run more than once and raises what the caller of `edit` shall see. The revision is bumped if anything changed.
        """

        def work(connection: Connection) -> SecurityState:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("LOCK TABLE security_keys IN SHARE ROW EXCLUSIVE MODE")
            before = _load(connection)
            after = decide(before)
            if after != before:
                _save(connection, before, after)
                bump(connection)
            return after

        return self._database.write(work)


def _rows(connection: Connection, table: Table, *order: str) -> Iterator[dict[str, Any]]:
    columns = [table.c[name] for name in order]
    for row in connection.execute(select(table).order_by(*columns)).mappings():
        yield dict(row)


def _members(connection: Connection, table: Table, owner: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for row in _rows(connection, table, owner, "position"):
        found.setdefault(row[owner], []).append(row["certificate"])
    return {name: tuple(members) for name, members in found.items()}


def _load(connection: Connection) -> SecurityState:
    by = ("created", "id")
    in_path = _members(connection, schema.security_path_certificates, "path")
    anchors = _members(connection, schema.security_anchors, "policy")
    paths = _rows(connection, schema.security_paths, *by)
    policies = _rows(connection, schema.security_policies, *by)
    default = TlsRow()
    versions = _get(connection, VERSIONS_SETTING)
    return SecurityState(
        keys={row["id"]: KeyRow(**row) for row in _rows(connection, schema.security_keys, *by)},
        certificates={row["id"]: CertificateRow(**row) for row in _rows(connection, schema.security_certificates, *by)},
        paths={row["id"]: PathRow(**row, certificates=in_path.get(row["id"], ())) for row in paths},
        passphrases={row["id"]: PassphraseRow(**row) for row in _rows(connection, schema.security_passphrases, *by)},
        crls={row["id"]: CrlRow(**row) for row in _rows(connection, schema.security_crls, *by)},
        policies={row["id"]: PolicyRow(**row, anchors=anchors.get(row["id"], ())) for row in policies},
        tls=TlsRow(
            paths=tuple(row["path"] for row in _rows(connection, schema.security_tls_paths, "position")),
            policies=tuple(row["policy"] for row in _rows(connection, schema.security_tls_policies, "position")),
            versions=tuple(versions.split()) if versions else default.versions,
            client_authentication=_get(connection, CLIENT_SETTING) == "true",
            cn_maps_to_user=_get(connection, CN_SETTING) == "true",
        ),
    )


Rows = dict[tuple[object, ...], dict[str, Any]]


def _plain(rows: Mapping[str, Any], *without: str) -> Rows:
    return {
        (key,): {name: value for name, value in asdict(row).items() if name not in without} for key, row in rows.items()
    }


def _listed(owner: str, rows: Mapping[str, tuple[str, ...]]) -> Rows:
    return {
        (key, position): {owner: key, "position": position, "certificate": certificate}
        for key, members in rows.items()
        for position, certificate in enumerate(members)
    }


def _tables(state: SecurityState) -> list[tuple[Table, Rows]]:
    """The rows of every table by primary key, parents before children."""
    return [
        (schema.security_keys, _plain(state.keys)),
        (schema.security_certificates, _plain(state.certificates)),
        (schema.security_paths, _plain(state.paths, "certificates")),
        (
            schema.security_path_certificates,
            _listed("path", {key: row.certificates for key, row in state.paths.items()}),
        ),
        (schema.security_passphrases, _plain(state.passphrases)),
        (schema.security_crls, _plain(state.crls)),
        (schema.security_policies, _plain(state.policies, "anchors")),
        (schema.security_anchors, _listed("policy", {key: row.anchors for key, row in state.policies.items()})),
        (
            schema.security_tls_paths,
            {(path,): {"path": path, "position": at} for at, path in enumerate(state.tls.paths)},
        ),
        (
            schema.security_tls_policies,
            {(policy,): {"policy": policy, "position": at} for at, policy in enumerate(state.tls.policies)},
        ),
    ]


def _save(connection: Connection, before: SecurityState, after: SecurityState) -> None:
    old, new = _tables(before), _tables(after)
    for (table, was), (_, now) in zip(reversed(old), reversed(new), strict=True):
        for key in was.keys() - now.keys():
            connection.execute(delete(table).where(*_is(table, key)))
    for (table, was), (_, now) in zip(old, new, strict=True):
        for key, row in now.items():
            if key not in was:
                connection.execute(insert(table).values(row))
            elif was[key] != row:
                connection.execute(update(table).where(*_is(table, key)).values(row))
    if after.tls != before.tls:
        _put(connection, VERSIONS_SETTING, " ".join(after.tls.versions))
        _put(connection, CLIENT_SETTING, "true" if after.tls.client_authentication else "false")
        _put(connection, CN_SETTING, "true" if after.tls.cn_maps_to_user else "false")


def _is(table: Table, key: tuple[object, ...]) -> list[Any]:
    return [column == value for column, value in zip(table.primary_key.columns, key, strict=True)]
