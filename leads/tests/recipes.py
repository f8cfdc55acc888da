"""Davi, the customer, and the addresses that channels know him by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from model_bakery import baker

from leads.models import Identity, Lead, Scheme

PHONE = "5511987654321"
BSUID = "BR.13491208655302741918"


@dataclass(frozen=True)
class Address:
    scheme: str
    address: str
    send_to: str = ""
    scope: str = ""


def phone(address: str = PHONE, send_to: str = "") -> Address:
    return Address(Scheme.PHONE, address, send_to or address)


def bsuid(address: str = BSUID, scope: str = "") -> Address:
    return Address(Scheme.BSUID, address, address, scope)


def davi(*addresses: Address, **fields: Any) -> Lead:
    lead = baker.make(Lead, **{"name": "Davi", **fields})
    for one in addresses:
        baker.make(Identity, lead=lead, **vars(one))
    return lead
