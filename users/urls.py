"""The console's pages of the person who is logged in, of the roles, and the way in for somebody
invited."""

from django.contrib import admin
from django.urls import path

from users import account_views, login_views, people_views, token_views, two_factor_views, views
from users.invitation_views import AcceptInvitation

console = admin.site.admin_view

urlpatterns = [
    path("admin/availability/", console(views.availability), name="availability"),
    path("admin/roles/", console(people_views.roles), name="roles"),
    path("convite/<uidb64>/<token>/", AcceptInvitation.as_view(), name="invitation"),
    path("admin/profile/", console(views.profile), name="profile"),
    path("admin/login/code/", login_views.code, name="login_code"),
    path("admin/password/", login_views.PasswordReset.as_view(), name="password_reset"),
    path(
        "admin/password/sent/",
        login_views.PasswordResetDone.as_view(),
        name="password_reset_done",
    ),
    path(
        "admin/password/done/",
        login_views.PasswordResetComplete.as_view(),
        name="password_reset_complete",
    ),
    path(
        "admin/password/<uidb64>/<token>/",
        login_views.PasswordResetConfirm.as_view(),
        name="password_reset_confirm",
    ),
    path("admin/logins/", console(account_views.own_logins), name="own_logins"),
    path("admin/logins/end/", console(account_views.end_others), name="own_logins_end_others"),
    path("admin/logins/<int:login_id>/end/", console(account_views.end_one), name="own_login_end"),
    path("admin/two-factor/", console(two_factor_views.page), name="two_factor"),
    path("admin/two-factor/setup/", console(two_factor_views.setup), name="two_factor_setup"),
    path("admin/two-factor/codes/", console(two_factor_views.codes), name="two_factor_codes"),
    path(
        "admin/two-factor/remove/",
        console(two_factor_views.remove),
        name="two_factor_remove",
    ),
    path("admin/tokens/", console(token_views.own), name="own_tokens"),
    path("admin/tokens/new/", console(token_views.new), name="own_token_new"),
    path(
        "admin/tokens/<int:token_id>/revoke/",
        console(token_views.revoke),
        name="own_token_revoke",
    ),
    path(
        "admin/people/<int:user_id>/logins/end/",
        console(account_views.sign_out_person),
        name="person_sign_out",
    ),
    path(
        "admin/people/<int:user_id>/two-factor/remove/",
        console(two_factor_views.remove_of),
        name="person_two_factor_remove",
    ),
    path("admin/locked-out/let-in/", console(account_views.let_in), name="let_in"),
]
