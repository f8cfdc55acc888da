"""Proof of origin, and sending over real HTTP with the answers that Meta gives."""

import hashlib
import hmac
import json
from pathlib import Path

import pytest
from django.test import RequestFactory

from chatbot.channels import http, transport_for
from chatbot.channels.base import BadSignature, Content, Option, Recipient, SendError
from chatbot.channels.tests.helpers import (
    ACCESS_TOKEN,
    APP_SECRET,
    PAYLOADS,
    channel,
    payload,
    post,
    response,
)

JULIA = Recipient("phone", "5511990000001")
CONCEICAO = Recipient("bsuid", "BR.10000000000000000003")
SIGNATURES = {
    "message_text.json": "1d9f44133cf6caec104fc849f690bd0ec46d4d14da21619ea04b84d76c7bc510",
    "message_text_unicode_escaped.json": (
        "ca9e1f09e6f91052bea9d9336b7a29f3bea5d53816eb3e91beba8c1e795eb879"
    ),
    "batch_mixed.json": "36ee6acd0de8291d159fc82201b66a1115d1c43aac95c22ceaaaa64a8c715d50",
}
OPTIONS = (Option("a", "Vendas", "das 9h às 18h"), Option("b", "Suporte"))


def signed(body, secret=APP_SECRET):
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def verify(body, header, **credentials):
    transport_for(channel(**credentials)).verify(
        post(body, **{"X-Hub-Signature-256": header}), body
    )


def handshake(mode="subscribe", token="senha-do-webhook", challenge="1158201444", **credentials):
    query = {"hub.mode": mode, "hub.verify_token": token, "hub.challenge": challenge}
    request = RequestFactory().get("/webhook", query)
    return transport_for(channel(**credentials)).handshake(request)


@pytest.fixture
def graph(httpserver, settings):
    """Answers every send with one of the recorded responses."""
    settings.GRAPH_API_URL = httpserver.url_for("")
    settings.GRAPH_API_VERSION = "v26.0"

    def answer(name="send_ok.json", status=200, **more):
        path = "/v26.0/100000000000001/messages"
        content = more.pop("body", None) or response(name)
        httpserver.expect_request(path, method="POST").respond_with_data(
            content, status=status, content_type="application/json", **more
        )
        return httpserver

    yield answer
    http.close()


def send(content, to=JULIA, callback_data="out:42"):
    return transport_for(channel()).send(to, content, callback_data=callback_data)


def sent_body(graph, content, to=JULIA, callback_data="out:42"):
    server = graph()
    send(content, to, callback_data)
    [(request, _response)] = server.log
    return request.get_json()


def refusal(content=None, to=JULIA):
    with pytest.raises(SendError) as caught:
        send(content or Content("text", "Oi"), to)
    return caught.value


@pytest.mark.parametrize("name", SIGNATURES)
def test_known_signatures_are_accepted(name):
    verify(payload(name), f"sha256={SIGNATURES[name]}")


def test_the_bytes_are_signed_and_not_what_they_mean():
    body = payload("message_text_unicode_escaped.json")
    again = json.dumps(json.loads(body)).encode()
    with pytest.raises(BadSignature, match="does not match"):
        verify(again, signed(body))


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("", "no X-Hub-Signature-256"),
        ("sha256=", "is not sha256="),
        ("sha1=" + "0" * 66, "is not sha256="),
        ("sha256=" + "0" * 63, "is not sha256="),
        ("sha256=" + "0" * 64, "does not match"),
        ("sha256=" + "é" * 64, "does not match"),
        ("SHA256=" + SIGNATURES["message_text.json"], "is not sha256="),
        ("sha256=" + SIGNATURES["message_text.json"].upper(), "does not match"),
    ],
    ids=range(8),
)
def test_a_wrong_signature_is_refused_with_its_reason(header, reason):
    body = payload("message_text.json")
    request = post(body)
    request.META["HTTP_X_HUB_SIGNATURE_256"] = header
    with pytest.raises(BadSignature, match=reason):
        transport_for(channel()).verify(request, body)


