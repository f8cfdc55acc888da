"""What users tells the apps above it. Receivers only write rows."""

from django.dispatch import Signal

# Sent by deactivate_user inside its transaction, with `user` and `at`: before the person is
# deactivated and once more afterwards, when nothing can be given to them any more. Why a signal:
# people are deactivated at their own door (console, API), and the open tickets assigned to them
# must go back to their queues in the same transaction.
user_deactivated = Signal()
