"""CPF and CNPJ as people read them."""

from __future__ import annotations


def written(document: str) -> str:
    """With its punctuation; what is neither a CPF nor a CNPJ stays as it is."""
    match len(document):
        case 11:
            return f"{document[:3]}.{document[3:6]}.{document[6:9]}-{document[9:]}"
        case 14:
            root, branch = document[:8], document[8:]
            return f"{root[:2]}.{root[2:5]}.{root[5:]}/{branch[:4]}-{branch[4:]}"
    return document
