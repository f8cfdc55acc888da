"""The conversations that somebody who opens the console now finds on their desk."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta

from chatbot.channels.inbound import Kind
from chatbot.demo import files
from chatbot.demo.acts import Attendant, Customer
from chatbot.demo.company import Company
from chatbot.demo.play import Play
from chatbot.models import MessageStatus
from leads.models import LeadStatus, Tag
from leads.services import add_note as add_lead_note
from leads.services import set_attendant, update_lead
from tickets import services as tickets
from tickets.models import Draft, DraftKind, Priority, TicketStatus
from users.models import User

Part = Generator[timedelta, None, None]

NAMES = (
    *("Mariana Azevedo", "Jonas Peixoto", "Padaria Sol Nascente", "Elisângela Viana"),
    *("Gilberto Castilho", "Bruno Tavares", "Heitor Moura", "Rosa Cordeiro", "Valter Lins"),
    *("Célio Amorim", "Célia Monteiro", "Igor Falcão", "Patrícia Lemos", "Joaquim Bezerra"),
    *("Sandra Vilar", "Gilvan Trajano", "Ênio Barreto", "Lúcia Fontes", "Davi Marques"),
    *("Noêmia Prates", "Aurélio Campos", "Zélia Rangel", "Otoniel Braga", "Iracema Dias"),
    *("Benedito Saraiva", "Clarice Antunes", "Evandro Pires", "Fátima Gurgel", "Hugo Mendonça"),
)
WITH_BOT = (
    *("Abel Nogueira", "Berenice Costa", "Caetano Vidal", "Dulce Peixe", "Elias Cunha"),
    *("Flora Xavier", "Genival Souto", "Hilda Serpa", "Irineu Matias", "Jurema Bastos"),
)
SALES = ("Clarice Antunes", "Evandro Pires", "Fátima Gurgel", "Heitor Moura")  # on the other number


@dataclass
class Today:
    """`people`: the customers of these stories, by name."""

    play: Play
    company: Company
    people: dict[str, Customer]

    def begin(self) -> None:
        begin, ago = self.play.begin, self.play.ago
        begin(self._months_ago("Mariana Azevedo", "Troca de titularidade", "4"), ago(days=236))
        begin(self._months_ago("Mariana Azevedo", "Sem sinal após chuva", "5"), ago(days=86))
        begin(self._mariana(), ago(hours=11, minutes=30))
        begin(self._jonas(), ago(minutes=37))
        begin(self._padaria(), ago(minutes=17))
        begin(self._answered("Elisângela Viana", ELISANGELA, by="Rafael"), ago(minutes=95))
        begin(
            self._answered("Gilberto Castilho", GILBERTO, by="Rafael", works=True), ago(minutes=80)
        )
        begin(self._answered("Bruno Tavares", BRUNO, by="Rafael"), ago(minutes=66))
        begin(self._answered("Célia Monteiro", CELIA, by="Camila"), ago(minutes=58))
        begin(self._snoozed("Igor Falcão", IGOR, hours=21), ago(hours=4))
        begin(self._answered("Patrícia Lemos", PATRICIA, by="Camila", works=True), ago(minutes=44))
        begin(self._answered("Sandra Vilar", SANDRA, by="Camila"), ago(hours=3))
        begin(self._window_closed(), ago(hours=27))
        begin(self._reopened(), ago(days=2, hours=3))
        for number, (name, lines) in enumerate(SUPPORT):
            begin(self._support(name, lines), ago(minutes=170 - 17 * number))
        begin(self._snoozed("Zélia Rangel", ZELIA, hours=3), ago(hours=2))
        for number, name in enumerate(SALES[:3]):
            begin(self._sale(name), ago(minutes=150 - 40 * number))
        begin(self._heitor(), ago(hours=20))
        begin(self._waits("Rosa Cordeiro", ROSA), ago(minutes=9))
        begin(self._waits("Valter Lins", VALTER), ago(minutes=16))
        begin(self._waits("Célio Amorim", CELIO), ago(minutes=37))
        begin(self._gilvan(), ago(minutes=13))
        for number, name in enumerate(WITH_BOT):
            begin(self._with_bot(name, number), ago(minutes=2 + number))

    # -- Mariana: the case of the pictures

    def _mariana(self) -> Part:
        mariana, play = self.people["Mariana Azevedo"], self.play
        rafael, camila = self._attendant("Rafael"), self._attendant("Camila")
        mariana.say("Oi, boa noite! Minha fatura veio com valor errado")
        yield timedelta(seconds=40)
        mariana.tap("cobranca")
        yield timedelta(seconds=70)
        mariana.tap("valor-diferente")
        yield play.until(minutes=14)
        rafael.claim(mariana)
        self._tag(mariana, "cobrança")
        hello = rafael.reply(
            mariana,
            "Bom dia, Mariana! Sou o Rafael, do Financeiro. Você consegue me mandar uma foto do "
            "boleto que chegou?",
        )
        yield play.until(minutes=13)
        update_lead(mariana.session.lead, status=LeadStatus.QUALIFIED, actor=rafael.user)
        yield play.until(minutes=11)
        mariana.send_file(
            Kind.IMAGE,
            files.bill("189,90"),
            text="Esse aqui, era pra ser 129,90",
            reply_to=_provider_id(hello.pk),
        )
        yield play.until(minutes=10)
        mariana.send_file(Kind.VOICE, files.voice())
        yield play.until(minutes=9)
        rafael.note(
            mariana,
            "@Camila Prado o desconto de fidelidade dela caiu em outubro sem aviso. Posso emitir "
            "a corrigida com R$ 129,90?",
        )
        yield play.until(minutes=7)
        camila.note(
            mariana,
            "Pode sim. Era do lote 14, o time de planos já corrigiu. Vencimento novo 20/11.",
        )
        yield play.until(minutes=5)
        rafael.reply(
            mariana,
            "Confirmei aqui: o desconto de fidelidade caiu por um erro nosso. Já emiti a fatura "
            "corrigida, de R$ 129,90, com vencimento em 20/11.",
            fate=MessageStatus.READ,
        )
        rafael.send_file(mariana, "fatura-nov-corrigida.pdf", _corrected_bill())
        yield play.until(minutes=2)
        mariana.say("Recebi, muito obrigada!! Aproveitando: o técnico consegue vir neste endereço?")
        yield play.until(minutes=1)
        mariana.share_place(
            -8.0578, -34.8829, name="R. das Acácias, 214, Boa Vista", address="Recife, PE"
        )
        yield play.until(seconds=40)
        rafael.reply(
            mariana,
            "Consegue sim. Tenho visita amanhã entre 8h e 12h, fica bom?",
            fate=MessageStatus.FAILED,
        )
        rafael.reply(
            mariana, "Se preferir à tarde, me diz que eu encaixo.", fate=MessageStatus.QUEUED
        )
        tickets.set_status(
            mariana.ticket, status=TicketStatus.IN_PROGRESS, actor=rafael.user, at=play.at
        )
        Draft.objects.create(
            ticket=mariana.ticket,
            user=rafael.user,
            kind=DraftKind.REPLY,
            text="Deixo agendado para amanhã de manhã, então?",
        )

    def _months_ago(self, name: str, subject: str, rating: str) -> Part:
        """An earlier case, solved."""
        customer, tiago = self.people[name], self._attendant("Tiago")
        customer.say("Oi")
        yield timedelta(seconds=30)
        customer.tap("equipe")
        if not customer.has_ticket:
            tickets.open_for_staff(
                customer.session.pk, actor=tiago.user, assignee=tiago.user, at=self.play.at
            )
        yield timedelta(minutes=3)
        tickets.update_details(customer.ticket, actor=tiago.user, subject=subject)
        tiago.claim(customer)
        tiago.reply(customer, "Oi! Já estou vendo isso para você.")
        yield timedelta(minutes=40)
        tiago.reply(customer, "Resolvido por aqui. Pode conferir?")
        yield timedelta(minutes=5)
        customer.say("Tudo certo, obrigada")
        tiago.resolve(customer, outcome="resolvido")
        yield timedelta(minutes=2)
        if customer.passo == "nota":
            customer.say(rating)
            yield timedelta(seconds=40)
            customer.say("Rápido e educado, resolveu na hora.")

    # -- Rafael's and Camila's

    def _jonas(self) -> Part:
        """Assigned, and late."""
        jonas = self.people["Jonas Peixoto"]
        yield from self._to_billing(jonas, "duplicidade")
        tickets.set_priority(
            jonas.ticket, priority=Priority.HIGH, actor=self.company["Nádia"], at=self.play.at
        )
        tickets.assign(
            jonas.ticket,
            to_user=self.company["Rafael"],
            actor=self.company["Nádia"],
            at=self.play.at,
        )
        self._tag(jonas, "cobrança")
        yield self.play.until(minutes=25)
        jonas.say("Bloquearam minha internet")
        yield self.play.until(minutes=12)
        jonas.say("Já paguei e continua bloqueado")
        yield self.play.until(minutes=10)
        jonas.send_file(
            Kind.IMAGE,
            files.receipt("129,90"),
            text="Já paguei e continua bloqueado. Segue o comprovante",
        )

    def _padaria(self) -> Part:
        """Taken, not yet answered, soon late."""
        padaria = self.people["Padaria Sol Nascente"]
        yield from self._to_billing(padaria, "valor-diferente")
        tickets.set_priority(
            padaria.ticket, priority=Priority.HIGH, actor=self.company["Nádia"], at=self.play.at
        )
        self._tag(padaria, "empresa")
        yield self.play.until(minutes=11)
        self._attendant("Rafael").claim(padaria)
        yield self.play.until(minutes=7)
        padaria.send_file(Kind.VOICE, files.voice())

    def _answered(self, name: str, lines: tuple[str, ...], *, by: str, works: bool = False) -> Part:
        """In turn; whoever spoke last, the other's turn it is. `works`: the team is still at it."""
        customer, attendant = self.people[name], self._attendant(by)
        yield from self._to_billing(customer, "vencimento")
        attendant.claim(customer)
        for number, line in enumerate(lines):
            yield self.play.after(60, 600)
            if number % 2:
                attendant.reply(customer, line)
            else:
                customer.say(line)
        if works:
            tickets.set_status(
                customer.ticket,
                status=TicketStatus.IN_PROGRESS,
                actor=attendant.user,
                at=self.play.at,
            )

    def _snoozed(self, name: str, lines: tuple[str, ...], *, hours: int) -> Part:
        yield from self._answered(name, lines, by="Camila")
        yield self.play.after(60, 300)
        customer = self.people[name]
        tickets.snooze(
            customer.ticket,
            until=self.play.now + timedelta(hours=hours),
            actor=self.company["Camila"],
            at=self.play.at,
        )

    def _window_closed(self) -> Part:
        """Back in the queue, and only a message template reaches the customer."""
        joaquim, rafael = self.people["Joaquim Bezerra"], self._attendant("Rafael")
        yield from self._to_billing(joaquim, "valor-diferente")
        yield timedelta(minutes=9)
        rafael.claim(joaquim)
        rafael.reply(joaquim, "Oi, Joaquim! Já pedi a correção, fica pronta hoje.")
        yield timedelta(minutes=20)
        joaquim.say("Ok, aguardo")
        yield timedelta(minutes=4)
        rafael.reply(joaquim, "Consegui a visita do técnico para amanhã, entre 8h e 12h. Fica bom?")
        yield timedelta(hours=8)
        tickets.release(joaquim.ticket, actor=rafael.user, at=self.play.at)

    def _reopened(self) -> Part:
        """Solved two days ago, and not."""
        aurelio, camila = self.people["Aurélio Campos"], self._attendant("Camila")
        yield from self._to_billing(aurelio, "duplicidade")
        yield timedelta(minutes=12)
        camila.claim(aurelio)
        camila.reply(aurelio, "Oi! A segunda cobrança já foi cancelada.")
        yield timedelta(minutes=6)
        aurelio.say("Obrigado")
        ticket = aurelio.ticket
        camila.resolve(aurelio, with_survey=False, outcome="resolvido")
        yield self.play.until(hours=1, minutes=10)
        aurelio.say("Cobraram de novo hoje, pode olhar?")
        if not aurelio.has_ticket:
            ticket.refresh_from_db()
            tickets.reopen(ticket, actor=camila.user, at=self.play.at)
        yield timedelta(minutes=4)
        camila.claim(aurelio)

    # -- support and sales

    def _support(self, name: str, lines: tuple[str, ...]) -> Part:
        customer, tiago = self.people[name], self._attendant("Tiago")
        yield from self._to_support(customer)
        customer.say(lines[0])
        yield self.play.after(120, 500)
        tiago.claim(customer)
        self._tag(customer, "sem sinal")
        for number, line in enumerate(lines[1:]):
            yield self.play.after(60, 420)
            if number % 2:
                customer.say(line)
            else:
                tiago.reply(customer, line)
        if name == "Lúcia Fontes":
            customer.send_file(Kind.IMAGE, files.router(), text="A luz está assim")
        elif name == "Davi Marques":
            customer.share_contact("Porteiro Seu Zé", "+55 81 90000-0777")
        elif name == "Noêmia Prates":
            customer.react("👍")

    def _sale(self, name: str) -> Part:
        customer, luana = self.people[name], self._attendant("Luana")
        customer.say("Oi, quero saber dos planos")
        yield timedelta(seconds=40)
        customer.tap("600")
        yield timedelta(seconds=30)
        customer.tap("sim")
        for answer in (
            name,
            f"{name.split(maxsplit=1)[0].lower()}@example.com",
            "Rua do Sossego, 88, Santo Amaro",
        ):
            yield timedelta(seconds=45)
            customer.say(answer)
        yield self.play.after(200, 800)
        luana.claim(customer)
        self._tag(customer, "contratação")
        luana.reply(
            customer, f"Oi, {name.split(maxsplit=1)[0]}! Instalamos em 2 dias úteis. Posso agendar?"
        )
        yield self.play.after(100, 600)
        if name != SALES[0]:
            customer.say("Pode ser na sexta?")

    def _heitor(self) -> Part:
        """A sale that Finance finishes, of the day before."""
        heitor, luana, rafael = (
            self.people["Heitor Moura"],
            self._attendant("Luana"),
            self._attendant("Rafael"),
        )
        heitor.say("Boa tarde")
        yield timedelta(seconds=30)
        heitor.tap("600")
        yield timedelta(seconds=20)
        heitor.tap("nao")
        yield timedelta(minutes=9)
        luana.claim(heitor)
        luana.reply(heitor, "Oi, Heitor! Para quando seria a mudança de plano?")
        yield timedelta(minutes=7)
        heitor.say("A partir de dezembro, se não mudar o vencimento")
        tickets.transfer(
            heitor.ticket,
            department=self.company.departments["comercial"],
            to_user=rafael.user,
            actor=luana.user,
            note="Fechar com o Rafael: precisa manter o vencimento no dia 20.",
            at=self.play.at,
        )
        yield timedelta(minutes=15)
        rafael.claim(heitor)
        rafael.reply(heitor, "Fechamos então no plano de 600 Mega a partir de dezembro, no dia 20.")

    # -- nobody's yet

    def _waits(self, name: str, lines: tuple[str, ...]) -> Part:
        customer = self.people[name]
        yield from self._to_support(customer)
        for line in lines:
            customer.say(line)
            yield self.play.after(30, 120)

    def _gilvan(self) -> Part:
        """In the middle of the flow."""
        gilvan = self.people["Gilvan Trajano"]
        gilvan.say("Boa tarde")
        yield timedelta(seconds=30)
        gilvan.tap("cobranca")

    def _with_bot(self, name: str, number: int) -> Part:
        """One at each of the first passos."""
        customer = self.people[name]
        customer.say("Oi")
        yield timedelta(seconds=25)
        if number % 4 == 1:
            customer.tap("segunda_via")
        elif number % 4 == 2:
            customer.tap("cobranca")
        elif number % 4 == 3:
            customer.tap("segunda_via")
            yield timedelta(seconds=30)
            customer.say(customer.contract.cpf)

    # -- parts

    def _to_billing(self, customer: Customer, subject: str) -> Part:
        customer.say("Oi")
        yield timedelta(seconds=15)
        customer.tap("cobranca")
        yield timedelta(seconds=20)
        customer.tap(subject)

    def _to_support(self, customer: Customer) -> Part:
        customer.say("Oi")
        yield timedelta(seconds=15)
        customer.tap("equipe")
        yield timedelta(seconds=10)

    def _attendant(self, first_name: str) -> Attendant:
        return Attendant(self.play, self.company[first_name])

    def _tag(self, customer: Customer, *tags: str) -> None:
        found = Tag.objects.filter(name__in=tags)
        tickets.update_details(customer.ticket, actor=None, tags=found)


