"""Where files are kept: a folder, or a bucket of S3 or of what speaks its protocol."""

from importlib.util import find_spec
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from config import env

IN_MEMORY = 5 * 1024 * 1024  # a larger file is read through the disk


def from_environment() -> dict[str, Any]:
    """The entry of STORAGES. Files of a bucket are private, and served by our own views alone."""
    bucket = env.text("MEDIA_S3_BUCKET")
    if not bucket:
        return {"BACKEND": "django.core.files.storage.FileSystemStorage"}
    if find_spec("storages") is None or find_spec("boto3") is None:
        raise ImproperlyConfigured(
            "MEDIA_S3_BUCKET is set but its client is not installed:"
            " pip install 'django-storages[s3]'"
        )
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": _options(bucket)}


def _options(bucket: str) -> dict[str, Any]:
    from botocore.config import Config  # noqa: PLC0415  # an extra, not always there

    endpoint = env.text("MEDIA_S3_ENDPOINT_URL")
    options: dict[str, Any] = {
        "bucket_name": bucket,
        "region_name": env.text("MEDIA_S3_REGION") or None,
        "endpoint_url": env.http_url("MEDIA_S3_ENDPOINT_URL", endpoint) if endpoint else None,
        "access_key": env.text("MEDIA_S3_ACCESS_KEY") or None,
        "secret_key": env.text("MEDIA_S3_SECRET_KEY") or None,
        "default_acl": "private",
        "file_overwrite": False,
        "max_memory_size": IN_MEMORY,
        "client_config": Config(
            signature_version="s3v4",
            s3={"addressing_style": "path" if endpoint else "auto"},
            connect_timeout=5,
            read_timeout=30,
            retries={"max_attempts": 2},
            # Not every server that speaks S3 knows the newer checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    }
    return {name: value for name, value in options.items() if value is not None}
