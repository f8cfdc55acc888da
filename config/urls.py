"""Every address of the site. What the world relies on is listed in docs; do not rename."""

from csp.constants import UNSAFE_INLINE
from csp.decorators import csp_update
from django.contrib import admin
from django.contrib.auth.decorators import login_not_required, login_required
from django.urls import include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from config import api, audit_views, badges, health, home, notices, search, who_sees

# Swagger UI styles itself inline. Its visitors use browsers: they are sent to the login page.
docs = csp_update({"style-src": [UNSAFE_INLINE]})(
    login_required(SpectacularSwaggerSplitView.as_view(url_name="schema"))
)

console = admin.site.admin_view

urlpatterns = [
    path("", login_not_required(RedirectView.as_view(pattern_name="admin:index"))),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    re_path(r"^api/v1/schema/?$", SpectacularAPIView.as_view(), name="schema"),
    re_path(r"^api/v1/docs/?$", docs, name="docs"),
    path("api/v1/", include(api.router.urls)),
    # Before admin/, which would answer 404 for the console pages that are no ModelAdmin's.
    path("", include("chatbot.urls")),
    path("", include("users.urls")),
    path("admin/home/export/", console(home.export), name="home_export"),
    path("admin/home/<slug:name>/", console(home.card), name="home_card"),
    path("admin/search/", console(search.page), name="search"),
    path("admin/who-sees/", console(who_sees.page), name="who_sees"),
    path("admin/audit/", console(audit_views.page), name="audit"),
    path("admin/audit/export/", console(audit_views.export), name="audit_export"),
    path("admin/badges/", console(badges.news), name="badges"),
    path("admin/notifications/", console(notices.page), name="notices"),
    path("admin/notifications/read/", console(notices.read_all), name="notices_read"),
    path("admin/notifications/<int:notice_id>/", console(notices.open_ticket), name="notice"),
    path("admin/", admin.site.urls),
]
