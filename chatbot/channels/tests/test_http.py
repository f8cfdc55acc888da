"""Every way a call can go wrong, over real connections."""

import logging
import socket
import threading
import time
from urllib.parse import quote

import pytest

from chatbot.channels import http
from chatbot.channels.base import SendError

TOKEN = "EAAFicticio/Token=1"
QUICK = (0.5, 0.3)
BODY = {"to": "+5511990000001", "type": "text", "text": {"body": "Oi"}}


@pytest.fixture(autouse=True)
def _no_kept_connections():
    yield
    http.close()


def failure(url, timeout=http.TIMEOUT):
    with pytest.raises(SendError) as caught:
        http.post_json(url, BODY, token=TOKEN, timeout=timeout)
    error = caught.value
    return error.code, error.retryable, error.uncertain


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def raw_server():
    """Answers one connection with given bytes, then closes."""
    listeners = []

    def start(answer, wait=0.0):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                for part in answer:
                    connection.sendall(part)
                    time.sleep(wait)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    yield start
    for listener in listeners:
        listener.close()


def test_a_refused_connection_was_never_sent():
    assert failure(f"http://127.0.0.1:{closed_port()}/") == ("connection", True, False)


def test_a_port_that_never_answers_was_never_sent(monkeypatch):
    def too_late(*args, **kwargs):
        raise TimeoutError

    monkeypatch.setattr("urllib3.util.connection.create_connection", too_late)
    assert failure("http://127.0.0.1:9/") == ("connection", True, False)


def test_an_unknown_host_was_never_sent(monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror("unknown")

    monkeypatch.setattr("urllib3.util.connection.create_connection", unknown)
    assert failure("http://graph.invalid/") == ("connection", True, False)


def test_no_answer_in_time_is_uncertain(graph_api):
    graph_api.hang()
    assert failure(graph_api.url, QUICK) == ("timeout", False, True)
    assert len(graph_api.requests) == 1


def test_a_connection_cut_before_the_answer_is_uncertain_and_not_tried_again(graph_api):
    graph_api.cut()
    assert failure(graph_api.url) == ("cut", False, True)
    assert len(graph_api.requests) == 1


def test_an_answer_cut_in_the_middle_is_uncertain(raw_server):
    url = raw_server([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"])
    assert failure(url) == ("cut", False, True)


def test_an_answer_that_stops_in_the_middle_is_uncertain(raw_server):
    url = raw_server([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"], wait=1)
    code, retryable, uncertain = failure(url, QUICK)
    assert code in {"timeout", "cut"}
    assert (retryable, uncertain) == (False, True)


def test_what_is_not_http_is_uncertain(raw_server):
    assert failure(raw_server([b"SMTP ready\r\n\r\n"]))[1:] == (False, True)


def test_an_endless_answer_is_not_read_to_its_end(graph_api, monkeypatch):
    monkeypatch.setattr(http, "LONGEST_ANSWER", 10)
    assert failure(graph_api.url) == ("timeout", False, True)


def test_an_address_that_is_none_is_our_mistake():
    assert failure("graph.facebook.com") == ("request", False, False)


def test_redirects_are_not_followed(graph_api):
    graph_api.answer(302)
    answer = http.post_json(graph_api.url, BODY, token=TOKEN)
    assert (answer.status, len(graph_api.requests)) == (302, 1)


def test_a_connection_is_kept_for_the_next_call(graph_api, monkeypatch):
    opened = []
    create = http.requests.adapters.HTTPAdapter.get_connection_with_tls_context

    def counted(self, *args, **kwargs):
        pool = create(self, *args, **kwargs)
        opened.append(pool)
        return pool

    monkeypatch.setattr(
        http.requests.adapters.HTTPAdapter, "get_connection_with_tls_context", counted
    )
    for _ in range(3):
        http.post_json(graph_api.url, BODY, token=TOKEN)
    assert len(opened) == 3
    assert len(set(opened)) == 1
    assert opened[0].num_connections == 1


def test_each_thread_has_its_own_session(graph_api):
    found = []

    def call():
        http.post_json(graph_api.url, BODY, token=TOKEN)
        found.append(http._session())
        http.close()

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(session) for session in found}) == 3


def test_cookies_are_not_kept(raw_server, graph_api):
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\n{}"
    url = raw_server([answer])
    http.post_json(url, BODY, token=TOKEN)
    assert len(http._session().cookies) == 0


def test_a_netrc_cannot_replace_the_token(graph_api, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login x password y\n")
    monkeypatch.setenv("NETRC", str(netrc))
    http.post_json(graph_api.url, BODY, token=TOKEN)
    assert graph_api.requests[0].headers["Authorization"] == f"Bearer {TOKEN}"


SECRET_PATH = f"/bot{TOKEN}/send?key={quote(TOKEN, safe='')}"


def logged(caplog):
    ours = [record for record in caplog.records if record.name.startswith("chatbot")]
    assert ours
    return " ".join(record.getMessage() for record in ours)


@pytest.mark.parametrize("play", ["refused", "cut"])
def test_no_secret_of_a_failed_call_is_logged_or_raised(play, graph_api, caplog):
    graph_api.cut()
    base = graph_api.url if play == "cut" else f"http://127.0.0.1:{closed_port()}"

    with pytest.raises(SendError) as caught:
        http.post_json(base + SECRET_PATH, BODY, token=TOKEN)

    shown = f"{caught.value} {caught.value.detail} {caught.value.__cause__} {logged(caplog)}"
    assert "***" in shown
    assert "EAAFicticio" not in shown


def test_no_secret_of_an_answered_call_is_logged(graph_api, caplog):
    caplog.set_level(logging.DEBUG, logger="chatbot")
    http.post_json(graph_api.url + SECRET_PATH, BODY, token=TOKEN)
    assert "***" in logged(caplog)
    assert "EAAFicticio" not in logged(caplog)


def test_a_secret_in_an_answer_is_hidden(graph_api):
    graph_api.answer(400, {"error": {"message": f"bad {TOKEN} and outro-segredo"}})
    answer = http.post_json(graph_api.url, BODY, token=TOKEN, secrets=["outro-segredo", ""])
    assert answer.json() == {"error": {"message": "bad *** and ***"}}
