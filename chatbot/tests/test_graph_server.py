"""The stand-in behaves as the tests that use it believe."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from chatbot.channels import transport_for
from chatbot.channels.base import Content, Recipient, SendError
from sessions_app.models import Channel

JULIA, JOAO = Recipient("phone", "5511990000001"), Recipient("phone", "5521990000004")


@pytest.fixture
def send(graph_api):
    row = Channel(
        kind="whatsapp_cloud",
        external_id="100000000000001",
        credentials={"access_token": "EAAFicticio0001"},
    )
    transport = transport_for(row)

    def call(text, to=JULIA, callback_data="out:1"):
        return transport.send(to, Content("text", text), callback_data=callback_data)

    call.transport = transport
    return call


def refused(send, **more):
    with pytest.raises(SendError) as caught:
        send("Oi", **more)
    return caught.value


def test_what_was_accepted_is_remembered_in_order(graph_api, send):
    first, second = send("Um"), send("Dois", JOAO, "out:2")
    assert first.provider_id != second.provider_id
    assert [(one.to, one.text, one.callback_data) for one in graph_api.messages] == [
        ("+5511990000001", "Um", "out:1"),
        ("+5521990000004", "Dois", "out:2"),
    ]


def test_errors_are_played_as_often_as_asked(graph_api, send):
    graph_api.fail("error_130429.json", times=2)
    graph_api.fail("error_131057.json")
    assert [refused(send).code for _ in range(3)] == ["130429", "130429", "131057"]
    assert send("Oi")
    assert len(graph_api.messages) == 1


def test_trouble_of_one_receiver_leaves_the_others_alone(graph_api, send):
    graph_api.fail("error_131056.json", to="+5511990000001", times=None)
    assert refused(send).code == "131056"
    assert send("Oi", JOAO)
    assert refused(send).code == "131056"
    graph_api.reset()
    assert send("Oi")


@pytest.mark.parametrize("accepted", [True, False])
def test_a_cut_connection_may_have_been_accepted(graph_api, send, accepted):
    graph_api.cut(accepted=accepted)
    assert refused(send).uncertain
    assert len(graph_api.messages) == accepted


def test_a_delayed_answer_comes(graph_api, send):
    graph_api.delay(0.2)
    began = time.monotonic()
    assert send("Oi")
    assert time.monotonic() - began >= 0.2


def test_an_error_page_is_no_graph_error(graph_api, send):
    graph_api.answer(502, "<html>bad gateway</html>")
    error = refused(send)
    assert (error.code, error.uncertain) == ("http_502", True)


def test_doubles_are_counted_by_our_own_id(graph_api, send):
    for text, ours in (("Um", "out:1"), ("Dois", "out:2"), ("Um", "out:1")):
        send(text, callback_data=ours)
    stats = graph_api.stats()
    assert (stats["accepted"], stats["callback_data_accepted_more_than_once"]) == (3, 1)
    assert stats["pairs_seen_more_than_once"] == 1


def test_receipts_are_not_messages(graph_api, send):
    send.transport.mark_read("wamid.Um")
    assert (graph_api.receipts, graph_api.messages) == (["wamid.Um"], [])


def test_it_runs_by_itself_and_is_told_over_http():
    root = Path(__file__).parents[2]
    command = [sys.executable, "-u", "-m", "chatbot.tests.graph_server", "--port", "0"]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            url = process.stdout.readline().split()[-1]
            told_and_asked(url)
        finally:
            process.terminate()


def told_and_asked(url):
    with requests.Session() as session:
        plan = {"play": "fail", "file": "error_190.json", "times": 1}
        assert session.post(f"{url}/__plan", json=plan, timeout=5).json() == {}
        assert session.post(f"{url}/__plan", json={"play": "?"}, timeout=5).status_code == 400
        body = {"to": "+5511990000001", "type": "text", "text": {"body": "Oi"}}
        path = f"{url}/v26.0/1/messages"
        assert session.post(path, json=body, timeout=5).status_code == 401
        assert session.post(path, json=body, timeout=5).json()["messages"][0]["id"]
        assert session.get(f"{url}/__stats", timeout=5).json()["accepted"] == 1
        seen = session.get(f"{url}/__requests?after=1", timeout=5).json()
        assert [json.dumps(one["body"]) for one in seen] == [json.dumps(body)]
        session.post(f"{url}/__reset", timeout=5)
        assert session.get(f"{url}/__stats", timeout=5).json()["posts"] == 0