def test_without_an_app_secret_nothing_is_proven():
    body = payload("message_text.json")
    with pytest.raises(BadSignature, match="has no app secret"):
        verify(body, signed(body, ""), app_secret="")


def test_the_previous_secret_is_valid_while_one_is_rotated():
    body = payload("message_text.json")
    for secret in ("novo", "velho"):
        verify(body, signed(body, secret), app_secret="novo", previous_app_secret="velho")
    with pytest.raises(BadSignature):
        verify(body, signed(body, ""), app_secret="novo", previous_app_secret="")


def test_the_challenge_is_given_back_as_plain_text():
    answer = handshake(challenge="<script>1</script> ação")
    assert (answer.status_code, answer.content.decode()) == (200, "<script>1</script> ação")
    assert answer["Content-Type"] == "text/plain"


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "unsubscribe"},
        {"token": "outra"},
        {"token": ""},
        {"token": "", "verify_token": ""},
        {"token": "ção"},
    ],
    ids=repr,
)
def test_a_wrong_handshake_is_forbidden(wrong):
    answer = handshake(**wrong)
    assert (answer.status_code, answer.content) == (403, b"")


def test_a_text_goes_to_the_phone_with_a_plus_and_carries_our_id(graph):
    assert sent_body(graph, Content("text", "Olá!")) == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "+5511990000001",
        "type": "text",
        "text": {"body": "Olá!"},
        "biz_opaque_callback_data": "out:42",
    }


def test_a_user_id_is_a_recipient_and_not_a_number(graph):
    body = sent_body(graph, Content("text", "Olá!"), CONCEICAO)
    assert body["recipient"] == "BR.10000000000000000003"
    assert "to" not in body


def test_the_token_goes_in_the_header(graph):
    server = graph()
    send(Content("text", "Oi"))
    assert server.log[0][0].headers["Authorization"] == f"Bearer {ACCESS_TOKEN}"


def test_an_answer_quotes_the_message(graph):
    body = sent_body(graph, Content("text", "Sim", reply_to="wamid.Um"))
    assert body["context"] == {"message_id": "wamid.Um"}


def test_without_our_id_there_is_no_empty_key(graph):
    assert "biz_opaque_callback_data" not in sent_body(graph, Content("text", "Oi"), JULIA, "")


def test_buttons(graph):
    content = Content("buttons", "Escolha", options=OPTIONS, header="Loja", footer="Até logo")
    assert sent_body(graph, content)["interactive"] == {
        "type": "button",
        "header": {"type": "text", "text": "Loja"},
        "body": {"text": "Escolha"},
        "footer": {"text": "Até logo"},
        "action": {
            "buttons": [
                {"type": "reply", "reply": {"id": "a", "title": "Vendas"}},
                {"type": "reply", "reply": {"id": "b", "title": "Suporte"}},
            ]
        },
    }


def test_a_list_has_no_empty_descriptions_headers_or_footers(graph):
    content = Content("list", "Escolha", options=OPTIONS, list_button="Ver opções")
    assert sent_body(graph, content)["interactive"] == {
        "type": "list",
        "body": {"text": "Escolha"},
        "action": {
            "button": "Ver opções",
            "sections": [
                {
                    "rows": [
                        {"id": "a", "title": "Vendas", "description": "das 9h às 18h"},
                        {"id": "b", "title": "Suporte"},
                    ]
                }
            ],
        },
    }


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (Content("image", "Foto", media_id="1"), {"image": {"id": "1", "caption": "Foto"}}),
        (
            Content("video", media_link="https://example.com/v.mp4"),
            {"video": {"link": "https://example.com/v.mp4"}},
        ),
        (Content("audio", "Ouça", media_id="1"), {"audio": {"id": "1"}}),
        (Content("voice", media_id="1"), {"type": "audio", "audio": {"id": "1", "voice": True}}),
        (Content("sticker", media_id="1"), {"sticker": {"id": "1"}}),
        (
            Content("document", media_id="1", media_link="https://x.invalid/", filename="nota.pdf"),
            {"document": {"id": "1", "filename": "nota.pdf"}},
        ),
        (
            Content("location", "Loja", latitude=-23.5, longitude=0.0),
            {"location": {"latitude": -23.5, "longitude": 0.0, "name": "Loja"}},
        ),
        (
            Content("template", template={"name": "lembrete", "language": "pt_BR"}),
            {"template": {"name": "lembrete", "language": {"code": "pt_BR"}}},
        ),
        (
            Content(
                "template",
                template={
                    "name": "a",
                    "language": {"code": "en"},
                    "components": [{"type": "body"}],
                },
            ),
            {
                "template": {
                    "name": "a",
                    "language": {"code": "en"},
                    "components": [{"type": "body"}],
                }
            },
        ),
        (
            Content("reaction", "👍", target_id="wamid.Um", reply_to="wamid.Um"),
            {"reaction": {"message_id": "wamid.Um", "emoji": "👍"}},
        ),
        (
            Content("reaction", "", target_id="wamid.Um"),
            {"reaction": {"message_id": "wamid.Um", "emoji": ""}},
        ),
    ],
    ids=lambda value: value.kind if isinstance(value, Content) else "",
)
def test_each_kind_has_its_object(graph, content, expected):
    body = sent_body(graph, content)
    common = {"messaging_product", "recipient_type", "to", "biz_opaque_callback_data", "type"}
    assert {key: value for key, value in body.items() if key not in common} == {
        key: value for key, value in expected.items() if key != "type"
    }
    assert body["type"] == expected.get("type", content.kind)


