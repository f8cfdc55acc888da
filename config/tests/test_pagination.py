import pytest
from rest_framework.filters import OrderingFilter
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from chatbot.models import Worker
from config.pagination import IdCursorPagination


class View:
    filter_backends = [OrderingFilter]
    ordering_fields = ["name", "id"]


@pytest.mark.parametrize(
    ("query", "ordering"),
    [
        ("", ("-id",)),
        ("ordering=name", ("name", "-id")),
        ("ordering=-name,id", ("-name", "id")),
        ("ordering=password", ("-id",)),
    ],
)
def test_every_order_is_total(query, ordering):
    request = Request(APIRequestFactory().get(f"/?{query}"))
    assert IdCursorPagination().get_ordering(request, Worker.objects.none(), View()) == ordering


@pytest.mark.parametrize(("asked", "given"), [("", 50), ("10", 10), ("5000", 200), ("x", 50)])
def test_page_size_has_a_limit(asked, given):
    request = Request(APIRequestFactory().get(f"/?page_size={asked}"))
    assert IdCursorPagination().get_page_size(request) == given
