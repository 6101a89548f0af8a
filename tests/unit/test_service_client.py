"""The client of a service: every way that it can fail has words, lists are followed, nothing is changed twice."""

import ssl
from typing import Any

import httpx
import pytest

from bartizan.connectors.service.address import Reach, checked_pin, checked_url, tls_context
from bartizan.connectors.service.client import MAX_ANSWER, TRIES, ServiceClient
from bartizan.connectors.service.documents import Self
from bartizan.errors import ConfigError, ConnectorError, DeclinedError
from tests.unit.service_double import URL, Double, page, problem

ME = {"account": "ann", "role": "viewer", "every_project": True, "new member": 1}


def failed(kind: type[httpx.HTTPError], cause: Exception | None = None) -> httpx.HTTPError:
    """A failure as httpx raises it."""
    made = kind("it failed")
    made.__cause__ = cause
    return made


def asked(answer: httpx.Response | Exception) -> Self:
    double = Double()
    double.on("GET /v1/session", answer)
    with double.client() as client:
        return client.get("/v1/session", Self)


def test_a_document_is_typed_and_what_is_new_in_it_passed_over() -> None:
    assert asked(httpx.Response(200, json=ME)) == Self(account="ann", role="viewer", every_project=True)


def test_the_token_goes_into_the_header() -> None:
    double = Double()
    double.on("GET /v1/session", ME)
    with double.client() as client:
        client.get("/v1/session", Self)

    assert double.asked[0].headers["authorization"] == "Bearer bzt_secret"


CERTIFICATE = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")
OUTSIDE = {
    "nobody": (failed(httpx.ConnectTimeout), "nobody answers there"),
    "late": (failed(httpx.ReadTimeout), "whether it did what was asked is not known"),
    "refused": (failed(httpx.ConnectError, ConnectionRefusedError()), "nothing listens there"),
    "unknown authority": (failed(httpx.ConnectError, CERTIFICATE), "give its pin"),
    "no TLS": (failed(httpx.ConnectError, ssl.SSLError(1, "wrong version number")), "is it https"),
    "no name": (failed(httpx.ConnectError, OSError(-2, "Name or service not known")), "Name or service not known"),
    "broken": (failed(httpx.RemoteProtocolError), "the connection failed: it failed"),
    "bug": (problem(500, "the service failed; its log says how"), "its log says how"),
    "too often": (problem(429, "too many", headers={"Retry-After": "9"}), "too many; come back in 9 s"),
    "another server": (
        httpx.Response(404, text="<h1>not here</h1>"),
        "answers 404 Not Found, and not as Bartizan does",
    ),
    "another status": (httpx.Response(599, text=""), "answers 599"),
    "a broken refusal": (
        httpx.Response(403, content=b"{", headers={"content-type": "application/problem+json"}),
        "is this the service's address?",
    ),
    "another document": (httpx.Response(200, json={"account": 7}), "of the same version?"),
    "no document": (httpx.Response(200, content=b"\xff"), "of the same version?"),
    "a redirect": (httpx.Response(302, headers={"location": "https://elsewhere.test/"}), "answers 302"),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_fails_outside_has_words_with_the_address(name: str) -> None:
    answer, words = OUTSIDE[name]

    with pytest.raises(ConnectorError) as found:
        asked(answer)

    assert str(found.value).startswith(URL)
    assert words in str(found.value)


def test_an_endless_answer_is_let_go() -> None:
    with pytest.raises(ConnectorError, match="over the limit"):
        asked(httpx.Response(200, content=b" " * (MAX_ANSWER + 1)))


def test_text_that_is_none_is_said_so() -> None:
    double = Double()
    double.on("GET /v1/x", httpx.Response(200, content=b"\xff"))

    with double.client() as client, pytest.raises(ConnectorError, match="is no text"):
        client.text("/v1/x", "text/plain")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 413, 415, 422])
def test_a_refusal_keeps_the_services_words(status: int) -> None:
    with pytest.raises(DeclinedError) as found:
        asked(problem(status, "this needs the role operator", title="Not allowed"))

    assert (found.value.status, found.value.what, found.value.why) == (
        status,
        "Not allowed",
        "this needs the role operator",
    )


def test_each_fault_of_a_refusal_is_told() -> None:
    answer = httpx.Response(
        422,
        json={"title": "Unfit", "detail": "2 bad lines", "errors": ["line 1: no name", "line 2: no role"]},
        headers={"content-type": "application/problem+json"},
    )

    with pytest.raises(DeclinedError, match="2 bad lines; line 1: no name; line 2: no role"):
        asked(answer)


