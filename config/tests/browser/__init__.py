"""The whole program in a real browser, with a stand-in for Meta."""
