"""Who may do what: one row an operation, by the id that it has in the OpenAPI document. What has no row is refused.

docs/reference/api.md shows the same table; a test holds the two, and every route, against each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bartizan.model.node import Role


@dataclass(frozen=True, slots=True)
class Right:
    """Roles that may. whole: only accounts of the default project, for it concerns every project's nodes.

    An empty set of roles: everybody may, signed in or not.
    """

    roles: frozenset[Role]
    whole: bool = False


EVERYBODY = Right(frozenset())
SIGNED_IN = Right(frozenset(Role))
READ_ALL = Right(frozenset(Role), whole=True)
OPERATE = Right(frozenset({Role.OPERATOR}))
OFFICER = Right(frozenset({Role.SECURITY_OFFICER}), whole=True)
MAKERS = Right(frozenset({Role.OPERATOR, Role.SECURITY_OFFICER}))
TRY = Right(frozenset({Role.OPERATOR, Role.SECURITY_OFFICER}), whole=True)
OVERSIGHT = Right(frozenset({Role.SECURITY_OFFICER, Role.AUDITOR}), whole=True)
AUDIT = Right(frozenset({Role.AUDITOR}), whole=True)
EVIDENCE = Right(frozenset({Role.AUDITOR}))

RIGHTS: Mapping[str, Right] = {
    "sign_in": EVERYBODY,
    "who_am_i": SIGNED_IN,
    "sign_out": SIGNED_IN,
    "list_accounts": OVERSIGHT,
    "create_account": OFFICER,
    "change_account": OFFICER,
    "list_api_tokens": SIGNED_IN,
    "create_api_token": MAKERS,
    "revoke_api_token": MAKERS,
    "list_join_tokens": SIGNED_IN,
    "create_join_token": OPERATE,
    "withdraw_join_token": OPERATE,
    "list_endorsement_keys": SIGNED_IN,
    "register_endorsement_keys": OPERATE,
    "withdraw_endorsement_key": OPERATE,
    "list_reviews": SIGNED_IN,
    "approve_review": OPERATE,
    "reject_review": OPERATE,
    "list_nodes": SIGNED_IN,
    "show_node": SIGNED_IN,
    "retire_node": OPERATE,
    "show_result": SIGNED_IN,
    "show_evidence": EVIDENCE,
    "list_history": SIGNED_IN,
    "show_history_entry": SIGNED_IN,
    "list_node_findings": SIGNED_IN,
    "list_findings": SIGNED_IN,
    "show_gap": SIGNED_IN,
    "list_acknowledgements": SIGNED_IN,
    "acknowledge_finding": OPERATE,
    "withdraw_acknowledgement": OPERATE,
    "list_maintenance": SIGNED_IN,
    "open_maintenance": OPERATE,
    "close_maintenance": OPERATE,
    "list_policies": SIGNED_IN,
    "show_policy": SIGNED_IN,
    "upload_policy": OFFICER,
    "try_policy": TRY,
    "activate_policy": OFFICER,
    "deactivate_policy": OFFICER,
    "list_references": SIGNED_IN,
    "show_reference": SIGNED_IN,
    "show_reference_document": SIGNED_IN,
    "compare_references": SIGNED_IN,
    "propose_reference": OFFICER,
    "try_reference": TRY,
    "approve_reference": OFFICER,
    "retire_reference": OFFICER,
    "revoke_reference": OFFICER,
    "export_audit": AUDIT,
    "list_alarms": READ_ALL,
    "show_reappraisal": READ_ALL,
    "rotate_keys": OFFICER,
    "live": EVERYBODY,
    "ready": EVERYBODY,
    "metrics": EVERYBODY,
}
