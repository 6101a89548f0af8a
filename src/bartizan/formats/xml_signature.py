"""An enveloped XML signature's parts; XML Signature 1.1, 4. Nothing is verified, keys in it are not used."""

from bartizan.errors import DecodeError
from bartizan.formats.strict import base64_text
from bartizan.model.xml import XmlElement, XmlReference, XmlSignature

DSIG = "http://www.w3.org/2000/09/xmldsig#"
MAX_REFERENCES = 8
MAX_TRANSFORMS = 4


def read_signature(root: XmlElement) -> XmlSignature | None:
    """The signature right below the root; None when the document holds none.

    Raises:
        DecodeError: more than one, one elsewhere, or a part that is missing or out of place.
    """
    found = [element for element in root.walk() if (element.namespace, element.local) == (DSIG, "Signature")]
    if not found:
        return None
    if len(found) > 1 or found[0] not in list(root.elements):
        raise DecodeError("Signature", found[-1].offset, "one signature expected, right below the root")
    return _signature(found[0])


def _signature(element: XmlElement) -> XmlSignature:
    info = _only(element, "SignedInfo")
    references = [child for child in info.elements if child.local == "Reference"]
    if not 0 < len(references) <= MAX_REFERENCES:
        raise DecodeError("SignedInfo", info.offset, f"1 to {MAX_REFERENCES} references expected")
    return XmlSignature(
        element=element,
        signed_info=info,
        canonicalization=_algorithm(info, "CanonicalizationMethod"),
        method=_algorithm(info, "SignatureMethod"),
        references=tuple(_reference(child) for child in references),
        value=_octets(_only(element, "SignatureValue")),
        key_name=_key_name(element),
    )


def _reference(element: XmlElement) -> XmlReference:
    uri = element.attribute("URI")
    if uri is None:
        raise DecodeError("Reference", element.offset, "a URI expected")
    holders = [child for child in element.elements if child.local == "Transforms"]
    transforms = [child for holder in holders for child in holder.elements]
    if len(holders) > 1 or len(transforms) > MAX_TRANSFORMS or any(list(one.elements) for one in transforms):
        why = f"at most {MAX_TRANSFORMS} transforms without parameters expected"
        raise DecodeError("Transforms", element.offset, why)
    return XmlReference(
        uri=uri,
        transforms=tuple(_named(child) for child in transforms),
        digest_method=_algorithm(element, "DigestMethod"),
        digest=_octets(_only(element, "DigestValue")),
    )


def _only(element: XmlElement, local: str) -> XmlElement:
    found = [child for child in element.elements if (child.namespace, child.local) == (DSIG, local)]
    if len(found) != 1:
        raise DecodeError(element.local, element.offset, f"one {local} expected, found {len(found)}")
    return found[0]


def _algorithm(element: XmlElement, local: str) -> str:
    method = _only(element, local)
    if list(method.elements):
        raise DecodeError(local, method.offset, "parameters are not accepted")
    return _named(method)


def _named(element: XmlElement) -> str:
    name = element.attribute("Algorithm")
    if name is None:
        raise DecodeError(element.local, element.offset, "an Algorithm expected")
    return name


def _octets(element: XmlElement) -> bytes:
    if list(element.elements):
        raise DecodeError(element.local, element.offset, "text expected")
    try:
        return base64_text(element.text, element.local)
    except DecodeError as error:
        raise DecodeError(element.local, element.offset, error.why) from error


def _key_name(signature: XmlElement) -> str | None:
    for child in signature.elements:
        for inner in child.elements if child.local == "KeyInfo" else ():
            if inner.local == "KeyName":
                return inner.text.strip()
    return None
