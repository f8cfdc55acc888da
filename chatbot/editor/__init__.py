"""Drawing a flow: what can be done to a draft, the form of each kind of passo, undo and redo."""
