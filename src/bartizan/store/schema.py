"""Tables of the package store. Paths and digests stand once each, however many packages and versions share them."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

VERSION = 1
"""Of the tables; a store of another version is refused and can be made again from the repository."""

metadata = MetaData()

store_version = Table(
    "store_version",
    metadata,
    Column("version", Integer, primary_key=True),
)

source = Table(
    "source",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("repository", String, nullable=False),
    Column("signer", String, nullable=False),
    UniqueConstraint("repository", "signer"),
)

newest_release = Table(
    "newest_release",
    metadata,
    Column("repository", String, primary_key=True),
    Column("date", Integer, nullable=False),
)
"""The newest Release accepted of each suite, in seconds since 1970: an older one is a rollback."""

package = Table(
    "package",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sha256", LargeBinary(32), nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("version", String, nullable=False),
    Column("architecture", String, nullable=False),
    Column("source", ForeignKey("source.id"), nullable=False),
    UniqueConstraint("name", "version", "architecture", "sha256"),
)

path = Table(
    "path",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("path", LargeBinary, nullable=False, unique=True),
)

digest = Table(
    "digest",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sha256", LargeBinary(32), nullable=False, unique=True),
    CheckConstraint("length(sha256) = 32"),
)

file = Table(
    "file",
    metadata,
    Column("package", ForeignKey("package.id"), primary_key=True),
    Column("path", ForeignKey("path.id"), primary_key=True),
    Column("digest", ForeignKey("digest.id"), nullable=False),
    Column("conffile", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

link = Table(
    "link",
    metadata,
    Column("package", ForeignKey("package.id"), primary_key=True),
    Column("path", ForeignKey("path.id"), primary_key=True),
    Column("target", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
