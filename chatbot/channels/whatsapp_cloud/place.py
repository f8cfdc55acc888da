"""Where in a webhook body an item stood."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chatbot.channels import reading
from chatbot.channels.inbound import Address
from chatbot.channels.whatsapp_cloud import identity
from chatbot.channels.whatsapp_cloud.identity import Json

OBJECT = "whatsapp_business_account"


@dataclass(frozen=True)
class Place:
    """One change of one entry."""

    entry: Json
    field: str
    value: Json

    @cached_property
    def account(self) -> str | None:
        """The business number it came to; account-level fields have no metadata."""
        metadata = reading.mapping(self.value, "metadata")
        return reading.identifier(metadata, "phone_number_id") or None

    @property
    def business(self) -> str:
        """The WhatsApp Business Account, which owns numbers and message templates."""
        return reading.identifier(self.entry, "id")[:64]

    @cached_property
    def _contacts(self) -> identity.ContactBook:
        return identity.ContactBook(reading.mappings(self.value, "contacts"))

    def contact(self, known: tuple[Address, ...]) -> Json | None:
        return self._contacts.find(known)

    def raw(self, key: str, item: Any, *, contact: Json | None = None, **more: Any) -> Json:
        """A body with this item alone: parsing it gives the item again."""
        about = {
            name: self.value[name]
            for name in ("messaging_product", "metadata")
            if name in self.value
        }
        who = {} if contact is None else {"contacts": [contact]}
        return self.body({**about, **who, key: [item], **more})

    def body(self, value: Any) -> Json:
        entry = {name: self.entry[name] for name in ("id", "time") if name in self.entry}
        change = {"field": self.field, "value": value}
        return {"object": OBJECT, "entry": [{**entry, "changes": [change]}]}
