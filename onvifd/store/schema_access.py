"""Tables of who may do what: accounts of the console, their groups, the audit; keys and certificates. See `schema`."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)

from onvifd.store.schema_base import ROWID, TOKEN, metadata

# ---- console accounts, groups, audit -------------------------------------------------------------

console_groups = Table(
    "console_groups",
    metadata,
    Column("name", String(64), primary_key=True, comment="as typed; case matters"),
    Column("remark", String(255), nullable=False, comment="for people"),
    Column("builtin", Boolean, nullable=False, comment="whether it cannot be deleted"),
    Column("rights", Text, nullable=False, comment="what its accounts may do, JSON made by the access room"),
)

console_accounts = Table(
    "console_accounts",
    metadata,
    Column("name", String(64), primary_key=True, comment="as typed; case matters"),
    Column("group", ForeignKey("console_groups.name"), nullable=False),
    Column("hash", Text, nullable=False, comment="argon2id of the password"),
    Column("rights", Text, comment="narrower rights than the group's, JSON; NULL for the group's"),
    Column("enabled", Boolean, nullable=False, comment="whether it may sign in"),
    Column("fixed", Boolean, nullable=False, comment="the first administrator: neither deleted nor demoted"),
    Column("periods", Text, nullable=False, comment="times of the week in which it may sign in; empty for always"),
    Column("email", String(255), nullable=False),
    Column("remark", String(255), nullable=False, comment="for people"),
    Column("created", BigInteger, nullable=False, comment="microseconds UTC"),
    Column("changed", BigInteger, nullable=False, comment="when it last changed or was unlocked, microseconds UTC"),
    Index(None, "group"),
)

password_history = Table(
    "password_history",
    metadata,
    Column("id", ROWID, Identity(), primary_key=True, comment="order of insertion"),
    Column("face", String(8), nullable=False, comment="onvif or console"),
    Column("account", String(64), nullable=False),
    Column("hash", Text, nullable=False, comment="argon2id of a password it had before"),
    Index(None, "face", "account", "id"),
    sqlite_autoincrement=True,
)

audit = Table(
    "audit",
    metadata,
    Column("id", ROWID, Identity(), primary_key=True, comment="order of insertion"),
    Column("utc", BigInteger, nullable=False, comment="microseconds UTC"),
    Column("kind", String(16), nullable=False, comment="login, logout, refused, locked, change, account or session"),
    Column("account", String(64), nullable=False, comment="who; empty if unknown"),
    Column("address", String(45), nullable=False, comment="from where; empty for the recorder itself"),
    Column("face", String(8), nullable=False, comment="onvif, rtsp, console or cli"),
    Column("action", String(64), nullable=False, comment="operation, or what was done"),
    Column("outcome", String(64), nullable=False, comment="done, or why not"),
    Column("detail", Text, nullable=False, comment="for people; never a secret"),
    Column("count", Integer, nullable=False, comment="how often it happened in a row"),
    Index(None, "utc", "id"),
    Index(None, "kind", "utc", "id"),
    Index(None, "account", "utc", "id"),
    sqlite_autoincrement=True,
)

# ---- keys, certificates and their use (Security 5) ----------------------------------------------

security_keys = Table(
    "security_keys",
    metadata,
    Column("id", TOKEN, primary_key=True, comment="tas:KeyID"),
    Column("alias", Text, comment="as the client gave it; NULL for none"),
    Column("algorithm", String(8), nullable=False, comment="RSA or ECC"),
    Column("size", String(16), nullable=False, comment="bits of an RSA key, or name of the curve"),
    Column("status", String(12), nullable=False, comment="generating, ok or corrupt"),
    Column("public", LargeBinary, nullable=False, comment="SubjectPublicKeyInfo, DER; empty until it is generated"),
    Column("private", LargeBinary, comment="PKCS#8, encrypted with the key file; NULL if only the public key is known"),
    Column("external", Boolean, nullable=False, comment="whether it was made outside the recorder"),
    Column("created", BigInteger, nullable=False, comment="microseconds UTC"),
)

security_certificates = Table(
    "security_certificates",
    metadata,
    Column("id", TOKEN, primary_key=True, comment="tas:CertificateID"),
    Column("alias", Text, comment="as the client gave it; NULL for none"),
    Column("key", ForeignKey("security_keys.id"), nullable=False, comment="the key that it certifies"),
    Column("content", LargeBinary, nullable=False, comment="X.509, DER"),
    Column("role", String(16), nullable=False, comment="the certificate profile it was made from; empty for others"),
    Column("created", BigInteger, nullable=False, comment="microseconds UTC"),
    Index(None, "key"),
)

security_paths = Table(
    "security_paths",
    metadata,
    Column("id", TOKEN, primary_key=True, comment="tas:CertificationPathID"),
    Column("alias", Text, comment="as the client gave it; NULL for none"),
    Column("created", BigInteger, nullable=False, comment="microseconds UTC"),
)

security_path_certificates = Table(
    "security_path_certificates",
    metadata,
    Column("path", ForeignKey("security_paths.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, comment="0 for the certificate that is presented"),
    Column("certificate", ForeignKey("security_certificates.id"), nullable=False),
    Index(None, "certificate"),
)

security_passphrases = Table(
    "security_passphrases",
    metadata,
    Column("id", TOKEN, primary_key=True, comment="tas:PassphraseID"),
    Column("alias", Text, comment="as the client gave it; NULL for none"),
    Column("secret", LargeBinary, nullable=False, comment="encrypted with the key file"),
    Column("created", BigInteger, nullable=False, comment="microseconds UTC"),
)

security_crls = Table(
    "security_crls",
    metadata,
    Column("id", TOKEN, primary_key=True, comment="tas:CRLID"),
    Column("alias", Text, comment="as the client gave it; NULL for none"),
    Column("content", LargeBinary, nullable=False, comment="certificate revocation list, DER"),
    Column("created", BigInteger, nullable=False, comment="microseconds UTC"),
)

security_policies = Table(
    "security_policies",
    metadata,
    Column("id", TOKEN, primary_key=True, comment="tas:CertPathValidationPolicyID"),
    Column("alias", Text, comment="as the client gave it; NULL for none"),
    Column("client_usage", Boolean, nullable=False, comment="whether the clientAuth usage must be in the certificate"),
    Column("deltas", Boolean, nullable=False, comment="whether delta CRLs are applied"),
    Column("created", BigInteger, nullable=False, comment="microseconds UTC"),
)

security_anchors = Table(
    "security_anchors",
    metadata,
    Column("policy", ForeignKey("security_policies.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("certificate", ForeignKey("security_certificates.id"), nullable=False, comment="trust anchor"),
    Index(None, "certificate"),
)

security_tls_paths = Table(
    "security_tls_paths",
    metadata,
    Column("path", ForeignKey("security_paths.id"), primary_key=True, comment="assigned to the TLS server"),
    Column("position", Integer, nullable=False, comment="order of assignment; the last is presented first"),
)

security_tls_policies = Table(
    "security_tls_policies",
    metadata,
    Column("policy", ForeignKey("security_policies.id"), primary_key=True, comment="assigned to the TLS server"),
    Column("position", Integer, nullable=False, comment="order of assignment"),
)
