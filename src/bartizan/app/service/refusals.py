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
