"""What can go wrong for the agent, by who has to act; each kind ends a command with its own exit status."""

from __future__ import annotations

JUDGED_BAD, UNUSABLE, OUTSIDE = 1, 2, 3
"""Exit statuses: the service said no; what was given here cannot be used; the network or the TPM failed."""


class AgentError(Exception):
    """Anything that the agent reports in words; `status` is the exit status of a command that ends with it."""

    status = OUTSIDE


class Unusable(AgentError):  # noqa: N818  named for the state of things, as `Refused` is
    """What the operator gave cannot be used: a pin, an address, a file of the state folder."""

    status = UNUSABLE


class Refused(AgentError):  # noqa: N818
    """The service says no, and asking again would not change it."""

    status = JUDGED_BAD


class NoAnswer(AgentError):  # noqa: N818
    """The service could not be reached, is not the pinned one, or its answer broke off."""


class CollectError(AgentError):
    """The collector could not do its part: the TPM, a log or the way to the other process failed."""


class OtherHalfGone(Exception):  # noqa: N818
    """The process at the other end of our one connection is gone or out of step: nothing can be done in this one."""


class MessageError(AgentError):
    """A message is not what the protocol says: what, where in it, and why."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what}: {why}")
        self.what = what
        self.why = why
