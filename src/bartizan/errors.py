"""The error tree, split by who is at fault; it raises nothing and formats nothing for people.

Sender: `DecodeError`, `VerifyError`. Operator: `PolicyError`, `ConfigError`. Outside world: `ConnectorError`.
Anything else that escapes is a bug of ours.
"""


class BartizanError(Exception):
    """Base of every failure that Bartizan foresees."""


class SenderError(BartizanError):
    """Whoever sent the bytes is at fault."""


class DecodeError(SenderError):
    """The bytes are not what the format allows.

    what: the field or structure; offset: bytes from the start of the input; why: what was expected and found.
    """

    def __init__(self, what: str, offset: int, why: str) -> None:
        super().__init__(f"{what} at byte {offset}: {why}")
        self.what = what
        self.offset = offset
        self.why = why


class VerifyError(SenderError):
    """The bytes are well formed, but they do not prove what they claim.

    check: the id of the rule that failed (as in `data/checks`); why: what was expected and found.
    """

    def __init__(self, check: str, why: str) -> None:
        super().__init__(f"{check}: {why}")
        self.check = check
        self.why = why


class OperatorError(BartizanError):
    """Whoever configured or called Bartizan is at fault."""


class PolicyError(OperatorError):
    """A policy, level table, check description or Reference Value set cannot be used."""


class ConfigError(OperatorError):
    """An argument, file or setting is missing or contradicts another."""


class DeclinedError(OperatorError):
    """A service that was asked said no.

    what: the kind of refusal; why: in its words; status: of HTTP; errors: one line for each fault; advice: what to do.
    """

    def __init__(self, what: str, why: str, *, status: int, errors: tuple[str, ...] = (), advice: str = "") -> None:
        super().__init__("; ".join(part for part in (why, *errors, advice) if part))
        self.what = what
        self.why = why
        self.status = status
        self.errors = errors
        self.advice = advice


class ConnectorError(BartizanError):
    """Something outside Bartizan (a TPM, a network peer, a tool) did not do its part."""
