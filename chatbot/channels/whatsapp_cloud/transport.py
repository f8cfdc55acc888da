"""WhatsApp Cloud API.

Credentials of the channel: `app_secret`, `previous_app_secret` (valid while the secret is being
rotated), `verify_token`, `access_token`. Its external id is the phone number id.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, BinaryIO

from django.conf import settings
from django.http import HttpResponse, HttpResponseForbidden

from chatbot.channels import http, reading
from chatbot.channels.base import (
    UPLOAD_FORGOTTEN,
    Capabilities,
    Check,
    Content,
    Download,
    ListedTemplate,
    Recipient,
    SendError,
    Sent,
    TemplateDraft,
    Transport,
)
from chatbot.channels.explanation import Explanation
from chatbot.channels.whatsapp_cloud import (
    diagnosis,
    errors,
    media,
    parsing,
    sending,
    sentences,
    signature,
    templates,
)
from chatbot.channels.whatsapp_cloud.files import FILES

if TYPE_CHECKING:
    from django.http import HttpRequest

    from chatbot.channels.inbound import Inbound, MediaRef

# An uploaded file that Meta has dropped is named in the details of one of these.
_ABOUT_MEDIA = frozenset({"100", "131009", "131053"})
_NOT_THERE = re.compile(
    r"media.{0,80}(expired|not found|does not exist|unknown|invalid)|media.?id", re.I
)


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
        media=frozenset(rule.kind for rule in FILES),
        files=FILES,
        media_kept_days=7,
        templates=True,
        mark_read=True,
        typing=True,
        service_window_hours=24,
        pair_seconds=6.0,
        pair_burst=40,  # of 45: calls arrive late, and so too close to the next ones
    )
    reaches = ("phone", "bsuid")

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
        try:
            return sending.sent(answer, to, by_link=by_link)
        except SendError as error:
            if content.media_id and _is_about_a_dropped_file(error):
                raise SendError(
                    UPLOAD_FORGOTTEN, error.detail, retryable=True, max_tries=2
                ) from None
            raise

    def mark_read(self, provider_id: str, *, is_writing: bool = False) -> None:
        """Also marks the earlier messages of the conversation; possible for 30 days. The sign of
        writing ends with the answer, or after 25 seconds."""
        receipt: dict[str, Any] = {
            "messaging_product": "whatsapp",
            "status": "read",
            "message_id": provider_id,
        }
        if is_writing:
            receipt["typing_indicator"] = {"type": "text"}
        sending.accepted(self._post(receipt))

    def fetch_media(self, ref: MediaRef, *, age: timedelta) -> AbstractContextManager[Download]:
        return media.opened(self._caller(), ref, age=age)

    def upload_media(self, file: BinaryIO, *, mime_type: str) -> str:
        return media.upload(self._caller(), file, mime_type=mime_type)

    def failure(self, code: str, detail: str = "", *, by_link: bool = False) -> SendError:
        return errors.failure(code, detail, by_link=by_link)

    @classmethod
    def explain(cls, code: str, detail: str = "") -> Explanation:
        return sentences.explain(code) or super().explain(code, detail)

    def diagnose(self, webhook_path: str) -> Sequence[Check]:
        return diagnosis.diagnose(self.channel, webhook_path)

    def mend(self, what: str) -> None:
        diagnosis.mend(self.channel, what)

    def business_of(self, item: Inbound) -> str:
        entry = next(iter(reading.mappings(item.raw, "entry")), {})
        return reading.identifier(entry, "id")[:64]

    def list_templates(self) -> list[ListedTemplate]:
        url = self._templates_url()
        return templates.listed(
            lambda params: http.get_json(
                url, params=params, token=self._token(), secrets=self._secrets
            )
        )

    def submit_template(self, draft: TemplateDraft) -> ListedTemplate:
        url = self._url(draft.provider_id) if draft.provider_id else self._templates_url()
        answer = http.post_json(
            url, templates.body(draft), token=self._token(), secrets=self._secrets
        )
        return templates.submitted(draft, answer)

    def delete_template(self, *, name: str, provider_id: str) -> None:
        params = {"name": name, "hsm_id": provider_id}
        answer = http.delete(
            self._templates_url(), params=params, token=self._token(), secrets=self._secrets
        )
        templates.deleted(answer)

    def _post(self, body: dict[str, Any]) -> http.Answer:
        url = self._url(self.channel.external_id, "messages")
        return http.post_json(url, body, token=self._token(), secrets=self._secrets)

    def _templates_url(self) -> str:
        if not self.channel.account_id:
            raise SendError(
                "no_account", "the channel does not know its business account", retryable=False
            )
        return self._url(self.channel.account_id, "message_templates")

    def _url(self, *path: str) -> str:
        return "/".join((settings.GRAPH_API_URL.rstrip("/"), settings.GRAPH_API_VERSION, *path))

    def _token(self) -> str:
        token = self._credential("access_token")
        if not token:
            raise errors.failure("190", "the channel has no access token")
        return token

    def _caller(self) -> media.Caller:
        return media.Caller(self._url(), self.channel.external_id, self._token(), self._secrets)

    @property
    def _secrets(self) -> tuple[str, ...]:
        names = ("access_token", "app_secret", "previous_app_secret", "verify_token")
        return tuple(filter(None, map(self._credential, names)))

    def _credential(self, name: str) -> str:
        value = self.channel.credentials.get(name, "")
        return value if isinstance(value, str) else ""


def _is_about_a_dropped_file(error: SendError) -> bool:
    return error.code in _ABOUT_MEDIA and _NOT_THERE.search(error.detail) is not None
