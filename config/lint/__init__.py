"""Rules of this codebase that no general linter knows. `python -m config.lint <rule> <file>…`"""
