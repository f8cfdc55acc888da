"""An admin draws a flow from nothing, is stopped by two errors, mends them, tries it in another
time, publishes it, and a customer gets it; then two versions are compared and one comes back."""

import pytest
from django.urls import reverse
from django.utils.translation import gettext as _
from playwright.sync_api import expect

from chatbot.models import Flow, FlowLog, Trigger
from config.tests.browser import desk as people
from config.tests.browser.desk import barriers
from config.tests.browser.site import wait_for
from users.models import Department

NEW = "+"  # the choice “create a new step” of an exit
WORD = "boletim"


class Drawing:
    """The page of a flow, drawn on by keyboard: the focus is where the last key left it."""

    def __init__(self, page):
        self.page = page

    def field(self, name):
        return self.page.locator(f"[id='step-{name}']")

    def node(self, node_id):
        return self.page.locator(f"[data-map] a[data-node={node_id}]").first

    def open(self, node_id):
        self.node(node_id).press("Enter")
        expect(self.page.locator(f"[data-step={node_id}] #step-heading")).to_be_focused()

    def write(self, name, text):
        """Into a field of the form, key by key, over what stands there."""
        self.field(name).focus()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(text)

    def leads_to(self, name, kind, title):
        """The exit leads to a passo that does not exist yet."""
        self.field(name).select_option(NEW)
        self.field(f"{name}.new_kind").select_option(kind)
        self.write(f"{name}.new_title", title)

    def option(self, number, label, kind, title):
        """One more option of a menu; a form begins with the first one."""
        if number:
            self.field("options-add").focus()
            self.page.keyboard.press("Enter")
            name = f"options.n{number}"
            expect(self.field(f"{name}.label")).to_be_focused()
        else:
            name = "options.0"
        self.write(f"{name}.label", label)
        if kind:
            self.leads_to(f"{name}.next", kind, title)
        else:
            self.field(f"{name}.next").select_option(title)

    def save(self, shows=""):
        with self.page.expect_response(lambda answer: answer.request.method == "POST"):
            self.page.keyboard.press("Control+s")
        expect(self.page.locator("#step-save")).to_be_focused()
        expect(self.page.locator("#step-errors")).to_have_count(0)
        expect(self.page.locator("[data-step-form][data-dirty]")).to_have_count(0)
        if shows:
            expect(self.node(shows)).to_be_attached()

    def close(self):
        self.page.keyboard.press("Escape")
        expect(self.page.locator("#step-panel article")).to_have_count(0)
        expect(self.page.locator("#simulador")).to_be_visible()


@pytest.fixture
def departments():
    for slug, name in (("financeiro", "Financeiro"), ("suporte", "Suporte técnico")):
        Department.objects.get_or_create(slug=slug, defaults={"name": name})


def begin(desk):
    """A new flow with nothing but its entry; the page to draw it on."""
    page = desk.open(people.admin(), reverse("admin:chatbot_flow_add"))
    page.get_by_label(_("Name"), exact=True).fill("Atendimento desenhado")
    page.get_by_role("button", name=_("Create flow")).click()
    page.locator("#flow-map-card").wait_for()
    return Drawing(page), Flow.objects.latest("pk")


def draw(on):
    """The flow of the design's screen, with its two errors."""
    draw_the_bill(on)
    draw_the_rest(on)
    draw_what_nobody_reaches(on)


def draw_the_bill(on):
    on.open("inicio")
    on.leads_to("next", "menu", "Boas-vindas")
    on.save(shows="boas_vindas")
    on.close()

    on.open("boas_vindas")
    on.write("text", "Olá! Sobre o que você quer falar?")
    on.option(0, "Segunda via", "ask", "Informar CPF")
    on.option(1, "Cobrança", "menu", "Assunto da cobrança")
    on.option(2, "Falar com um atendente", "branch", "Está no horário?")
    on.write("fallback", "Não entendi. Escolha uma opção.")
    on.save(shows="informar_cpf")
    on.field("on_fail").select_option("esta_no_horario")
    on.save()
    on.close()

    on.open("informar_cpf")
    on.write("text", "Qual é o CPF do titular?")
    with on.page.expect_response(lambda answer: answer.request.method == "POST"):
        on.field("answer").select_option("cpf")  # its form is drawn anew
    on.write("save_as", "cpf")
    on.write("invalid", "Esse CPF não vale. Confira os números.")
    on.leads_to("next", "send", "Enviar boleto")
    on.field("on_fail").select_option("esta_no_horario")
    on.save(shows="enviar_boleto")
    on.close()

    on.open("enviar_boleto")
    on.write("text", "Aqui está a segunda via.")
    on.leads_to("next", "menu", "Avaliar atendimento")
    on.save(shows="avaliar_atendimento")
    on.close()


