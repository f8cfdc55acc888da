"""What leads tells the apps above it. Receivers only write rows."""

from django.dispatch import Signal

# Sent by merge_leads inside its transaction, before any lead is locked, with `winner`, `loser` and
# `actor`. Why a signal: the console and the API merge at a lead's own door, the loser's session
# and ticket must follow in the same transaction, and they are locked before leads.
leads_merging = Signal()
