"""The whole program against a stand-in for Meta, with faults, kills and restarts.

`manage.py soak` writes a plan into a folder of its own and hands over to `python -m chatbot.soak`,
whose environment points at a database of its own. Three kinds of process follow: the program (web
and worker processes, as in production), the stand-in with the customers (`standin.py`), and the one
that starts, kills, restarts and in the end compares (`run.py`).
"""
