"""`bartizan reference approve|retire|revoke|limit`: where a set on disk stands in its life, and when it counts."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from bartizan.app.reference_folder import read_reference, write_reference
from bartizan.app.sign_reference import sign_folder
from bartizan.errors import ConfigError
from bartizan.model.reference import ReferenceSet, ReferenceState
from bartizan.reference.life_cycle import check_bounded, moved
from bartizan.reference.propose import canonical


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From when until when a set counts; None leaves each as it is."""

    valid_from: datetime | None = None
    valid_until: datetime | None = None

    def on(self, reference: ReferenceSet) -> ReferenceSet:
        """The set within this window.

        Raises:
            ConfigError: it would end before it begins.
        """
        begin = self.valid_from or reference.valid_from
        end = self.valid_until or reference.valid_until
        if begin is not None and end is not None and end <= begin:
            raise ConfigError(f"the set would end at {end:%Y-%m-%d %H:%M} UTC, before it begins")
        return canonical(replace(reference, valid_from=begin, valid_until=end))


def limit_set(folder: Path, window: Window) -> tuple[ReferenceSet, Path]:
    """Give the set in a folder another window; it gets another digest by that, and its signatures go.

    Raises:
        ConfigError: there is none, or it cannot be written. DecodeError: its document is not one. PolicyError: it is
            retired or revoked.
    """
    reference = read_reference(folder)
    check_bounded(reference)
    limited = window.on(reference)
    return limited, write_reference(limited, folder)


def move_set(
    folder: Path, state: ReferenceState, *, window: Window | None = None, key: Path | None = None
) -> tuple[ReferenceSet, Path]:
    """Bring the set in a folder into another state, and sign it if a key is given; older signatures go.

    Raises:
        ConfigError: there is none, it cannot be written, or the key is none. DecodeError: its document is not one.
        PolicyError: that state cannot follow the one it is in.
    """
    reference = (window or Window()).on(moved(read_reference(folder), state))
    path = write_reference(reference, folder)
    if key is not None:
        sign_folder(folder, key)
    return reference, path