@pytest.mark.parametrize(
    ("content", "to"),
    [
        (Content("text", " \n"), JULIA),
        (Content("buttons", "", options=OPTIONS), JULIA),
        (Content("buttons", "Escolha"), JULIA),
        (Content("list", "Escolha", options=OPTIONS), JULIA),
        (Content("image"), JULIA),
        (Content("location", latitude=float("nan"), longitude=0.0), JULIA),
        (Content("location"), JULIA),
        (Content("template"), JULIA),
        (Content("reaction", "👍"), JULIA),
        (Content("hologram"), JULIA),
        (Content("text", "Oi"), Recipient("telegram", "1")),
        (Content("text", "Oi"), Recipient("phone", "")),
        (Content("text", "Oi"), Recipient("phone", "BR.1")),
        (Content("text", "Oi"), Recipient("bsuid", "5511990000001")),
    ],
    ids=range(14),
)
def test_what_meta_would_refuse_is_not_sent(graph, content, to):
    server = graph()
    error = refusal(content, to)
    assert (error.code, error.retryable, error.uncertain) == ("content", False, False)
    assert server.log == []


def test_the_accepted_id_is_returned(graph):
    graph("send_ok.json")
    sent = send(Content("text", "Oi"))
    assert sent.provider_id == "wamid.HBgNNTUxMTk5MDAwMDAwMRUCABEYEjMwMEI1QTJFRUIwMzZBOURERgA="
    assert (sent.aliases, sent.pacing) == ((), "")


def test_the_form_whatsapp_uses_is_an_alias(graph):
    graph("send_ok_wa_id_without_ninth_digit.json")
    sent = send(Content("text", "Oi"), Recipient("phone", "5585990000002"))
    assert sent.aliases == (("phone", "5585990000002", "558590000002"),)


def test_a_user_id_answers_with_itself(graph):
    graph("send_ok_bsuid.json")
    assert send(Content("text", "Oi"), CONCEICAO).aliases == ()


def test_a_user_id_in_the_answer_to_a_phone_is_an_alias(graph):
    body = {**json.loads(response("send_ok.json"))}
    body["contacts"][0]["user_id"] = "BR.1"
    graph(body=json.dumps(body))
    assert send(Content("text", "Oi")).aliases == (("bsuid", "BR.1", "BR.1"),)


def test_a_template_held_back_says_so(graph):
    graph("send_ok_template_held.json")
    content = Content("template", template={"name": "lembrete"})
    assert send(content).pacing == "held_for_quality_assessment"


def test_marking_as_read_names_the_message(graph):
    server = graph("mark_read_ok.json")
    transport_for(channel()).mark_read("wamid.Um")
    assert server.log[0][0].get_json() == {
        "messaging_product": "whatsapp",
        "status": "read",
        "message_id": "wamid.Um",
    }


