"""Recorded conversations held again with a draft, in the background; and the proof of the log."""