def test_a_busy_service_is_asked_again_when_it_says() -> None:
    double = Double()
    double.on("GET /v1/session", problem(503, "busy", headers={"Retry-After": "2"}), httpx.Response(200, json=ME))
    with double.client() as client:
        assert client.get("/v1/session", Self).account == "ann"

    assert double.pauses == [2]


@pytest.mark.parametrize(
    ("headers", "tries"),
    [({}, 1), ({"Retry-After": "soon"}, 1), ({"Retry-After": "999"}, 1), ({"Retry-After": "1"}, TRIES)],
)
def test_a_busy_service_is_not_asked_for_ever(headers: dict[str, str], tries: int) -> None:
    double = Double()
    double.on("GET /v1/session", problem(503, "busy", headers=headers))

    with double.client() as client, pytest.raises(ConnectorError, match="busy"):
        client.get("/v1/session", Self)

    assert len(double.asked) == tries


@pytest.mark.parametrize("answer", [problem(503, "busy", headers={"Retry-After": "1"}), failed(httpx.ReadTimeout)])
def test_a_change_is_never_sent_again(answer: httpx.Response | Exception) -> None:
    double = Double()
    double.on("POST /v1/x", answer)

    with double.client() as client, pytest.raises(ConnectorError):
        client.send("POST", "/v1/x", Self, {})

    assert (len(double.asked), double.pauses) == (1, [])


def listed(double: Double, **more: Any) -> list[str]:  # noqa: ANN401
    with double.client() as client:
        return [one.account for one in client.items("/v1/people", Self, **more)]


def person(name: str) -> dict[str, object]:
    return ME | {"account": name}


def test_a_list_is_followed_to_its_end() -> None:
    double = Double()
    double.on(
        "GET /v1/people", page(person("a"), person("b"), following="/v1/people?cursor=x&role=y"), page(person("c"))
    )

    assert listed(double, query=(("role", "y"), ("name", None), ("retired", True))) == ["a", "b", "c"]
    assert [str(one.url).removeprefix(URL) for one in double.asked] == [
        "/v1/people?limit=500&role=y&retired=true",
        "/v1/people?cursor=x&role=y",
    ]


@pytest.mark.parametrize(("most", "pages"), [(1, 1), (2, 1), (3, 2)])
def test_no_more_of_a_list_is_asked_for_than_is_wanted(most: int, pages: int) -> None:
    double = Double()
    double.on("GET /v1/people", page(person("a"), person("b"), following="/v1/people?cursor=x"), page(person("c")))

    assert listed(double, most=most) == ["a", "b", "c"][:most]
    assert len(double.asked) == pages


@pytest.mark.parametrize("following", ["https://elsewhere.test/v1/people", "//elsewhere.test/v1", "/people", ""])
def test_the_token_is_not_sent_where_a_list_does_not_go_on(following: str) -> None:
    double = Double()
    double.on("GET /v1/people", page(person("a"), following=following))

    with pytest.raises(ConnectorError, match="no next page"):
        listed(double)

    assert len(double.asked) == 1


def test_a_list_that_goes_round_in_circles_ends() -> None:
    double = Double()
    double.on("GET /v1/people", page(person("a"), following="/v1/people?cursor=x"))

    with pytest.raises(ConnectorError, match="no next page"):
        listed(double)

    assert len(double.asked) == 2


@pytest.mark.parametrize(
    "url",
    [
        "",
        "verifier:8443",
        "ftp://verifier",
        "https://",
        "https://ann@verifier",
        "https://verifier?x=1",
        "https://verifier/#x",
        "https://verifier:port",
        "https://veri fier",
        "https://verifier:0",
        "https://[::1",
        "http://verifier",
        "http://10.0.0.1:80",
        "https://verifier\n",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="service"):
        checked_url(url)


@pytest.mark.parametrize("url", ["https://verifier/", "http://127.0.0.1:1", "http://[::1]:8443", "http://localhost"])
def test_an_address_loses_the_slash_at_its_end(url: str) -> None:
    assert checked_url(url) == url.rstrip("/")


@pytest.mark.parametrize("pin", ["", "0" * 64, "sha256:" + "0" * 63, "sha256:" + "g" * 64, "sha1:" + "0" * 64])
def test_what_is_no_pin_is_refused(pin: str) -> None:
    with pytest.raises(ConfigError, match="pin"):
        checked_pin(pin)


def test_plain_http_with_a_pin_is_refused() -> None:
    with pytest.raises(ConfigError, match="leave the pin out"):
        ServiceClient(Reach(url="http://127.0.0.1:1", pin="sha256:" + "0" * 64))


def test_without_a_pin_the_systems_authorities_vouch() -> None:
    assert tls_context(None).verify_mode is ssl.CERT_REQUIRED
    assert tls_context(None).check_hostname