def test_a_refused_mark_as_read_is_an_error_like_any_other(graph):
    graph("error_100_invalid_parameter.json", 400)
    with pytest.raises(SendError, match="100"):
        transport_for(channel()).mark_read("wamid.Um")


@pytest.mark.parametrize(
    ("name", "status", "expected"),
    [
        ("error_130429.json", 400, ("130429", True, "number", 2, False)),
        ("error_131056.json", 400, ("131056", True, "pair", 1, False)),
        ("error_131057.json", 500, ("131057", True, "number", 90, False)),
        ("error_190.json", 401, ("190", False, "account", None, True)),
        ("error_132001.json", 404, ("132001", False, "message", None, False)),
        ("error_100_invalid_parameter.json", 400, ("100", False, "message", None, False)),
        ("error_131062.json", 400, ("131062", False, "message", None, False)),
    ],
)
def test_a_recorded_refusal_says_what_is_to_be_done(graph, name, status, expected):
    graph(name, status)
    error = refusal()
    found = (error.code, error.retryable, error.scope, error.retry_after, error.is_stop)
    assert found == expected
    assert not error.uncertain


def test_every_recorded_response_is_used_by_a_test():
    recorded = {path.name for path in (PAYLOADS / "whatsapp_cloud_api_responses").iterdir()}
    source = Path(__file__).read_text()
    assert {name for name in recorded if f'"{name}"' not in source} == set()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (500, "<html>", ("http_500", False, True)),
        (502, "", ("http_502", False, True)),
        (503, '{"error": "soon"}', ("http_503", False, True)),
        (408, "", ("http_408", False, True)),
        (429, "slow down", ("http_429", True, False)),
        (404, "<html>", ("http_404", False, False)),
        (301, "", ("http_301", False, False)),
        (400, '{"error": {"code": 999999}}', ("999999", False, False)),
        (400, '{"error": {"code": 999999, "is_transient": true}}', ("999999", True, False)),
        (500, '{"error": {"code": 999999}}', ("999999", True, False)),
        (200, '{"error": {"code": "131000"}}', ("131000", True, False)),
        (200, "{}", ("no_id", False, True)),
        (200, '{"messages": [{"id": ""}]}', ("no_id", False, True)),
        (200, "[" * 10_000, ("no_id", False, True)),
    ],
    ids=range(14),
)
def test_other_answers_are_retried_failed_or_left_uncertain(graph, status, body, expected):
    graph(status=status, body=body or b" ", headers={"Location": "http://127.0.0.1:1/"})
    error = refusal()
    assert (error.code, error.retryable, error.uncertain) == expected


def test_retry_after_of_the_answer_wins(graph):
    graph("error_130429.json", 400, headers={"Retry-After": "7"})
    assert refusal().retry_after == 7


def test_media_by_link_that_meta_could_not_fetch_is_tried_once_more(graph):
    graph(body='{"error": {"code": 131053, "message": "x"}}', status=400)
    by_link = refusal(Content("image", media_link="https://example.com/a.jpg"))
    by_id = refusal(Content("image", media_id="1"))
    assert (by_link.retryable, by_link.max_tries, by_id.retryable) == (True, 2, False)


def test_without_a_token_the_channel_stops_and_nothing_is_sent(graph):
    server = graph()
    transport = transport_for(channel(access_token=""))
    with pytest.raises(SendError) as caught:
        transport.send(JULIA, Content("text", "Oi"), callback_data="")
    assert (caught.value.scope, caught.value.is_stop, server.log) == ("account", True, [])


def test_a_token_that_meta_quotes_is_not_shown(graph):
    quoted = {"error": {"code": 190, "message": f"Malformed access token {ACCESS_TOKEN}"}}
    graph(body=json.dumps(quoted), status=401)
    error = refusal()
    assert "Malformed access token ***" in str(error)
    assert ACCESS_TOKEN not in str(error)


def test_a_late_failure_is_read_with_the_same_table():
    late = transport_for(channel()).failure("130429", "too fast")
    assert (late.retryable, late.scope, late.detail) == (True, "number", "too fast")