def draw_the_rest(on):
    on.open("avaliar_atendimento")
    on.write("text", "Que nota você dá?")
    on.option(0, "Boa", "end", "Despedida")
    on.option(1, "Ruim", "handoff", "Para Financeiro")
    on.write("fallback", "Escolha uma das duas.")
    on.save(shows="despedida")
    on.field("on_fail").select_option("despedida")
    on.save()
    on.close()

    on.open("assunto_da_cobranca")
    on.write("text", "Qual destes assuntos é o seu?")
    on.option(0, "Valor diferente", "", "para_financeiro")
    on.option(1, "Em duplicidade", "", "para_financeiro")
    on.option(2, "Mudar vencimento", "", "para_financeiro")
    on.write("fallback", "Escolha um dos assuntos.")
    on.field("on_fail").select_option("para_financeiro")
    on.save()
    on.close()

    on.open("para_financeiro")
    on.field("department").select_option("financeiro")
    on.write("text", "Chamei o Financeiro. Protocolo {{ protocol }}.")
    on.save()
    on.close()

    on.open("esta_no_horario")
    on.field("cases.0.when.parts.0.open").select_option("suporte")
    on.leads_to("cases.0.next", "handoff", "Para Suporte")
    on.leads_to("otherwise", "end", "Fora do horário")
    on.save(shows="para_suporte")
    on.close()

    for node_id, words in (
        ("para_suporte", "Chamei o Suporte. Protocolo {{ protocol }}."),
        ("fora_do_horario", "Agora não há ninguém. Volte amanhã."),
        ("despedida", "Obrigado!"),
    ):
        on.open(node_id)
        if node_id == "para_suporte":
            on.field("department").select_option("suporte")
        on.write("text", words)
        on.save()
        on.close()


def draw_what_nobody_reaches(on):
    # The map that is drawn anew comes with a closed menu.
    on.page.wait_for_function("!document.querySelector('.htmx-request, .htmx-settling')")
    on.page.locator("summary", has_text=_("New step")).focus()
    on.page.keyboard.press("Enter")
    kind = on.page.locator("[data-step-open].pop-i").first
    expect(kind).to_be_visible()
    kind.focus()
    expect(kind).to_be_focused()
    on.page.keyboard.press("Enter")
    on.page.locator("#step-new-title").fill("Promo novembro")
    on.page.keyboard.press("Enter")
    expect(on.page.locator("[data-step=promo_novembro]")).to_be_visible()
    on.write("text", "Fibra com desconto em novembro")
    on.field("next").select_option("boas_vindas")
    on.save(shows="promo_novembro")
    on.close()


def trigger(desk, page, flow):
    page.goto(f"{desk.site.url}{reverse('flow_trigger_add', args=[flow.pk])}")
    page.locator("[name=kind]").select_option("keyword")
    page.locator("[name=keywords]").fill(WORD)
    page.locator("[name=priority]").fill("90")
    page.get_by_role("button", name=_("Save")).first.click()
    wait_for(lambda: Trigger.objects.filter(flow=flow).exists(), "the trigger")


def mend(on):
    """A shorter option, and the passo that nobody comes to goes."""
    on.open("boas_vindas")
    labels = on.page.locator("[id^='step-options.'][id$='.label']")
    labels.nth(2).focus()
    on.page.keyboard.press("Control+a")
    on.page.keyboard.type("Falar com a equipe")
    on.save()
    on.close()
    on.open("promo_novembro")
    on.page.locator("#step-panel summary").first.click()
    on.page.get_by_role("link", name=_("Delete…")).click()
    on.page.locator("#step-panel").get_by_role("button", name=_("Delete step")).click()
    expect(on.node("promo_novembro")).to_have_count(0)


