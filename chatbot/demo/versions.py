"""The flows of the company as they came about: some versions on air one after the other, and a
draft with mistakes that the check finds."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from chatbot import flows_service
from chatbot.demo.company import Company, read_flow
from chatbot.demo.play import Play, Story
from chatbot.models import Flow, FlowVersion, Trigger, TriggerKind
from users.models import User

MAIN, SALES = "atendimento-geral", "contratacao"
Json = dict[str, Any]
Change = Callable[[Json], None]


def _text(node: str, text: str) -> Change:
    def change(document: Json) -> None:
        document["nodes"][node]["text"] = text

    return change


def _label(node: str, option: int, label: str) -> Change:
    def change(document: Json) -> None:
        document["nodes"][node]["options"][option]["label"] = label

    return change


def _tries(node: str, tries: int) -> Change:
    def change(document: Json) -> None:
        document["nodes"][node]["tries"] = tries

    return change


# What the version on air says differently from each version before it, newest first: a version is
# the one after it with its changes taken back.
BEFORE: tuple[tuple[int, str, str, tuple[Change, ...]], ...] = (
    # days ago, by, note, what was different
    (9, "Luana", "Fora do horário mais curto", ()),
    (
        22,
        "Rafael",
        "Aviso de inatividade",
        (
            _text(
                "fora",
                "Nossa equipe está fora do horário agora. Deixe a mensagem e voltamos amanhã.",
            ),
        ),
    ),
    (
        41,
        "Luana",
        "Nota depois do boleto",
        (_text("avaliar", "De 1 a 5, como foi este atendimento?"),),
    ),
    (60, "Rafael", "CPF com três tentativas", (_tries("informar_cpf", 2),)),
    (75, "Luana", "Texto do protocolo", (_text("suporte", "Seu protocolo é {{ protocol }}."),)),
    (92, "Luana", "Rótulo da lista", (_label("assunto_cobranca", 2, "Trocar vencimento"),)),
    (
        110,
        "Nádia",
        "Boas-vindas com o nome",
        (_text("boas_vindas", "Olá! Sobre o que quer falar?"),),
    ),
    (131, "Rafael", "Despedida", (_text("despedida", "Obrigada pelo contato!"),)),
    (160, "Luana", "CPF do titular", (_text("informar_cpf", "Digite o seu CPF."),)),
    (188, "Luana", "Opção da equipe", (_label("boas_vindas", 2, "Falar com gente"),)),
    (215, "Nádia", "Assuntos da cobrança", (_label("assunto_cobranca", 0, "Valor"),)),
    (244, "Nádia", "Primeira versão", (_text("fora", "Voltamos amanhã."),)),
)


def publish_all(play: Play, company: Company) -> None:
    """Put every version on air when it was, and begin with it what is written on its channel."""
    for (days, by, note, _changes), document in zip(BEFORE, _documents(), strict=True):
        play.begin(_publish(document, company[by], note), play.ago(days=days))
    sales = read_flow(SALES)
    play.begin(_publish(sales, company["Luana"], "Planos de novembro"), play.ago(days=243))
    for slug, channel in ((MAIN, "atendimento"), (SALES, "vendas")):
        play.begin(_trigger(slug, company, channel), play.ago(days=242))
    play.begin(_draft(company["Luana"]), play.ago(minutes=6))


def _documents() -> list[Json]:
    """Newest first."""
    document = read_flow(MAIN)
    found = []
    for _days, _by, _note, changes in BEFORE:
        document = copy.deepcopy(document)
        for change in changes:
            change(document)
        found.append(document)
    return found


def _publish(document: Json, user: User, note: str) -> Story:
    flow, _is_new = Flow.objects.get_or_create(
        slug=document["slug"], defaults={"name": document["name"]}
    )
    flows_service.save_draft(flow, document, user=user, revision=flow.draft_revision)
    version = flows_service.publish(flow, user=user, note=note)
    FlowVersion.objects.filter(pk=version.pk).update(published_at=flow.draft_saved_at)
    yield from ()


def _trigger(slug: str, company: Company, channel: str) -> Story:
    Trigger.objects.create(
        flow=Flow.objects.get(slug=slug),
        kind=TriggerKind.CATCH_ALL,
        channel=company.channels[channel],
        priority=10,
    )
    yield from ()


def _draft(user: User) -> Story:
    """What somebody is at: a passo that nothing leads to, and a label too long for its channel."""
    flow = Flow.objects.get(slug=MAIN)
    draft = copy.deepcopy(read_flow(MAIN))
    nodes = draft["nodes"]
    _label("boas_vindas", 2, "Falar com um atendente")(draft)
    _text("fora", "Atendemos das 6h às 23h. Voltamos amanhã cedo.")(draft)
    _tries("informar_cpf", 0)(draft)
    nodes["promo"] = {
        "kind": "send",
        "title": "Promo novembro",
        "text": "Fibra 1 Giga por R$ 119,90 em novembro",
        "next": "boas_vindas",
    }
    flows_service.save_draft(flow, draft, user=user, revision=flow.draft_revision)
    yield from ()
