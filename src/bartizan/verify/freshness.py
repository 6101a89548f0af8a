"""Clock and counters of consecutive quotes: the same boot, a new one, or a step back that must not happen."""

from enum import Enum

from bartizan.errors import VerifyError
from bartizan.model.tpm import ClockInfo


class Continuity(Enum):
    """How a quote relates to the one before it."""

    FIRST = "first"
    SAME_BOOT = "same boot"
    NEW_BOOT = "new boot"


def check_clock(previous: ClockInfo | None, current: ClockInfo) -> Continuity:
    """Relate a quote's clock to the last accepted one; TPM 2.0 Part 1, 36 and Part 2, 10.11.

    Steps: (1) resetCount never goes back; (2) a change of resetCount or restartCount is a new boot, for which full
    logs are needed; (3) within a boot the clock never goes back while `safe` is set.

    Raises:
        VerifyError: a counter or the clock went back: an old quote, or a TPM that was set back.
    """
    if previous is None:
        return Continuity.FIRST
    if current.reset_count < previous.reset_count:  # (1)
        why = f"resetCount went back from {previous.reset_count} to {current.reset_count}"
        raise VerifyError("quote.clock", why)
    if current.reset_count > previous.reset_count:  # (2)
        return Continuity.NEW_BOOT
    if current.restart_count < previous.restart_count:
        why = f"restartCount went back from {previous.restart_count} to {current.restart_count} within one boot"
        raise VerifyError("quote.clock", why)
    if current.safe and previous.safe and current.clock < previous.clock:  # (3)
        why = f"the TPM's clock went back: {previous.clock} ms, then {current.clock} ms"
        raise VerifyError("quote.clock", why)
    return Continuity.SAME_BOOT if current.restart_count == previous.restart_count else Continuity.NEW_BOOT
