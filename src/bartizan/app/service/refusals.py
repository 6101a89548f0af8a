"""What the service says no with, each with what the asker can do about it. `web` turns them into answers."""

from bartizan.errors import BartizanError, SenderError


class NonceError(SenderError):
    """A nonce that is not, or no longer, good; a new challenge mends it."""


class EnrolError(SenderError):
    """A node that may not enrol like this."""


class UnknownNode(SenderError):  # noqa: N818  it says what it is
    """Nobody of this id is enrolled."""


class LogsWanted(SenderError):  # noqa: N818  the same
    """What is held does not tell about this quote: everything has to come again."""


class InReview(BartizanError):  # noqa: N818  the same
    """A person has to look at it first. review: its number; retry_in: seconds."""

    def __init__(self, why: str, *, review: int, retry_in: int) -> None:
        super().__init__(why)
        self.review = review
        self.retry_in = retry_in


class Busy(BartizanError):  # noqa: N818  the same
    """Too much at once; come back after so many seconds."""

    def __init__(self, why: str, *, retry_after: int) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class SignInNeeded(BartizanError):  # noqa: N818  the same
    """Nobody who is known here asks."""


class NotAllowed(BartizanError):  # noqa: N818  the same
    """Somebody known asks for what is not theirs to have or do."""


class Missing(BartizanError):  # noqa: N818  the same
    """There is no such thing, or none that the asker may see."""


class Conflict(BartizanError):  # noqa: N818  the same
    """It cannot be done to this thing as it is now."""


class Changed(BartizanError):  # noqa: N818  the same
    """It is not any more what the asker saw."""


class Unfit(SenderError):  # noqa: N818  the same
    """What was sent is well formed and makes no sense. errors: one line for each fault."""

    def __init__(self, why: str, *, errors: tuple[str, ...] = ()) -> None:
        super().__init__(why)
        self.errors = errors


class TooOften(BartizanError):  # noqa: N818  the same
    """Too many attempts; come back after so many seconds."""

    def __init__(self, why: str, *, retry_after: int) -> None:
        super().__init__(why)
        self.retry_after = retry_after
