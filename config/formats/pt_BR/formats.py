"""Dates as the console shows them: short, and the months are no proper names in Portuguese."""

DATE_FORMAT = "d/m/Y"
DATETIME_FORMAT = "d/m/Y H:i"
