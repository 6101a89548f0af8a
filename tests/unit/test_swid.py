"""SWID tags and TCG RIMs: what they name, and what makes one unusable."""

from pathlib import Path

import pytest

from bartizan.errors import DecodeError
from bartizan.formats import swid
from bartizan.formats.swid import ISO, decode_swid
from bartizan.model.corim import ManifestDigest, Organisation

HIRS = Path(__file__).parents[1] / "vectors" / "rim" / "nsacyber_HIRS"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
SHA384 = "http://www.w3.org/2001/04/xmldsig-more#sha384"
ENTITY = '<Entity name="ACME" regid="acme.example" role="tagCreator softwareCreator"/>'


def tag(inside: str = "", attributes: str = 'name="Tool" tagId="tool-1"', entity: str = ENTITY) -> bytes:
    return (
        f'<SoftwareIdentity xmlns="{ISO}" xmlns:a="{SHA256}" xmlns:b="{SHA384}" {attributes}>'
        f"{entity}{inside}</SoftwareIdentity>"
    ).encode()


def paths(inside: str) -> list[str]:
    return [file.path for file in decode_swid(tag(f"<Payload>{inside}</Payload>")).software.files]


def test_a_base_rim_is_read() -> None:
    found = decode_swid((HIRS / "laptop_varOsInstall_oem.1.swidtag").read_bytes())

    software = found.software
    assert (software.identity.id, software.identity.version) == ("94f6b457-9ac9-4d35-9b3f-78804173b65a", 1)
    assert (software.name, software.version, software.supplemental) == ("Dell5580", "0.1", False)
    assert software.entities == (
        Organisation(name="OEM1", roles=("softwareCreator", "tagCreator"), uri="http://Example.com"),
    )
    assert [file.path for file in software.files] == ["/boot/tcg/rim/support/dell5580_varOSInstall_oem.1.rimel"]
    assert software.files[0].size == 17569
    assert software.links == (("https://Example.com/support/ProductA/firmware/installfiles", "installationmedia"),)
    assert software.meta["n8060:product"] == "Dell 5580"
    assert found.rim["platformmodel"] == "Latitude 5580"
    assert (found.is_pc_client, found.signed) == (True, True)


def test_a_supplemental_rim_says_what_it_adds_to() -> None:
    found = decode_swid((HIRS / "laptop_varOsInstall_var.1.swidtag").read_bytes())

    assert found.software.supplemental
    assert found.rim["rimlinkhash"] == "4Jocgla7QhDNd0Fs+nDfBUTLQsltTgd6Yob5ChlDg74="


def test_a_plain_tag_is_no_rim() -> None:
    found = decode_swid(tag())

    assert (found.is_pc_client, found.signed, found.rim, found.software.files) == (False, False, {}, ())


def test_hashes_are_read_by_their_namespace() -> None:
    hashes = f'a:hash="{"AB" * 32}" b:hash="{"cd" * 48}" a:other="1"'
    inside = f'<Payload><File name="a" {hashes} size="5" version="2"/></Payload>'

    (file,) = decode_swid(tag(inside)).software.files

    assert file.digests == (ManifestDigest("sha-256", b"\xab" * 32), ManifestDigest("sha-384", b"\xcd" * 48))
    assert (file.size, file.version) == (5, "2")


def test_a_file_has_the_path_of_its_directories() -> None:
    assert paths('<Directory name="usr"><Directory name="bin"><File name="a"/></Directory></Directory>') == [
        "usr/bin/a"
    ]
    assert paths('<Directory root="/" name="usr"><File name="a" location="x"/></Directory>') == ["/usr/x/a"]
    assert paths('<Directory location="/opt" name="b"><File name="a" root="/srv"/></Directory>') == ["/srv/a"]
    assert paths('<Directory name="/abs"><File name="a"/></Directory><File name="top"/>') == ["top", "/abs/a"]
    assert paths('<Directory><File name="a"/></Directory>') == ["a"]


def test_evidence_is_kept_apart_from_payload() -> None:
    found = decode_swid(tag('<Evidence><File name="a"/></Evidence>')).software

    assert (len(found.files), len(found.found)) == (0, 1)


def test_elements_of_another_namespace_are_passed_over() -> None:
    assert decode_swid(tag('<Payload xmlns="urn:other"><File name="a"/></Payload>')).software.files == ()


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"<SoftwareIdentity/>", "SoftwareIdentity of"),
        (tag(attributes='tagId="x"'), "attribute name is missing"),
        (tag(attributes='name="x"'), "attribute tagId is missing"),
        (tag(attributes='name="x" tagId=""'), "attribute tagId is missing"),
        (tag(attributes='name="x" tagId="x" tagVersion="1.0"'), "decimal number expected"),
        (tag(attributes='name="x" tagId="x" patch="yes"'), "true or false expected"),
        (tag(entity=""), "an Entity expected"),
        (tag(entity='<Entity name="x"/>'), "attribute role is missing"),
        (tag(entity='<Entity role="x"/>'), "attribute name is missing"),
        (tag('<Link rel="x"/>'), "attribute href is missing"),
        (tag("<Payload><File/></Payload>"), "attribute name is missing"),
        (tag('<Payload><File name="a" size="-1"/></Payload>'), "decimal number expected"),
        (tag('<Payload><File name="a" a:hash="abc"/></Payload>'), "64 hexadecimal digits expected, found 3"),
        (tag(f'<Payload><File name="a" a:hash="{"xy" * 32}"/></Payload>'), "hexadecimal expected"),
        (b"not xml", "not XML"),
    ],
)
def test_what_is_no_tag_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(DecodeError) as refused:
        decode_swid(raw)

    assert why in refused.value.why


def test_files_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swid, "MAX_FILES", 1)

    with pytest.raises(DecodeError, match="more than 1 files"):
        paths('<File name="a"/><File name="b"/>')
