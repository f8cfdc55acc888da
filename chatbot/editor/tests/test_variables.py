from chatbot.editor.variables import variables_of
from chatbot.engine.nodes import parse_flow


def flow():
    return parse_flow(
        {
            "slug": "oi",
            "name": "Oi",
            "start": "inicio",
            "variables": {"protocolo": {"label": "Protocolo", "given": True}},
            "nodes": {
                "inicio": {"kind": "start", "save_as": "primeira", "next": "nome"},
                "nome": {"kind": "ask", "text": "{{ protocolo }}?", "save_as": "nome"},
                "conta": {"kind": "set", "values": [{"name": "vezes", "op": "add", "value": 1}]},
                "copia": {"kind": "set", "values": [{"name": "b", "op": "copy", "value": "nome"}]},
                "hora": {
                    "kind": "branch",
                    "cases": [{"when": {"none": [{"variable": "vezes", "op": "gt", "value": 2}]}}],
                },
                "pede": {
                    "kind": "http",
                    "url": "https://x.io/{{ nome }}",
                    "headers": {"A": "{{ secret.chave }}"},
                    "mapping": {"valor": "fatura.valor"},
                },
                "chama": {"kind": "call", "handler": "h"},
                "fala": {"kind": "send", "text": "{{ foto.filename }} {{ lead.name }} {{ today }}"},
            },
        }
    )


def test_it_is_known_where_each_variable_is_set_and_read():
    uses = {one.name: one for one in variables_of(flow(), {"h": ("achado",)})}
    assert {name: (one.set_at, one.read_at) for name, one in uses.items()} == {
        "achado": (["chama"], []),
        "b": (["copia"], []),
        "foto": ([], ["fala"]),
        "nome": (["nome"], ["copia", "pede"]),
        "primeira": (["inicio"], []),
        "protocolo": ([], ["nome"]),
        "valor": (["pede"], []),
        "vezes": (["conta"], ["conta", "hora"]),
    }
    assert uses["protocolo"].label == "Protocolo"
    assert uses["protocolo"].is_given
