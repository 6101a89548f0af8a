"""What `--keep` leaves behind: evidence folders, the rules to judge them by, and a note on what must come out.

It judges nothing, and it leaves files alone that no demonstration wrote.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bartizan.app.evidence_folder import KNOWN
from bartizan.app.reference_folder import write_reference, write_whole
from bartizan.errors import ConfigError
from bartizan.model.reference import ReferenceSet
from bartizan.model.result import AttestationResult

NOTE = "README.txt"
TITLE = "Kept by bartizan demo"
POLICY, EVIDENCE, ROOTS, REFERENCE = "policy.toml", "evidence", "roots", "reference"
RULES = f"--roots {ROOTS} --reference {REFERENCE} --policy {POLICY}"
GOOD_LEVEL = 4
"""What `appraise` requires unless it is told otherwise; below it, or contraindicated, its exit code is 1."""
UNFINISHED = "The demonstration has not come to its end: what is not listed here may be incomplete."
NOT_KEPT = (
    "Not here: foreign-tpm. That attack cannot be shown from a folder: its evidence is in order by itself,",
    "and only a Verifier that remembers the enrolled node's key notices that it comes from another TPM.",
)


@dataclass(slots=True, kw_only=True)
class Kept:
    """The folder of one demonstration, and what was said of its evidence so far; later steps replace earlier ones."""

    folder: Path
    said: dict[str, AttestationResult] = field(default_factory=dict)

    def roots(self, certificates: Iterable[Path]) -> None:
        """The accepted CAs."""
        for path in certificates:
            write_whole(self.folder / ROOTS, path.name, path.read_bytes())

    def policy(self, text: str) -> None:
        """The policy that the steps are judged by once there are Reference Values."""
        write_whole(self.folder, POLICY, text.encode())

    def reference(self, reference: ReferenceSet) -> None:
        """The Reference Values."""
        write_reference(reference, self.folder / REFERENCE)

    def evidence(self, step: str, files: Mapping[str, bytes], *, asked: bytes) -> None:
        """What a machine answered, and the challenge that it should have answered.

        Raises:
            ConfigError: it cannot be written.
        """
        folder = self.folder / EVIDENCE / step
        try:
            for name in KNOWN:
                (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(f"{folder}: cannot be written: {error.strerror}") from error
        for name, content in {**files, "nonce.bin": asked}.items():
            write_whole(folder, name, content)

    def expect(self, step: str, result: AttestationResult) -> None:
        """Note what the demonstration says of a folder, which `appraise` must say as well."""
        self.said[step] = result
        self.note(UNFINISHED)

    def note(self, ending: str = "") -> None:
        """Write the note anew."""
        lines = [TITLE, "", "Each folder below is one attestation. In the folder of this file, each command must say:"]
        for step, result in self.said.items():
            bad = ", contraindicated" if result.contraindicated else ""
            code = 1 if result.contraindicated or result.level < GOOD_LEVEL else 0
            lines += ["", f"{EVIDENCE}/{step}: level {result.level}{bad} (exit code {code})"]
            lines.append(f"    bartizan appraise {EVIDENCE}/{step} {RULES}")
        lines += ["", "`explain` instead of `appraise` says it in sentences.", "", *NOT_KEPT]
        lines += ["", ending] if ending else []
        write_whole(self.folder, NOTE, ("\n".join(lines) + "\n").encode())


def open_kept(folder: Path) -> Kept:
    """A folder to keep a demonstration in: a new one, an empty one, or one that an earlier demonstration wrote.

    Raises:
        ConfigError: it holds something else, or it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        empty = not any(folder.iterdir())
        ours = (folder / NOTE).is_file() and (folder / NOTE).read_bytes().startswith(TITLE.encode() + b"\n")
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be used: {error.strerror}") from error
    if not empty and not ours:
        raise ConfigError(
            f"{folder}: an empty folder expected, or one that an earlier demo wrote: this one has other files"
            f" and no {NOTE} of a demo; choose another for --keep"
        )
    kept = Kept(folder=folder)
    kept.note(UNFINISHED)
    return kept