def try_it(on):
    """On the draft: a customer, then Saturday, then 25 hours of silence."""
    said, thread = on.page.locator("#simulated-text"), on.page.locator("#simulador")
    clock = on.page.locator("#simulador .phone-h")

    def say(text, answer):
        said.fill(text)
        with on.page.expect_response(lambda got: got.request.method == "POST"):
            said.press("Enter")
        expect(thread).to_contain_text(answer)

    say("Oi", "Sobre o que você quer falar?")
    on.page.locator("#simulator-saturday").click()
    expect(clock).to_contain_text(_("Saturday"), ignore_case=True)
    say("Voltei", "Voltei")  # after so long a silence the flow begins anew
    say("segunda via", "Qual é o CPF do titular?")
    say("529.982.247-25", "Que nota você dá?")
    on.page.locator("#simulator-advance").click()
    expect(clock).to_contain_text(_("Sunday"), ignore_case=True)


def test_a_flow_is_drawn_proved_tried_published_and_lived(desk, departments):
    on, flow = begin(desk)
    draw(on)
    publish = on.page.get_by_role("button", name=_("Publish %(version)s") % {"version": "v1"})
    expect(publish).to_be_disabled()
    alert = on.page.locator("#flow-alert")
    expect(alert).to_contain_text("Boas-vindas")
    expect(alert).to_contain_text("Promo novembro")
    expect(on.page.locator("#flow-findings .chip.danger")).to_contain_text("2")
    assert barriers(on.page) == []
    mend(on)
    expect(alert).not_to_contain_text("Promo novembro")
    try_it(on)
    publish_draft(desk, on.page, flow, "v1")
    trigger(desk, on.page, flow)
    live(desk, flow)
    change_and_bring_back(desk, on, flow)


def publish_draft(desk, page, flow, version):
    page.goto(f"{desk.site.url}{reverse('admin:chatbot_flow_change', args=[flow.pk])}")
    button = _("Publish %(version)s") % {"version": version}
    page.get_by_role("link", name=button).click()
    page.locator("#publish-note").fill("O que mudou")
    page.get_by_role("button", name=button).click()
    number = int(version.removeprefix("v"))
    on_air = Flow.objects.filter(pk=flow.pk, published__number=number)
    wait_for(on_air.exists, "the version on air")


def live(desk, flow):
    """A customer on the real channel goes the way that was drawn."""
    davi = people.customer(desk.site)
    for said, answer in (
        (WORD, "Sobre o que você quer falar?"),
        ("segunda via", "Qual é o CPF do titular?"),
        ("111", "Esse CPF não vale"),
        ("529.982.247-25", "Que nota você dá?"),
        ("Ruim", "Chamei o Financeiro. Protocolo"),
    ):
        davi.say(said)
        davi.receives(answer)
    assert davi.ticket.department.slug == "financeiro"
    rows = FlowLog.objects.filter(run__version__flow=flow, session__is_simulated=False)
    way = [one["node"] for row in rows.order_by("seq") for one in row.trace]
    assert list(dict.fromkeys(way)) == [
        *("inicio", "boas_vindas", "informar_cpf", "enviar_boleto"),
        *("avaliar_atendimento", "para_financeiro"),
    ]


def change_and_bring_back(desk, on, flow):
    """A second version, what differs in words, and the first one again in the draft."""
    page = on.page
    page.goto(f"{desk.site.url}{reverse('admin:chatbot_flow_change', args=[flow.pk])}")
    on.open("despedida")
    on.write("text", "Obrigado e até logo!")
    on.save()
    on.close()
    publish_draft(desk, page, flow, "v2")
    page.goto(f"{desk.site.url}{reverse('flow_versions', args=[flow.pk])}?from=1&to=2")
    expect(page.locator("main")).to_contain_text("Obrigado e até logo!")
    assert barriers(page) == []
    page.get_by_role("button", name=_("Restore %(version)s") % {"version": "v1"}).first.click()

    def is_back():
        flow.refresh_from_db()
        return flow.draft["nodes"]["despedida"]["text"] == "Obrigado!"

    wait_for(is_back, "the first version in the draft")
