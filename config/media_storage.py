"""Where files are kept: a folder, or a bucket of S3 or of what speaks its protocol."""

from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

IN_MEMORY = 5 * 1024 * 1024  # a larger file is read through the disk


def backend(
    *, bucket: str, endpoint_url: str, region: str, access_key: str, secret_key: str
) -> dict[str, Any]:
    """The entry of STORAGES; a folder when there is no bucket. Files of a bucket are private, and
    served by our own views alone. Without keys the client finds those of the machine."""
    if not bucket:
        return {"BACKEND": "django.core.files.storage.FileSystemStorage"}
    if find_spec("storages") is None or find_spec("boto3") is None:
        raise ImproperlyConfigured(
            "MEDIA_S3_BUCKET is set but its client is not installed:"
            " pip install 'django-storages[s3]'"
        )
    if endpoint_url and urlsplit(endpoint_url).scheme not in {"http", "https"}:
        raise ImproperlyConfigured("MEDIA_S3_ENDPOINT_URL must be an http(s) address.")
    options = {
        "bucket_name": bucket,
        "endpoint_url": endpoint_url,
        "region_name": region,
        "access_key": access_key,
        "secret_key": secret_key,
        "default_acl": "private",
        "max_memory_size": IN_MEMORY,
        "client_config": _client(is_amazon=not endpoint_url),
    }
    given = {name: value for name, value in options.items() if value != ""}
    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {**given, "file_overwrite": False},
    }


def _client(*, is_amazon: bool) -> Any:
    from botocore.config import Config  # noqa: PLC0415  # an extra, not always there

    return Config(
        signature_version="s3v4",
        s3={"addressing_style": "auto" if is_amazon else "path"},
        connect_timeout=5,
        read_timeout=30,
        retries={"max_attempts": 2},
        # Not every server that speaks S3 knows the newer checksums.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