def introduce(mariana: Customer, luana: User, tags: tuple[str, ...]) -> None:
    """What was known of the customer of the pictures before."""
    lead = mariana.session.lead
    update_lead(lead, fields={"email": "mariana.azevedo@example.com"}, add_tags=tags, actor=luana)
    update_lead(lead, status=LeadStatus.CONTACTED, actor=luana)
    set_attendant(lead, attendant=luana, actor=luana)
    add_lead_note(
        lead,
        author=luana,
        text="Perguntou do upgrade para 1 Giga na loja. Retomar depois que a fatura for resolvida.",
    )


def _provider_id(message: int) -> str:
    return f"wamid.demo.out.{message}"


def _corrected_bill() -> bytes:
    return files.pdf("Ventura Fibra", "Fatura corrigida", "Total: R$ 129,90", "Vencimento: 20/11")


ELISANGELA = (
    "Bom dia, queria mudar o vencimento",
    "Bom dia, Elisângela! Para qual dia?",
    "Consegue mudar o vencimento para o dia 10?",
)
GILBERTO = (
    "Paguei pelo aplicativo do banco e não baixou",
    "Oi, Gilberto! Você tem o comprovante?",
    "Tenho, mas está no computador do trabalho",
    "Vou verificar com o banco e já retorno",
)
BRUNO = ("Preciso da segunda via de outubro", "Enviei a segunda via. Confirma se abriu?")
CELIA = ("Meu boleto não chegou no e-mail", "Qual e-mail devo usar?", "celia@example.com")
IGOR = ("Só recebo na quinta, dá para esperar?", "Dá sim. Te chamo na quinta para combinar.")
PATRICIA = (
    "Posso parcelar as duas faturas?",
    "Consigo em 3 vezes sem juros. Fecho?",
    "Pode fechar",
    "Estou gerando as parcelas, já mando.",
)
SANDRA = ("Qual o valor para quitar?", "Ficou R$ 214,30 até sexta. Mando o boleto?")
ZELIA = ("Quero esperar meu marido decidir", "Claro, Zélia. Chamo você mais tarde, pode ser?")
ROSA = ("Sem internet desde as 7h, moro no bloco C", "Meus vizinhos também estão sem")
VALTER = ("Minha TV não conecta no wifi",)
CELIO = ("Caiu tudo de novo", "Já é a terceira vez no mês")
SUPPORT: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Ênio Barreto", ("Wifi lento no quarto", "O roteador fica longe do quarto?", "Fica na sala")),
    ("Lúcia Fontes", ("Sem sinal desde cedo", "Consegue mandar uma foto do roteador?")),
    ("Davi Marques", ("O técnico precisa entrar no prédio", "Quem libera a entrada?")),
    ("Noêmia Prates", ("A visita é hoje mesmo?", "É sim, entre 14h e 18h.")),
    ("Otoniel Braga", ("Trocaram meu roteador e piorou", "Vou rever a configuração daqui.")),
    ("Iracema Dias", ("Como mudo o nome da rede?", "Qual é o modelo do roteador?", "Não sei ver")),
    ("Benedito Saraiva", ("Cai quando chove", "Agendei a troca do cabo. Pode amanhã cedo?")),
    (
        "Hugo Mendonça",
        ("Jogo fica travando", "Pode testar no cabo e me dizer a velocidade?", "Já testo"),
    ),
)
