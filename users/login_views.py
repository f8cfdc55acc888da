"""The way in: the password, then the code of those who have an app; a new password by mail."""

from __future__ import annotations

import logging
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import PasswordResetForm
from django.core.cache import cache
from django.core.mail import EmailMessage
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from users import audit, logins, two_factor
from users.login_history import LONGEST_NAME
from users.models import User
from users.permissions import person

logger = logging.getLogger(__name__)

MAIL_EVERY = 120  # seconds between two mails to the same person


class LoginForm(AdminAuthenticationForm):
    """As Django's, which lets a name of any length through to those who keep it."""

    def clean_username(self) -> str:
        username: str = self.cleaned_data["username"]
        if len(username) > LONGEST_NAME:
            raise self.get_invalid_login_error()
        return username


class ConsoleLogin(auth_views.LoginView):
    """The first step. Whoever has no app is logged in by it."""

    authentication_form = LoginForm

    def form_valid(self, form: Any) -> HttpResponse:
        user = form.get_user()
        if not two_factor.has_app(user):
            return super().form_valid(form)
        lead_to = self.get_success_url()
        two_factor.begin(self.request, user, lead_to=lead_to, at=timezone.now())
        return HttpResponseRedirect(reverse("login_code"))


@login_not_required
@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "POST"])
def code(request: HttpRequest) -> HttpResponse:
    """The second step: the code of the app, or a recovery code."""
    waiting = two_factor.pending(request, timezone.now())
    if waiting is None:
        return HttpResponseRedirect(reverse("admin:login"))
    user, lead_to = waiting
    error = ""
    if request.method == "POST":
        try:
            device = two_factor.check(request, user, request.POST.get("code", ""))
        except two_factor.CodeRefused as refusal:
            error = refusal.message
        else:
            two_factor.finish(request, user, device)
            return HttpResponseRedirect(lead_to)
    context = {**admin.site.each_context(request), "title": _("Enter the code"), "error": error}
    return TemplateResponse(request, "users/login_code.html", context)


class ResetForm(PasswordResetForm):
    """Sends to people who may log in; whether there was one, nobody is told."""

    def send_mail(  # noqa: PLR0913, PLR0917  # Django's
        self,
        subject_template_name: str,
        email_template_name: str,
        context: dict[str, Any],
        from_email: str | None,
        to_email: str,
        html_email_template_name: str | None = None,
    ) -> None:
        user: User = context["user"]
        if not cache.add(f"password-reset-{user.pk}", 1, MAIL_EVERY):
            return
        with translation.override(user.language):
            subject = " ".join(render_to_string(subject_template_name, context).split())
            body = render_to_string(email_template_name, context)
        mail = EmailMessage(subject, body, from_email, [to_email])
        # Beside the request: a mail server takes a moment, which would tell that there is somebody.
        Thread(target=_send, args=(mail, user.pk), name="password-reset").start()


def _send(mail: EmailMessage, user_pk: int) -> None:
    try:
        mail.send()
    except OSError:  # of smtplib, too
        logger.exception("the mail with a link for a new password of user %s was not sent", user_pk)


class _OfTheConsole:
    """With what every page of the console has; open to those who are not logged in."""

    title: Any
    request: HttpRequest

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)  # type: ignore[misc]  # of a view
        return {**admin.site.each_context(self.request), **context}


@method_decorator(login_not_required, name="dispatch")
class PasswordReset(_OfTheConsole, auth_views.PasswordResetView):
    """Asks for the e-mail address and says the same about every one."""

    form_class = ResetForm
    template_name = "users/password_reset.html"
    email_template_name = "users/mail/password_reset.txt"
    subject_template_name = "users/mail/password_reset_subject.txt"
    title = gettext_lazy("A new password")

    def form_valid(self, form: Any) -> HttpResponse:
        """The link names the site as it is configured, whatever host the request named."""
        form.save(
            domain_override=urlsplit(settings.SITE_URL).netloc,
            use_https=settings.IS_HTTPS,
            subject_template_name=self.subject_template_name,
            email_template_name=self.email_template_name,
            request=self.request,
        )
        return HttpResponseRedirect(self.get_success_url())


@method_decorator(login_not_required, name="dispatch")
class PasswordResetDone(_OfTheConsole, auth_views.PasswordResetDoneView):
    template_name = "users/password_reset_done.html"
    title = gettext_lazy("Look into your mail")


@method_decorator(login_not_required, name="dispatch")
class PasswordResetConfirm(_OfTheConsole, auth_views.PasswordResetConfirmView):
    """Behind the link: the new password. Ends every login of the person; an app stays."""

    template_name = "users/password_reset_confirm.html"

    def get_user(self, uidb64: str) -> Any:
        """A link from before somebody was deactivated opens nothing."""
        user = super().get_user(uidb64)
        return user if user is not None and user.is_active else None

    def form_valid(self, form: Any) -> HttpResponse:
        answer = super().form_valid(form)
        audit.acted(self.user, audit.RESET_BY_MAIL, by=self.user)
        logins.end_all(self.user, request=self.request)
        return answer


@method_decorator(login_not_required, name="dispatch")
class PasswordResetComplete(_OfTheConsole, auth_views.PasswordResetCompleteView):
    template_name = "users/password_reset_complete.html"
    title = gettext_lazy("Your new password is set")


class PasswordChange(auth_views.PasswordChangeView):
    """One's own password. The other browsers are signed out; this one gets a new session key."""

    def form_valid(self, form: Any) -> HttpResponse:
        before = self.request.session.session_key
        answer = super().form_valid(form)
        logins.moved(self.request, before)
        keep = self.request.session.session_key
        logins.end_all(person(self.request), keep=keep, request=self.request)
        return answer
