"""The few fixed sentences that a customer may get outside a flow. A channel's settings may replace
them (`settings["sentences"][key]`); what the bot says is data, not interface, so they are not
translated."""

from __future__ import annotations

from sessions_app.models import Channel

SENTENCES = {
    "trouble": (
        "Tive um problema para continuar por aqui. "
        "Já chamei a equipe, que responde nesta mesma conversa."
    ),
    "unsupported": "Ainda não consigo abrir esse tipo de mensagem. Pode escrever em texto?",
    "opted_out": (
        "Pronto, você não vai mais receber nossas ofertas. "
        "Se mudar de ideia, escreva “quero receber”. Para falar com a gente, é só escrever."
    ),
    "opted_in": ("Pronto, você voltou a receber nossas ofertas. Para parar, escreva “parar”."),
    "silent": (
        "Ainda estamos esperando a sua resposta. "
        "Se não precisar de mais nada, este atendimento será encerrado em breve."
    ),
    "reopened": "Recebi a sua mensagem e reabri o seu atendimento. A equipe responde por aqui.",
    "reopened_closed": (
        "Recebi a sua mensagem e reabri o seu atendimento. "
        "A equipe está fora do horário agora e responde por aqui assim que voltar."
    ),
    "queued": "Você é o {{ position }}º da fila. A equipe responde por aqui.",
    "queued_about": "Você é o {{ position }}º da fila. Previsão: cerca de {{ wait }}.",
    "queued_between": (
        "Você é o {{ position }}º da fila. Previsão: entre {{ shortest }} e {{ longest }}."
    ),
    "too_big": "O arquivo passou do tamanho que o WhatsApp entrega. Pode enviar um menor?",
}


def sentence(key: str, channel: Channel) -> str:
    """The channel's own sentence, else ours."""
    own = channel.settings.get("sentences")
    chosen = own.get(key) if isinstance(own, dict) else None
    return chosen if isinstance(chosen, str) and chosen.strip() else SENTENCES[key]
