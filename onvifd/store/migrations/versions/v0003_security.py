"""Keys, certificates and their use."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "security_crls",
        sa.Column("id", sa.String(length=64), nullable=False, comment="tas:CRLID"),
        sa.Column("alias", sa.Text(), nullable=True, comment="as the client gave it; NULL for none"),
        sa.Column("content", sa.LargeBinary(), nullable=False, comment="certificate revocation list, DER"),
        sa.Column("created", sa.BigInteger(), nullable=False, comment="microseconds UTC"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_security_crls")),
    )
    op.create_table(
        "security_keys",
        sa.Column("id", sa.String(length=64), nullable=False, comment="tas:KeyID"),
        sa.Column("alias", sa.Text(), nullable=True, comment="as the client gave it; NULL for none"),
        sa.Column("algorithm", sa.String(length=8), nullable=False, comment="RSA or ECC"),
        sa.Column("size", sa.String(length=16), nullable=False, comment="bits of an RSA key, or name of the curve"),
        sa.Column("status", sa.String(length=12), nullable=False, comment="generating, ok or corrupt"),
        sa.Column(
            "public", sa.LargeBinary(), nullable=False, comment="SubjectPublicKeyInfo, DER; empty until it is generated"
        ),
        sa.Column(
            "private",
            sa.LargeBinary(),
            nullable=True,
            comment="PKCS#8, encrypted with the key file; NULL if only the public key is known",
        ),
        sa.Column("external", sa.Boolean(), nullable=False, comment="whether it was made outside the recorder"),
        sa.Column("created", sa.BigInteger(), nullable=False, comment="microseconds UTC"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_security_keys")),
    )
    op.create_table(
        "security_passphrases",
        sa.Column("id", sa.String(length=64), nullable=False, comment="tas:PassphraseID"),
        sa.Column("alias", sa.Text(), nullable=True, comment="as the client gave it; NULL for none"),
        sa.Column("secret", sa.LargeBinary(), nullable=False, comment="encrypted with the key file"),
        sa.Column("created", sa.BigInteger(), nullable=False, comment="microseconds UTC"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_security_passphrases")),
    )
    op.create_table(
        "security_paths",
        sa.Column("id", sa.String(length=64), nullable=False, comment="tas:CertificationPathID"),
        sa.Column("alias", sa.Text(), nullable=True, comment="as the client gave it; NULL for none"),
        sa.Column("created", sa.BigInteger(), nullable=False, comment="microseconds UTC"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_security_paths")),
    )
    op.create_table(
        "security_policies",
        sa.Column("id", sa.String(length=64), nullable=False, comment="tas:CertPathValidationPolicyID"),
        sa.Column("alias", sa.Text(), nullable=True, comment="as the client gave it; NULL for none"),
        sa.Column(
            "client_usage",
            sa.Boolean(),
            nullable=False,
            comment="whether the clientAuth usage must be in the certificate",
        ),
        sa.Column("deltas", sa.Boolean(), nullable=False, comment="whether delta CRLs are applied"),
        sa.Column("created", sa.BigInteger(), nullable=False, comment="microseconds UTC"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_security_policies")),
    )
    op.create_table(
        "security_certificates",
        sa.Column("id", sa.String(length=64), nullable=False, comment="tas:CertificateID"),
        sa.Column("alias", sa.Text(), nullable=True, comment="as the client gave it; NULL for none"),
        sa.Column("key", sa.String(length=64), nullable=False, comment="the key that it certifies"),
        sa.Column("content", sa.LargeBinary(), nullable=False, comment="X.509, DER"),
        sa.Column(
            "role",
            sa.String(length=16),
            nullable=False,
            comment="the certificate profile it was made from; empty for others",
        ),
        sa.Column("created", sa.BigInteger(), nullable=False, comment="microseconds UTC"),
        sa.ForeignKeyConstraint(["key"], ["security_keys.id"], name=op.f("fk_security_certificates_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_security_certificates")),
    )
    op.create_index(op.f("ix_security_certificates_key"), "security_certificates", ["key"], unique=False)
    op.create_table(
        "security_tls_paths",
        sa.Column("path", sa.String(length=64), nullable=False, comment="assigned to the TLS server"),
        sa.Column("position", sa.Integer(), nullable=False, comment="order of assignment; the last is presented first"),
        sa.ForeignKeyConstraint(["path"], ["security_paths.id"], name=op.f("fk_security_tls_paths_path")),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_security_tls_paths")),
    )
    op.create_table(
        "security_tls_policies",
        sa.Column("policy", sa.String(length=64), nullable=False, comment="assigned to the TLS server"),
        sa.Column("position", sa.Integer(), nullable=False, comment="order of assignment"),
        sa.ForeignKeyConstraint(["policy"], ["security_policies.id"], name=op.f("fk_security_tls_policies_policy")),
        sa.PrimaryKeyConstraint("policy", name=op.f("pk_security_tls_policies")),
    )
    op.create_table(
        "security_anchors",
        sa.Column("policy", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("certificate", sa.String(length=64), nullable=False, comment="trust anchor"),
        sa.ForeignKeyConstraint(
            ["certificate"], ["security_certificates.id"], name=op.f("fk_security_anchors_certificate")
        ),
        sa.ForeignKeyConstraint(
            ["policy"], ["security_policies.id"], name=op.f("fk_security_anchors_policy"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("policy", "position", name=op.f("pk_security_anchors")),
    )
    op.create_index(op.f("ix_security_anchors_certificate"), "security_anchors", ["certificate"], unique=False)
    op.create_table(
        "security_path_certificates",
        sa.Column("path", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False, comment="0 for the certificate that is presented"),
        sa.Column("certificate", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["certificate"], ["security_certificates.id"], name=op.f("fk_security_path_certificates_certificate")
        ),
        sa.ForeignKeyConstraint(
            ["path"], ["security_paths.id"], name=op.f("fk_security_path_certificates_path"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("path", "position", name=op.f("pk_security_path_certificates")),
    )
    op.create_index(
        op.f("ix_security_path_certificates_certificate"), "security_path_certificates", ["certificate"], unique=False
    )
