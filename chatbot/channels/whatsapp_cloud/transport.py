"""WhatsApp Cloud API.

Credentials of the channel: `app_secret`, `previous_app_secret` (valid while the secret is being
rotated), `verify_token`, `access_token`. Its external id is the phone number id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http import HttpResponse, HttpResponseForbidden

from chatbot.channels import http
from chatbot.channels.base import (
    Capabilities,
    Check,
    Content,
    Recipient,
    SendError,
    Sent,
    Transport,
)
from chatbot.channels.explanation import Explanation
from chatbot.channels.whatsapp_cloud import (
    diagnosis,
    errors,
    parsing,
    sending,
    sentences,
    signature,
)

if TYPE_CHECKING:
    from django.http import HttpRequest

    from chatbot.channels.inbound import Inbound


class WhatsAppCloud(Transport):
    kind = "whatsapp_cloud"
    capabilities = Capabilities(
        buttons=3,
        button_title=20,
        list_rows=10,
        list_row_title=24,
        list_row_description=72,
        list_button=20,
        option_id=200,
        header=60,
        footer=60,
        text_length=4096,
        body_length=1024,
        caption_length=1024,
        media=frozenset({"image", "audio", "voice", "video", "document", "sticker"}),
        templates=True,
        mark_read=True,
        service_window_hours=24,
        pair_seconds=6.0,
        pair_burst=45,
    )

    def handshake(self, request: HttpRequest) -> HttpResponse:
        """Meta's GET: the challenge, byte for byte and never as HTML, if the token is ours."""
        is_ours = signature.equal(
            request.GET.get("hub.verify_token", ""), self._credential("verify_token")
        )
        if request.GET.get("hub.mode") != "subscribe" or not is_ours:
            return HttpResponseForbidden(content_type="text/plain")
        return HttpResponse(request.GET.get("hub.challenge", ""), content_type="text/plain")

    def verify(self, request: HttpRequest, body: bytes) -> None:
        secrets = (self._credential("app_secret"), self._credential("previous_app_secret"))
        signature.check(request.headers.get(signature.HEADER, ""), body, secrets)

    def parse(self, request: HttpRequest, body: bytes) -> Sequence[Inbound]:
        return parsing.parse_body(body)

    def send(self, to: Recipient, content: Content, *, callback_data: str) -> Sent:
        by_link = bool(content.media_link and not content.media_id)
        answer = self._post(sending.body(to, content, callback_data))
        return sending.sent(answer, to, by_link=by_link)

    def mark_read(self, provider_id: str) -> None:
        """Also marks the earlier messages of the conversation; possible for 30 days."""
        receipt = {"messaging_product": "whatsapp", "status": "read", "message_id": provider_id}
        sending.accepted(self._post(receipt))

    def failure(self, code: str, detail: str = "") -> SendError:
        return errors.failure(code, detail)

    @classmethod
    def explain(cls, code: str, detail: str = "") -> Explanation:
        return sentences.explain(code) or super().explain(code, detail)

    def diagnose(self, webhook_path: str) -> Sequence[Check]:
        return diagnosis.diagnose(self.channel, webhook_path)

    def mend(self, what: str) -> None:
        diagnosis.mend(self.channel, what)

    def _post(self, body: dict[str, Any]) -> http.Answer:
        token = self._credential("access_token")
        if not token:
            raise errors.failure("190", "the channel has no access token")
        url = "/".join(
            (
                settings.GRAPH_API_URL.rstrip("/"),
                settings.GRAPH_API_VERSION,
                self.channel.external_id,
                "messages",
            )
        )
        return http.post_json(url, body, token=token, secrets=self._secrets)

    @property
    def _secrets(self) -> tuple[str, ...]:
        names = ("access_token", "app_secret", "previous_app_secret", "verify_token")
        return tuple(filter(None, map(self._credential, names)))

    def _credential(self, name: str) -> str:
        value = self.channel.credentials.get(name, "")
        return value if isinstance(value, str) else ""
