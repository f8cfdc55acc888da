"""Where a request may go, that it goes there, and that it ends."""

from __future__ import annotations

import datetime as dt
import json
import socket
import ssl
import threading
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pytest_httpserver import HTTPServer

from chatbot import public_http
from chatbot.http_request import run_request
from chatbot.public_http import is_public

NAME = "precos.exemplo.test"


def asked(url, **more):
    return run_request({"method": "GET", "url": url, "mapping": {"preco": "preco"}, **more})


@pytest.fixture
def names(monkeypatch, settings):
    """What a name server says, one answer after the other; a name of ours may be private."""
    settings.HTTP_NODE_PRIVATE_HOSTS = [NAME]
    real, answers = socket.getaddrinfo, {NAME: ["127.0.0.1"]}

    def resolve(host, port, *rest, **options):
        if host not in answers:
            return real(host, port, *rest, **options)
        assert answers[host], f"{host} was asked for again"
        return real(answers[host].pop(0), port, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return answers


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("64:ff9b::8.8.8.8", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104  # not bound to
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b:1::7f00:1", False),
        ("2002:7f00:1::", False),
        ("2001:0:7f00:1::", False),
    ],
)
def test_what_is_public(address, expected):
    assert is_public(ip_address(address)) is expected


@pytest.mark.parametrize(
    "url",
    [
        r"http://127.0.0.1:8000\@example.com/x",
        r"http://127.0.0.1\x.example.com/",
        "http://example.com@127.0.0.1/",
        "http://user:pass@example.com/",
        "http://127.0.0.1/",
        "http://example.com\r\nHost: x/",
        "http://exa mple.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "//127.0.0.1/",
        "http://",
        "http://[::1",
        "",
    ],
)
def test_an_address_that_is_not_plainly_public_is_refused(url):
    assert asked(url) == ("error", {})


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "interno.exemplo.test"])
def test_a_name_of_a_private_address_is_refused(names, httpserver, host, caplog):
    names[host] = ["127.0.0.1"]
    assert asked(f"http://{host}:{httpserver.port}/preco") == ("error", {})
    assert httpserver.log == []
    assert "Refused" in caplog.text


def test_the_connection_goes_where_the_name_was_judged_to_lead(names, httpserver):
    """A second answer of the name server is not asked for."""
    httpserver.expect_request("/preco").respond_with_json({"preco": 10})
    assert asked(f"http://{NAME}:{httpserver.port}/preco") == ("ok", {"preco": 10})
    assert httpserver.log[0][0].headers["Host"] == f"{NAME}:{httpserver.port}"


def test_of_several_addresses_the_first_that_answers_is_taken(names, httpserver, monkeypatch):
    monkeypatch.setattr(public_http, "_addresses_of", lambda _url: ["127.0.0.9", "127.0.0.1"])
    httpserver.expect_request("/preco").respond_with_json({"preco": 10})
    assert asked(f"http://{NAME}:{httpserver.port}/preco") == ("ok", {"preco": 10})


def test_tls_proves_the_name_although_the_address_is_fixed(names, tmp_path, monkeypatch, settings):
    chain, key = certificate(tmp_path, NAME)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(chain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    names["outro.exemplo.test"] = ["127.0.0.1"]
    settings.HTTP_NODE_PRIVATE_HOSTS = [NAME, "outro.exemplo.test"]
    with HTTPServer(ssl_context=context) as server:
        server.expect_request("/preco").respond_with_json({"preco": 10})
        assert asked(f"https://{NAME}:{server.port}/preco") == ("ok", {"preco": 10})
        assert asked(f"https://outro.exemplo.test:{server.port}/preco") == ("error", {})
        names[NAME] = ["127.0.0.1"]
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        assert asked(f"https://{NAME}:{server.port}/preco") == ("error", {})


def test_proxies_and_netrc_of_the_server_are_not_used(names, httpserver, monkeypatch, tmp_path):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    (tmp_path / "netrc").write_text(f"machine {NAME} login a password b")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    httpserver.expect_request("/preco").respond_with_json({"preco": 10})
    assert asked(f"http://{NAME}:{httpserver.port}/preco") == ("ok", {"preco": 10})
    assert "Authorization" not in httpserver.log[0][0].headers


@pytest.mark.parametrize("part", [b"X-Longo: ", b"HTTP/1.1 200 OK\r\n\r\n"], ids=["head", "body"])
def test_who_answers_byte_by_byte_is_cut_off(names, monkeypatch, caplog, part):
    """Each byte would begin a time-out of sockets anew."""
    monkeypatch.setattr(public_http, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        gone = threading.Event()
        threading.Thread(target=dribble, args=(server, part, gone), daemon=True).start()
        url = f"http://{NAME}:{server.getsockname()[1]}/preco"
        assert asked(url, timeout_seconds=1) == ("error", {})
        assert gone.wait(10)
    assert "TookTooLong" in caplog.text


def dribble(server, part, gone):
    connected, _address = server.accept()
    with connected:
        connected.recv(4096)
        try:
            connected.sendall(part if part.startswith(b"HTTP") else b"HTTP/1.1 200 OK\r\n" + part)
            for _byte in range(300):
                connected.sendall(b"1")
                if gone.wait(0.1):
                    break
        except OSError:
            gone.set()


@pytest.mark.parametrize(
    ("body", "values"),
    [
        (json.dumps({"preco": "a\x00b\ud800"}), {"preco": "a\ufffdb\ufffd"}),
        ('{"preco": NaN}', {}),
        ('{"preco": 1e999}', {}),
        ('{"preco": {"de": 1}}', {}),
        ('{"preco": "' + "x" * 9000 + '"}', None),
    ],
)
def test_an_answer_is_kept_as_the_database_can(names, httpserver, body, values):
    httpserver.expect_request("/preco").respond_with_data(body)
    route, found = asked(f"http://{NAME}:{httpserver.port}/preco")
    assert route == "ok"
    if values is None:
        assert 0 < len(found["preco"]) < 9000
    else:
        assert found == values


@pytest.mark.parametrize("body", ["[" * 200_000, "isto não é JSON", '{"preco": '])
def test_an_answer_that_cannot_be_read_leaves_by_error(names, httpserver, body):
    httpserver.expect_request("/preco").respond_with_data(body)
    assert asked(f"http://{NAME}:{httpserver.port}/preco") == ("error", {})


def test_a_place_in_a_list_is_a_plain_number(names, httpserver):
    httpserver.expect_request("/preco").respond_with_json([{"preco": 10}])
    url = f"http://{NAME}:{httpserver.port}/preco"
    for path in ("²", "\u0661", "-1", "9" * 30):
        names[NAME] = ["127.0.0.1"]
        assert asked(url, mapping={"preco": f"{path}.preco"}) == ("ok", {})


def certificate(folder, name):
    """A certificate that only speaks for `name`, its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return chain, secret
