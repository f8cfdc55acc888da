"""Words by which a customer stops offers, or asks for them again, whoever has the conversation.

They are what a person may write, so they are data; a channel's settings may replace each list
(`settings["opt_out_words"]`, `settings["opt_in_words"]`). The whole message must be one of them,
whatever its case, accents and punctuation.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from chatbot.channels.inbound import InboundMessage, Kind
from chatbot.engine.matching import normalise
from chatbot.turn import Turn
from leads.services import opt_in, opt_out
from sessions_app.models import Channel

OPT_OUT_WORDS = (
    "parar",
    "pare",
    "stop",
    "sair",  # a flow may answer it as a word of its own; it stops offers all the same
    "sair da lista",
    "me tire da lista",
    "me remova da lista",
    "remover",
    "descadastrar",
    "descadastre",
    "descadastro",
    "quero me descadastrar",
    "cancelar inscrição",
    "cancelar minha inscrição",
    "cancelar envio",
    "não quero receber",
    "não quero mais receber",
    "não quero receber mensagens",
    "não quero mais receber mensagens",
    "não quero receber ofertas",
    "não quero receber promoções",
    "parar promoções",
    "parar de receber",
    "parar mensagens",
    "pare de mandar mensagem",
    "pare de mandar mensagens",
    "pare de enviar mensagens",
    "não me mande mais mensagens",
    "stop promotions",
    "unsubscribe",
)
OPT_IN_WORDS = (
    "quero receber",
    "quero voltar a receber",
    "voltar a receber",
    "quero receber ofertas",
    "quero receber promoções",
    "quero receber mensagens",
    "receber ofertas",
    "receber promoções",
    "start",
)
LONGEST = 80  # characters: nobody stops offers in a longer message by mistake
SAID = frozenset({Kind.TEXT, Kind.BUTTON_REPLY})


def heed(turn: Turn, item: InboundMessage, *, at: datetime) -> str:
    """Record what the message says about offers, with its words, in the caller's transaction.

    Returns the key of the sentence that answers it; "" when it says nothing about offers, or when
    the flow has an answer of its own. An option of the menu at hand is an answer to the menu.
    """
    text = item.text or ""
    if item.kind not in SAID or not 0 < len(text) <= LONGEST:
        return ""
    lead, channel = turn.session.lead, turn.session.channel
    said = normalise(text)
    is_stop = said in _words(channel, "opt_out_words", OPT_OUT_WORDS)
    is_resume = lead.opted_out_at is not None and said in _words(
        channel, "opt_in_words", OPT_IN_WORDS
    )
    if not (is_stop or is_resume):
        return ""
    expected = turn.expects(item, at)
    if expected == "option":
        return ""
    change = opt_out if is_stop else opt_in
    change(lead, text=text, origin=channel.slug, at=at)
    if expected == "word":
        return ""
    return "opted_out" if is_stop else "opted_in"


def _words(channel: Channel, setting: str, ours: tuple[str, ...]) -> frozenset[str]:
    own = channel.settings.get(setting)
    if isinstance(own, list):
        return _normalised(tuple(str(word) for word in own))
    return _normalised(ours)


@lru_cache(maxsize=64)
def _normalised(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(normalise(word) for word in words) - {""}
