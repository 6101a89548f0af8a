"""Tables of the Verifier service. Alembic's migrations make them; a test holds the two equal.

Times are integers: milliseconds since 1970 UTC. Bytes that many nodes share (logs, IMA entries) stand once each.
Every row that a person answers for has a project, who made it, and who approved it.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    UniqueConstraint,
    false,
    text,
)

from bartizan.store.words import Words

NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
"""Every constraint has a name, so that a migration can drop it."""

metadata = MetaData(naming_convention=NAMES)

Id = BigInteger().with_variant(Integer, "sqlite")
"""A row number; SQLite counts up by itself only in a column declared INTEGER."""
Time = BigInteger


def _answered_for() -> list[Column[object]]:
    """Who stands behind a row.

    approver: the account that put a policy in force, approved a set, or decided a review, also for the node that came
    in by it; empty elsewhere. That of a policy or set is surely another one than `created_by` only where the settings
    ask for two persons. signature: of a maintenance window or acknowledgement, by the service; empty elsewhere.
    """
    return [
        Column("project", ForeignKey("project.id"), nullable=False, index=True),
        Column("created_at", Time, nullable=False),
        Column("created_by", Words(128), nullable=False),
        Column("approver", Words(128)),
        Column("signature", LargeBinary),
    ]


project = Table(
    "project",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Words(128), nullable=False, unique=True),
)

account = Table(
    "account",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Words(128), nullable=False, unique=True),
    Column("role", Words(32), nullable=False),
    Column("password", Words(512)),
    Column("disabled", Boolean, nullable=False, server_default=false()),
    *_answered_for(),
)

api_token = Table(
    "api_token",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", ForeignKey("account.id"), nullable=False, index=True),
    Column("label", Words(128), nullable=False),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("role", Words(32), nullable=False),
    Column("expires_at", Time),
    Column("revoked_at", Time),
    *_answered_for(),
)

session = Table(
    "session",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("account", ForeignKey("account.id"), nullable=False, index=True),
    Column("csrf", LargeBinary(32), nullable=False),
    Column("created_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False),
)

join_token = Table(
    "join_token",
    metadata,
    Column("id", Id, primary_key=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("node_name", Words(128), nullable=False),
    Column("role", Words(128), nullable=False),
    Column("expires_at", Time, nullable=False),
    Column("used_at", Time),
    *_answered_for(),
)

registered_ek = Table(
    "registered_ek",
    metadata,
    Column("id", Id, primary_key=True),
    Column("ek_name", LargeBinary(66), nullable=False, unique=True),
    Column("node_name", Words(128), nullable=False),
    Column("role", Words(128), nullable=False),
    *_answered_for(),
)

enrolment = Table(
    "enrolment",
    metadata,
    Column("id", LargeBinary(16), primary_key=True),
    Column("request", LargeBinary, nullable=False),
    Column("secret", LargeBinary(32), nullable=False),
    Column("expires_at", Time, nullable=False, index=True),
)
"""Enrolments whose credential is not yet answered; `secret` is the SHA-256 of what must come back."""

review = Table(
    "review",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Words(32), nullable=False),
    Column("why", Words(1024), nullable=False),
    Column("node_name", Words(128), nullable=False),
    Column("role", Words(128), nullable=False),
    Column("ek_name", LargeBinary(66), nullable=False),
    Column("ak_name", LargeBinary(66), nullable=False),
    Column("state", Words(16), nullable=False),
    Column("decided_at", Time),
    Column("decided_by", Words(128)),
    Column("reason", Words(1024)),
    *_answered_for(),
)
Index("ix_review_keys", review.c.ek_name, review.c.ak_name, review.c.node_name)
Index("ix_review_state", review.c.state)

node = Table(
    "node",
    metadata,
    Column("id", Id, primary_key=True),
    Column("uid", Words(64), nullable=False, unique=True),
    Column("name", Words(128), nullable=False),
    Column("role", Words(128), nullable=False),
    Column("ek_name", LargeBinary(66), nullable=False, index=True),
    Column("ak_name", LargeBinary(66), nullable=False),
    Column("identity", LargeBinary, nullable=False),
    Column("registered", Boolean, nullable=False),
    Column("banks", LargeBinary(32), nullable=False),
    Column("pinned", Integer, nullable=False),
    Column("enrolled_at", Time, nullable=False),
    Column("retired_at", Time),
    *_answered_for(),
)
"""`identity`: the enrolment request; `banks`: TPM_ALG_ID of each bank that is quoted, 2 bytes big-endian."""
ENROLLED = text("retired_at IS NULL")
Index("uq_node_name_enrolled", node.c.name, unique=True, sqlite_where=ENROLLED, postgresql_where=ENROLLED)
Index("uq_node_ek_enrolled", node.c.ek_name, unique=True, sqlite_where=ENROLLED, postgresql_where=ENROLLED)

blob = Table(
    "blob",
    metadata,
    Column("id", Id, primary_key=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("content", LargeBinary, nullable=False),
)
"""Bytes by their SHA-256, compressed (zlib). What refers to them has an index: dropping one looks for references."""

boot = Table(
    "boot",
    metadata,
    Column("id", Id, primary_key=True),
    Column("node", ForeignKey("node.id"), nullable=False, index=True),
    Column("seen_at", Time, nullable=False),
    Column("boot_log", ForeignKey("blob.id"), index=True),
    Column("launch_log", ForeignKey("blob.id"), index=True),
    Column("command_line", ForeignKey("blob.id"), index=True),
    Column("other_logs", LargeBinary, nullable=False),
    Column("stuck", LargeBinary, nullable=False),
    Column("digest", LargeBinary(32)),
    Column("ima_start", BigInteger, nullable=False, server_default="0"),
)
"""One measured start: its logs; `other_logs`: blob ids, CBOR; `stuck`: contraindicated findings, compressed JSON.

