"""A customer writes after their ticket has ended: do they mean the same case, or something new?

It is the same case when the bot would only greet them: when what they wrote names no flow, is no
word of the flow that would begin ("menu"), and says more than thanks. The survey is not asked here:
while it runs, it hears what they write.

What counts as thanks is what a person may write, so it is data; a channel's settings may replace
the list (`settings["thanks_words"]`).
"""

from __future__ import annotations

from chatbot.channels.inbound import InboundMessage, Kind
from chatbot.documents import document_of
from chatbot.engine.kinds import Handoff
from chatbot.engine.matching import normalise
from chatbot.models import Trigger, TriggerKind
from sessions_app.models import Channel

# One of these makes it thanks ...
THANKS_WORDS = (
    *("obrigado", "obrigada", "brigado", "brigada", "obg", "obgd", "agradeco", "agradecido"),
    *("agradecida", "grato", "grata", "gratidao", "valeu", "vlw", "vlww", "thanks", "ok", "okay"),
    *("blz", "beleza", "certo", "perfeito", "otimo", "joia", "show", "top", "combinado", "tmj"),
    *("excelente", "maravilha", "legal", "tchau", "abraco", "abracos", "disponha", "imagina"),
)
# ... and these may stand beside it.
BESIDE_THANKS = frozenset(
    (
        *("muito", "muitissimo", "mesmo", "demais", "super", "pela", "pelo", "por", "tudo", "a"),
        *("o", "e", "de", "do", "da", "sua", "seu", "voce", "voces", "vc", "vcs", "equipe"),
        *("ajuda", "atencao", "atendimento", "retorno", "resposta", "paciencia", "gentileza"),
        *("bom", "boa", "dia", "tarde", "noite", "semana", "trabalho", "ate", "mais", "logo"),
        *("um", "uma", "grande", "deu", "entao", "ta", "esta", "era", "so", "isso", "nada"),
    )
)


def means_same_case(item: InboundMessage, trigger: Trigger | None, channel: Channel) -> bool:
    """`trigger`: what the message would start; None when nothing would answer it."""
    if item.kind in {Kind.BUTTON_REPLY, Kind.LIST_REPLY, Kind.FLOW_REPLY, Kind.STICKER}:
        return False
    if trigger is not None and trigger.kind != TriggerKind.CATCH_ALL:
        return False
    if item.kind != Kind.TEXT:
        return True
    said = normalise(item.text or "")
    return not (_is_polite(said, channel) or _is_word_of(said, trigger))


def _is_polite(said: str, channel: Channel) -> bool:
    """Thanks, a greeting of parting, a lone rating that comes late, or nothing but emoji."""
    if len(said) <= 1:
        return True
    words = said.split()
    own = channel.settings.get("thanks_words")
    thanks = {normalise(str(one)) for one in own} if isinstance(own, list) else set(THANKS_WORDS)
    return bool(thanks & {said, *words}) and set(words) <= thanks | BESIDE_THANKS | {said}


def _is_word_of(said: str, trigger: Trigger | None) -> bool:
    """One that leads somewhere in the flow, but to people: those are already there."""
    if trigger is None or trigger.flow.published_id is None:
        return False
    document = document_of(trigger.flow.published_id)
    found = document.keywords.get(said)
    return found is not None and not isinstance(document.nodes.get(found[1]), Handoff)
