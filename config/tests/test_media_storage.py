import pytest
from django.core.exceptions import ImproperlyConfigured

from config import media_storage

KEYS = {"region": "", "access_key": "", "secret_key": ""}


def test_without_a_bucket_files_are_in_a_folder():
    chosen = media_storage.backend(bucket="", endpoint_url="", **KEYS)
    assert chosen == {"BACKEND": "django.core.files.storage.FileSystemStorage"}


def test_amazons_own_bucket_needs_no_address_and_no_keys():
    options = media_storage.backend(bucket="b", endpoint_url="", **KEYS)["OPTIONS"]
    assert "endpoint_url" not in options
    assert "access_key" not in options
    assert options["default_acl"] == "private"
    assert options["client_config"].signature_version == "s3v4"


def test_a_bucket_without_its_client_says_what_to_install(monkeypatch):
    monkeypatch.setattr(media_storage, "find_spec", lambda _name: None)
    with pytest.raises(ImproperlyConfigured, match=r"django-storages\[s3\]"):
        media_storage.backend(bucket="b", endpoint_url="", **KEYS)


def test_an_address_that_is_none_is_refused():
    with pytest.raises(ImproperlyConfigured, match="MEDIA_S3_ENDPOINT_URL"):
        media_storage.backend(bucket="b", endpoint_url="minio:9000", **KEYS)
