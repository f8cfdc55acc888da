"""What people really do in flows, counted from the log of each run."""
