"""The API's router: every viewset of every app, under /api/v1/."""

from rest_framework.routers import SimpleRouter


class EitherSlashRouter(SimpleRouter):
    """Addresses with and without the closing slash: a redirected POST would become a GET."""

    def __init__(self) -> None:
        super().__init__()
        self.trailing_slash = "/?"  # the constructor would turn it into "/"


router = EitherSlashRouter()
