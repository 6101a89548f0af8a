"""A machine of the demonstration: a real emulated TPM, a recorded boot replayed into it, and an Attester's answers."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from bartizan.app.demo.recordings import Boot
from bartizan.collect.identity import create_ak, open_ek
from bartizan.collect.tpm import KeyBlob, Tpm
from bartizan.connectors.swtpm.control import Control
from bartizan.connectors.swtpm.launch import Measurement, dynamic_launch, power_on
from bartizan.formats.ima import encode_binary
from bartizan.formats.tcg_log_writer import encode_agile_log
from bartizan.formats.tpm2 import encode_credential
from bartizan.model.boot_log import BootLog, EventType, LogFormat
from bartizan.model.digest import PCR_COUNT, HashAlg
from bartizan.model.ima import ImaEntry
from bartizan.model.tpm import Credential
from bartizan.verify.replay import startup_locality

BANKS = (HashAlg.SHA1, HashAlg.SHA256, HashAlg.SHA384)
ALL_PCRS: Mapping[int, Iterable[int]] = {bank: range(PCR_COUNT) for bank in BANKS}
LAUNCH = (
    Measurement(locality=3, pcr=17, event_type=EventType.TXT_SINIT_PUBKEY_HASH, data=b"SINIT public key"),
    Measurement(locality=3, pcr=18, event_type=EventType.TXT_MLE_HASH, data=b"measured launch environment"),
    Measurement(locality=2, pcr=18, event_type=EventType.TBOOT_MODULE, data=b"kernel and command line"),
    Measurement(locality=2, pcr=19, event_type=EventType.TBOOT_MODULE, data=b"initramfs"),
)
"""What the dynamic launch of one machine measures; the module itself goes through the hash sequence."""


@dataclass(slots=True, kw_only=True)
class Machine:
    """One emulated machine; `files` is what it has of its boot, as its kernel would hand it out."""

    name: str
    role: str
    tpm: Tpm
    control: Control
    ak: KeyBlob | None = None
    files: dict[str, bytes] = field(default_factory=dict)

    def boot(self, boot: Boot) -> None:
        """Power off and on, and extend every measurement of the boot, from the locality that the log states."""
        power_on(self.control, self.tpm, locality=startup_locality(boot.log))
        for event in boot.log.events:
            if event.reported_type != EventType.NO_ACTION:
                self.tpm.pcr_extend(event.pcr, event.digests)
        for entry in boot.ima.entries:
            self.tpm.pcr_extend(entry.pcr, extensions(entry))
        self.files["bios_at_quote.bin"] = encode_agile_log(boot.log)
        self.files["ima_at_quote.bin"] = encode_binary(boot.ima)
        self.files.pop("txt_eventlog.bin", None)

    def launch(self) -> None:
        """A real dynamic launch on the running machine."""
        events = dynamic_launch(self.control, self.tpm, module=b"SINIT ACM" * 64, measurements=LAUNCH)
        log = BootLog(format=LogFormat.TXT, algorithms=tuple(BANKS), events=events)
        self.files["txt_eventlog.bin"] = encode_agile_log(log)

    def make_keys(self) -> None:
        """Read the endorsement key and its certificate, make an attestation key beside it."""
        with open_ek(self.tpm) as ek:
            self.ak = create_ak(self.tpm, ek)
            self.files |= {"ek.pub": ek.public, "ek_cert.der": ek.certificate or b"", "ak.pub": self.ak.public}

    def activate(self, credential: Credential) -> bytes:
        """Open the Verifier's secret, which only this TPM can."""
        id_object, secret = encode_credential(credential)
        with open_ek(self.tpm) as ek, self.tpm.loaded(ek.handle, self._key()) as ak:
            return self.tpm.activate_credential(ak, ek.handle, id_object=id_object, encrypted_secret=secret)

    def answer(self, extra_data: bytes, banks: Mapping[int, Iterable[int]] = ALL_PCRS) -> dict[str, bytes]:
        """A fresh quote, the PCR values, and the logs, by file name."""
        with open_ek(self.tpm) as ek, self.tpm.loaded(ek.handle, self._key()) as ak:
            attest, signature = self.tpm.quote(ak, extra_data, banks)
        values = self.tpm.pcr_read(banks)
        pcrs = {
            HashAlg(alg).label: {str(pcr): value.hex() for pcr, value in bank.items()} for alg, bank in values.items()
        }
        quoted = {"quote.attest": attest, "quote.sig": signature}
        return self.files | quoted | {"pcrs_at_quote.json": json.dumps(pcrs, indent=1).encode()}

    def _key(self) -> KeyBlob:
        if self.ak is None:
            raise AssertionError("make_keys comes first")
        return self.ak

    def close(self) -> None:
        """Let go of the TPM."""
        with suppress(OSError):
            self.tpm.close()


def extensions(entry: ImaEntry) -> dict[int, bytes]:
    """What the recorded kernel (Debian 6.1) extends: its sha384 bank takes the SHA-1 hash padded with zeros."""
    if entry.is_violation:
        return {bank: b"\xff" * bank.size for bank in BANKS}
    data = entry.template_data or b""
    sha1 = HashAlg.SHA1.digest(data)
    return {
        HashAlg.SHA1: sha1,
        HashAlg.SHA256: HashAlg.SHA256.digest(data),
        HashAlg.SHA384: sha1.ljust(HashAlg.SHA384.size, b"\0"),
    }