`digest`: of all its logs, so that damage here is not taken for a forged log; empty in rows of revision 0001.
`ima_start`: the index of the kept IMA entry with which the list that the node shows begins.
"""

ima_entry = Table(
    "ima_entry",
    metadata,
    Column("id", Id, primary_key=True),
    Column("digest", LargeBinary(16), nullable=False, unique=True),
    Column("content", LargeBinary, nullable=False),
)
"""One IMA entry in the kernel's binary form, once for the whole fleet; `digest` begins its SHA-256."""

ima_chunk = Table(
    "ima_chunk",
    metadata,
    Column("boot", ForeignKey("boot.id"), primary_key=True),
    Column("first", Integer, primary_key=True),
    Column("entries", LargeBinary, nullable=False),
    Column("digest", LargeBinary(32)),
    sqlite_with_rowid=False,
)
"""Entries of a boot from index `first` on, in their order: ids of `ima_entry`, 8 bytes little-endian each.

`digest`: SHA-256 of the entries themselves; empty in rows of revision 0001.
"""

result = Table(
    "result",
    metadata,
    Column("id", Id, primary_key=True),
    Column("node", ForeignKey("node.id"), nullable=False),
    Column("boot", ForeignKey("boot.id"), index=True),
    Column("first_at", Time, nullable=False),
    Column("last_at", Time, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("contraindicated", Boolean, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("document", LargeBinary, nullable=False),
)
Index("ix_result_node_last", result.c.node, result.c.last_at)
"""History: a row for each change of a node's verdict, with when it was first and last given."""

node_state = Table(
    "node_state",
    metadata,
    Column("node", ForeignKey("node.id"), primary_key=True),
    Column("boot", ForeignKey("boot.id"), index=True),
    Column("result", ForeignKey("result.id"), index=True),
    Column("accepted", Integer, nullable=False),
    Column("accepted_at", Time),
    Column("nonce_issued", BigInteger, nullable=False),
    Column("due", Time, nullable=False),
    Column("silence", SmallInteger, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("contraindicated", Boolean, nullable=False),
    Column("rules", LargeBinary(32)),
    Column("evidence", LargeBinary),
    Column("posture", ForeignKey("blob.id"), index=True),
    Column("agent", Words(200), nullable=False),
    Column("notes", LargeBinary),
    Column("attempted_at", Time),
    Column("refusal", Words(1024)),
    Column("version", BigInteger, nullable=False, server_default="0"),
    Column("sealed", LargeBinary),
)
Index("ix_node_state_due", node_state.c.silence, node_state.c.due)
"""What changes with each attestation; `rules`: digest of those that the verdict was made by.

`evidence`: the last accepted quote with its PCRs and nonce, CBOR; `sealed`: what was judged, under the service's seal.
"""

finding = Table(
    "finding",
    metadata,
    Column("node", ForeignKey("node.id"), primary_key=True),
    Column("check", Words(128), primary_key=True),
    Column("tier", Words(16), nullable=False),
    Column("count", Integer, nullable=False),
    Column("path", Words(1024)),
    Column("why", Words(1024), nullable=False),
    Column("keeps_down", Boolean, nullable=False, server_default=false()),
    sqlite_with_rowid=False,
)
Index("ix_finding_check", finding.c.check, finding.c.tier)
Index("ix_finding_keeps_down", finding.c.keeps_down, finding.c.check)
"""What is not in order now, by node and check, so that the fleet's findings are grouped without opening results.

`keeps_down`: it keeps the node from its next level; `count` 0: nothing was found out, which a level needs.
"""

policy = Table(
    "policy",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Words(128), nullable=False),
    Column("version", Integer, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("active", Boolean, nullable=False),
    UniqueConstraint("name", "version"),
    *_answered_for(),
)
IN_FORCE = text("active")
Index("uq_policy_active", policy.c.active, unique=True, sqlite_where=IN_FORCE, postgresql_where=IN_FORCE)
"""One at most is in force."""

reference_set = Table(
    "reference_set",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Words(128), nullable=False),
    Column("version", Integer, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("state", Words(16), nullable=False),
    Column("changed_at", Time, nullable=False),
    UniqueConstraint("name", "version"),
    *_answered_for(),
)

maintenance = Table(
    "maintenance",
    metadata,
    Column("id", Id, primary_key=True),
    Column("scope", Words(160), nullable=False),
    Column("reason", Words(1024), nullable=False),
    Column("begins_at", Time, nullable=False),
    Column("ends_at", Time, nullable=False),
    CheckConstraint("ends_at > begins_at", name="order"),
    *_answered_for(),
)
"""`scope`: `node:NAME`, `role:ROLE` or `all`."""

acknowledgement = Table(
    "acknowledgement",
    metadata,
    Column("id", Id, primary_key=True),
    Column("check", Words(128), nullable=False),
    Column("scope", Words(160), nullable=False),
    Column("path", Words(1024)),
    Column("reason", Words(1024), nullable=False),
    Column("expires_at", Time, nullable=False),
    Column("ended_at", Time),
    *_answered_for(),
)

alarm = Table(
    "alarm",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Words(32), nullable=False),
    Column("why", Words(1024), nullable=False),
    Column("raised_at", Time, nullable=False),
    Column("cleared_at", Time),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", Time, nullable=False, index=True),
    Column("account", Words(128), nullable=False),
    Column("role", Words(32), nullable=False),
    Column("address", Words(64), nullable=False),
    Column("action", Words(64), nullable=False),
    Column("target", Words(256), nullable=False),
    Column("detail", Words(4096), nullable=False),
)

beat = Table(
    "beat",
    metadata,
    Column("id", SmallInteger, primary_key=True),
    Column("at", Time, nullable=False),
    Column("excused_until", Time, nullable=False, server_default="0"),
)
"""When the service was last alive: one row, written every few seconds; nobody is late before `excused_until`."""

lease = Table(
    "lease",
    metadata,
    Column("name", Words(32), primary_key=True),
    Column("holder", Words(64), nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("expires_at", Time, nullable=False),
)
"""Who does alone what one must do alone, until when; `fence` counts up with each other holder."""

known_key = Table(
    "known_key",
    metadata,
    Column("name", Words(32), primary_key=True),
    Column("digest", LargeBinary(32), nullable=False),
)
"""What keys that Verifiers share are told from others by; not the keys."""

generation = Table(
    "generation",
    metadata,
    Column("name", Words(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""Counters of what Verifiers hold in memory beside nodes: one that went up says that it has to be read again."""
