"""Fill a trial installation with a few fictitious conversations."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot import demo
from users.models import Role, User


class Command(BaseCommand):
    help = (
        "Make fictitious leads, conversations and tickets on the simulator's channel, through the "
        "same services as real ones. Says who is there already; the simulator's page clears them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--yes", action="store_true", help="Also where DEBUG is off.")
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be made.")
        parser.add_argument("--user", help="Who answers the tickets: a user name.")

    def handle(self, *args: Any, **options: Any) -> None:
        dry_run = options["dry_run"]
        if not (settings.DEBUG or options["yes"] or dry_run):
            raise CommandError("DEBUG is off, so this may be a real site. Add --yes if it is not.")
        user = _team(options["user"])
        try:
            for story, is_new in demo.seed(user=user, dry_run=dry_run):
                made = "would be made" if dry_run else "made"
                self.stdout.write(f"{story.name}: {made if is_new else 'is there already'}")
        except demo.NotReady as error:
            raise CommandError(str(error)) from error


def _team(username: str | None) -> User:
    """The person named; else an attendant, else an admin."""
    people = User.objects.active().order_by("pk")
    if username:
        user = people.filter(username=username).first()
    else:
        user = people.filter(role=Role.ATTENDANT).first() or people.admins().first()
    if user is None:
        raise CommandError("There is nobody to answer the tickets. Run: manage.py createsuperuser")
    return user
