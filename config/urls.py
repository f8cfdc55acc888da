"""Every address of the site. What the world relies on is listed in docs; do not rename."""

from csp.constants import UNSAFE_INLINE
from csp.decorators import csp_update
from django.contrib import admin
from django.contrib.auth.decorators import login_not_required, login_required
from django.urls import include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from config import api, health

# Swagger UI styles itself inline. Its visitors use browsers: they are sent to the login page.
docs = csp_update({"style-src": [UNSAFE_INLINE]})(
    login_required(SpectacularSwaggerSplitView.as_view(url_name="schema"))
)

urlpatterns = [
    path("", login_not_required(RedirectView.as_view(pattern_name="admin:index"))),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    re_path(r"^api/v1/schema/?$", SpectacularAPIView.as_view(), name="schema"),
    re_path(r"^api/v1/docs/?$", docs, name="docs"),
    path("api/v1/", include(api.router.urls)),
    # Before admin/, which would answer 404 for the console pages of chatbot.
    path("", include("chatbot.urls")),
    path("admin/", admin.site.urls),
]
