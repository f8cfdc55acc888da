"""The channel that answers at /webhook."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from sessions_app.models import Channel, ChannelKind

SIMULATOR_SLUG = "simulador"
WHATSAPP_SLUG = "whatsapp"


@transaction.atomic
def sync_default_channel() -> str:
    """Make the WhatsApp channel from the settings if they are there and it is not; the simulator
    always exists. Once a channel exists its row wins over the environment. Returns what was done,
    in words."""
    simulator = simulator_channel()
    if not settings.WHATSAPP_PHONE_NUMBER_ID:
        if not Channel.objects.filter(is_default=True).exists():
            Channel.objects.filter(pk=simulator.pk).update(is_default=True)
        return "default channel: the simulator (no WHATSAPP_PHONE_NUMBER_ID)"
    channel, is_new = Channel.objects.get_or_create(
        kind=ChannelKind.WHATSAPP_CLOUD,
        external_id=settings.WHATSAPP_PHONE_NUMBER_ID,
        defaults={"slug": WHATSAPP_SLUG, "name": "WhatsApp", "credentials": _credentials()},
    )
    current = Channel.objects.filter(is_default=True).first()
    if current is None or current.is_simulator:
        Channel.objects.filter(is_default=True).update(is_default=False)
        Channel.objects.filter(pk=channel.pk).update(is_default=True)
    return f"default channel: {channel.name} ({'made' if is_new else 'left as it is'})"


def simulator_channel() -> Channel:
    """The channel that the simulator page talks on; it has no webhook."""
    channel, _is_new = Channel.objects.get_or_create(
        slug=SIMULATOR_SLUG, defaults={"kind": ChannelKind.SIMULATOR, "name": "Simulador"}
    )
    return channel


def _credentials() -> dict[str, str]:
    values = {
        "app_secret": settings.WHATSAPP_APP_SECRET,
        "verify_token": settings.WHATSAPP_VERIFY_TOKEN,
        "access_token": settings.WHATSAPP_ACCESS_TOKEN,
    }
    return {name: value for name, value in values.items() if value}
