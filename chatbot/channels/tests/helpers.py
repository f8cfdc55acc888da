"""What the tests of the transports share."""

from pathlib import Path

from django.test import RequestFactory

from sessions_app.models import Channel

PAYLOADS = Path(__file__).parents[2] / "tests" / "payloads"
APP_SECRET = "segredo-ficticio-nao-usar"
ACCESS_TOKEN = "EAAFicticioToken0001"
CREDENTIALS = {
    "app_secret": APP_SECRET,
    "verify_token": "senha-do-webhook",
    "access_token": ACCESS_TOKEN,
}


def payload(name: str) -> bytes:
    return (PAYLOADS / "whatsapp_cloud" / name).read_bytes()


def response(name: str) -> bytes:
    return (PAYLOADS / "whatsapp_cloud_api_responses" / name).read_bytes()


def channel(kind="whatsapp_cloud", **credentials) -> Channel:
    """An unsaved row."""
    return Channel(
        slug=kind,
        kind=kind,
        name="Loja",
        external_id="100000000000001",
        credentials={**CREDENTIALS, **credentials},
    )


def post(body: bytes = b"", **headers):
    return RequestFactory().post("/webhook", body, content_type="application/json", headers=headers)
