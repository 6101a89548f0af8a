"""Condense Microsoft's own description of its dbx into the counts and hashes `tests/unit/test_dbx_update.py` needs.

python condense_dbx_oracle.py DBX_INFO_JSON OUT
"""

import hashlib
import json
import sys
from pathlib import Path


def main(source: Path, out: Path) -> None:
    info = json.loads(source.read_text(encoding="utf-8"))
    table: dict[str, object] = {}
    for architecture, images in sorted(info["images"].items()):
        digests = sorted({image["authenticodeHash"].lower() for image in images})
        whole = hashlib.sha256(bytes.fromhex("".join(digests))).hexdigest()
        table[architecture] = {"images": len(digests), "sha256_of_sorted": whole}
    table["security_versions"] = [[each["value"].lower(), each["version"]] for each in info["svns"]]
    table["certificates"] = [each["thumbprint"] for each in info["certificates"]]
    out.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
