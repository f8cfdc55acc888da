"""An ordinary month: who writes when, about what, and how it ends."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chatbot.channels.inbound import Kind
from chatbot.demo import files, names
from chatbot.demo.acts import Attendant, Customer
from chatbot.demo.company import Company
from chatbot.demo.play import Play, Story
from chatbot.models import MessageStatus
from leads.models import LeadStatus, Tag
from leads.services import add_note as add_lead_note
from leads.services import update_lead
from tickets import services as tickets
from tickets.models import Priority
from users.business_time import next_opening

DAYS = 30
PER_DAY = (20, 18, 17, 17, 18, 9, 5)  # Monday first
BILLS = (14, 14, 14, 14, 14, 9, 6)  # the invoices of the last days, on top
LATELY = 8  # days
PAYERS = 60  # customers who want nothing but their invoice
# How much is written in each hour of the day.
HOURS = (2, 1, 1, 0, 0, 1, 3, 8, 18, 26, 28, 22, 16, 20, 26, 22, 18, 14, 12, 11, 9, 7, 5, 3)
REST = timedelta(days=9)  # before somebody writes about something else
GAVE_UP = 0.31  # at the question for the CPF

Part = Generator[timedelta, None, None]


@dataclass(frozen=True)
class Script:
    """What is said once a person answers. `lines`: what the customer and the team say in turn."""

    tag: str
    lines: tuple[str, ...]
    end: str
    note: str = ""


BILLING = {
    "valor-diferente": (
        Script(
            "cobrança",
            (
                "Minha fatura veio com valor errado",
                "Oi! Vi aqui: o desconto de fidelidade caiu por um erro nosso. Já corrigi.",
                "Ah que bom, e o boleto novo?",
            ),
            "Segue a fatura corrigida. O vencimento passou para o dia 20.",
            "Lote de descontos de outubro: já corrigido pelo time de planos.",
        ),
        Script(
            "cobrança",
            (
                "Veio mais caro esse mês, por quê?",
                "Este mês entrou a taxa da visita técnica. Quer que eu parcele em 2 vezes?",
                "Quero sim",
            ),
            "Pronto, metade em cada uma das próximas duas faturas.",
        ),
    ),
    "duplicidade": (
        Script(
            "cobrança",
            (
                "Paguei e cobraram de novo",
                "Recebi as duas. A segunda volta como crédito na próxima fatura, tudo bem?",
                "Prefiro o dinheiro de volta",
            ),
            "Combinado, a devolução cai na sua conta em até 5 dias úteis.",
            "Confirmar com o banco se o estorno saiu.",
        ),
    ),
    "vencimento": (
        Script(
            "cliente ativo",
            (
                "Dá pra passar pro dia 10?",
                "Dá sim! Mudo a partir da próxima fatura, pode ser?",
                "Pode",
            ),
            "Pronto, a próxima fatura já vem com vencimento no dia 10.",
        ),
    ),
    "cancelar": (
        Script(
            "cancelamento",
            (
                "Vou me mudar e quero cancelar",
                "Atendemos boa parte da cidade. Qual é o endereço novo? Talvez dê para transferir.",
                "É em Olinda, bairro novo",
            ),
            "Atendemos lá! Transfiro sem custo na data da mudança.",
            "Cliente boa pagadora: oferecer a transferência antes do cancelamento.",
        ),
    ),
}
SUPPORT = (
    Script(
        "sem sinal",
        (
            "Estou sem sinal desde ontem",
            "Sinto muito. A luz LOS do roteador está vermelha?",
            "Está sim, piscando",
            "Então é o cabo na rua. Tenho visita amanhã, entre 8h e 12h. Fica bom?",
            "Fica, obrigada",
        ),
        "Agendado. O técnico liga antes de chegar.",
        "Terceira queda na mesma caixa: avisar a rede externa.",
    ),
    Script(
        "sem sinal",
        (
            "A internet cai toda noite",
            "Vamos ver juntos. Tire o roteador da tomada, espere 30 segundos e ligue de novo.",
            "Voltou agora",
        ),
        "Deixei o sinal em observação por 24 horas. Se cair, me chame por aqui.",
    ),
    Script(
        "visita técnica",
        (
            "O técnico não veio ontem",
            "Peço desculpas. Consigo encaixar hoje à tarde, entre 14h e 18h. Pode ser?",
            "Pode, estou em casa",
        ),
        "Encaixei. Qualquer atraso eu mesma aviso por aqui.",
        "Visita perdida por chuva: prioridade na rota.",
    ),
    Script(
        "cliente ativo",
        (
            "Como troco a senha do wifi?",
            "Abra 192.168.0.1 no navegador. Usuário e senha estão na etiqueta do roteador.",
            "Consegui!",
        ),
        "Que bom! Precisando, é só chamar.",
    ),
)
SALES = (
    Script(
        "contratação",
        (
            "Queria saber o prazo de instalação",
            "No seu bairro instalamos em até 2 dias úteis, sem taxa. Posso agendar?",
            "Pode, na sexta de manhã",
        ),
        "Agendado para sexta, entre 8h e 12h. O contrato vai por e-mail.",
    ),
    Script(
        "upgrade",
        (
            "Tem fidelidade?",
            "Não tem. Você pode mudar ou cancelar quando quiser.",
            "Vou pensar e volto",
        ),
        "Fico por aqui. A proposta vale por 15 dias.",
        "Comparando com o concorrente: destacar que não há fidelidade.",
    ),
    Script(
        "empresa",
        (
            "Preciso de IP fixo para a loja",
            "Temos o plano empresa com IP fixo e atendimento em 4 horas. Mando a proposta?",
            "Manda por favor",
        ),
        "Proposta enviada por e-mail. Qualquer ajuste, me diga.",
    ),
)
HELLOS = ("Oi", "Olá", "Bom dia", "Boa tarde", "Oi, tudo bem?", "oii", "Boa noite")
THANKS = ("Obrigada!", "Muito obrigado", "Valeu!", "Perfeito, obrigada", "👍", "Show")
COMMENTS = (
    "Rápido e educado, resolveu na hora.",
    "Atendimento ótimo, parabéns.",
    "Demorou um pouco mas resolveu.",
    "Gostei de falar com gente.",
    "Tive que explicar duas vezes.",
    "Resolveu, mas o técnico atrasou.",
)


@dataclass
class Month:
    """Fills a play with ordinary conversations."""

    play: Play
    company: Company
    people: list[Customer]

    def fill(self, *, days: int) -> None:
        others, payers = self.people[:-PAYERS], self.people[-PAYERS:]
        for at, customer in self._visits(days, PER_DAY, others, rest=REST):
            self.play.begin(self._story(customer), at)
        mine = [one for one in payers if one.channel == self.company.channels["atendimento"]]
        for at, customer in self._visits(min(days, LATELY), BILLS, mine, rest=timedelta(days=2)):
            self.play.begin(self._only_a_bill(customer), at)

    def _visits(
        self, days: int, per_day: Sequence[int], people: Sequence[Customer], *, rest: timedelta
    ) -> Iterator[tuple[datetime, Customer]]:
        """Who comes when: nobody again before they have rested."""
        free_at: dict[str, datetime] = {}
        for at in self._moments(days, per_day):
            rested = [one for one in people if free_at.get(one.phone, at) <= at]
            if rested:
                customer = self.play.rng.choice(rested)
                free_at[customer.phone] = at + rest
                yield at, customer

    def _moments(self, days: int, per_day: Sequence[int]) -> list[datetime]:
        rng, moments = self.play.rng, []
        zone = self.company.departments["suporte"].calendar.zone  # type: ignore[union-attr]  # made with one
        today = self.play.now.astimezone(zone).replace(minute=0, second=0, microsecond=0)
        for day in range(days, -1, -1):
            midnight = (today - timedelta(days=day)).replace(hour=0)
            for hour in rng.choices(range(24), HOURS, k=per_day[midnight.weekday()]):
                moments.append(midnight + timedelta(hours=hour, seconds=rng.randrange(3600)))
        return sorted(moments)

    def _story(self, customer: Customer) -> Story:
        customer.say(self.play.rng.choice(HELLOS))
        yield self.play.after(8, 70)
        if customer.has_ticket:  # of some days ago, which this opens again
            yield from self._taken_up(customer, self.play.rng.choice(SUPPORT))
        else:
            yield from self._about(customer)

    def _only_a_bill(self, customer: Customer) -> Story:
        customer.say(self.play.rng.choice(HELLOS))
        yield self.play.after(8, 70)
        yield from self._bill(customer)

    def _about(self, customer: Customer) -> Part:
        if customer.channel == self.company.channels["vendas"]:
            return self._sale(customer)
        stories = (self._bill, self._billing, self._support, self._silence)
        return self.play.rng.choices(stories, (40, 22, 32, 6))[0](customer)

    # -- with the bot

    def _bill(self, customer: Customer) -> Part:
        """The bot sends a bill by itself, to whoever gives their CPF."""
        rng = self.play.rng
        customer.tap("segunda_via")
        yield self.play.after(15, 120)
        if rng.random() < GAVE_UP:
            yield from self._silence(customer)
            return
        if rng.random() < 0.2:  # how often it is mistyped
            customer.say(customer.contract.cpf[:-1])
            yield self.play.after(10, 60)
        customer.say(customer.contract.cpf)
        yield self.play.after(20, 200)
        if rng.random() < 0.12:  # how often nobody rates
            yield from self._silence(customer)
            return
        customer.tap(rng.choices("54321", (60, 24, 9, 4, 3))[0])

    def _billing(self, customer: Customer) -> Part:
        rng = self.play.rng
        subject = rng.choices(tuple(BILLING), (5, 2, 3, 2))[0]
        customer.tap("cobranca")
        yield self.play.after(8, 60)
        if rng.random() < 0.12:  # who leaves at the list
            yield from self._silence(customer)
            return
        customer.tap(subject)
        yield from self._with_people(customer, "financeiro", rng.choice(BILLING[subject]))

    def _support(self, customer: Customer) -> Part:
        customer.tap("equipe")
        if not customer.has_ticket:  # outside of the hours
            return
        yield from self._with_people(customer, "suporte", self.play.rng.choice(SUPPORT))

    def _sale(self, customer: Customer) -> Part:
        rng = self.play.rng
        if rng.random() < 0.24:  # who leaves at the plans
            yield from self._silence(customer)
            return
        customer.tap(rng.choices(("300", "600", "1000", "empresa"), (3, 5, 3, 1))[0])
        yield self.play.after(10, 60)
        if rng.random() < 0.1:  # who keeps their data
            customer.tap("nao")
        else:
            customer.tap("sim")
            for answer in (customer.name, self._email(customer), names.street(rng)):
                yield self.play.after(10, 90)
                customer.say(answer)
        yield from self._with_people(customer, "comercial", rng.choice(SALES))

    def _email(self, customer: Customer) -> str:
        return "pular" if self.play.rng.random() < 0.25 else names.email(customer.name)

    def _silence(self, customer: Customer) -> Part:
        """The bot's warning and its end come when they are due."""
        for _warning_and_end in range(2):
            due = customer.session.idle_due_at
            if due is None:
                return
            yield max(due - self.play.at, timedelta()) + timedelta(seconds=5)
            customer.go_silent()

    # -- with people

    def _with_people(self, customer: Customer, department: str, script: Script) -> Part:
        rng = self.play.rng
        yield self.play.after(5, 50)
        customer.say(script.lines[0])
        if rng.random() < 0.12:  # who sends a picture with it
            yield self.play.after(5, 40)
            picture = files.router() if department == "suporte" else files.bill("189,90")
            customer.send_file(Kind.IMAGE, picture)
        yield from self._opening_of(department)
        yield self._patience()
        attendant = Attendant(self.play, rng.choice(self.company.staff_of(department)))
        attendant.claim(customer)
        yield self.play.after(20, 150)
        yield from self._get_back_in_touch(customer, attendant)
        if rng.random() < 0.07:  # who asked the wrong ones
            attendant = self._hand_on(customer, attendant, department)
            yield self.play.after(60, 900)
            attendant.claim(customer)
        yield from self._talk(customer, attendant, script)
        yield from self._ending(customer, attendant, script)

    def _opening_of(self, department: str) -> Part:
        """Nobody answers while the department is closed."""
        calendar = self.company.departments[department].calendar
        opens_at = next_opening(calendar, self.play.at)
        if opens_at is not None and opens_at > self.play.at:
            yield opens_at - self.play.at + self.play.after(0, 1800)

    def _patience(self) -> timedelta:
        """How long the first answer takes; one in nine is late."""
        is_late = self.play.rng.random() < 0.11
        return self.play.after(2100, 5000) if is_late else self.play.after(60, 900)

    def _hand_on(self, customer: Customer, attendant: Attendant, department: str) -> Attendant:
        """To another department's queue, with a word why; whoever takes it there goes on."""
        others = [one for one in self.company.departments if one != department]
        other = self.play.rng.choice(others)
        tickets.transfer(
            customer.ticket,
            department=self.company.departments[other],
            actor=attendant.user,
            note="É com vocês: já conferi o cadastro e está certo.",
            at=self.play.at,
        )
        return Attendant(self.play, self.play.rng.choice(self.company.staff_of(other)))

    def _get_back_in_touch(self, customer: Customer, attendant: Attendant) -> Part:
        """After a weekend only a message template reaches the customer."""
        if customer.session.window_is_open(self.play.at):
            return
        first_name = customer.name.split()[0]
        attendant.send_template(customer, "retomada_atendimento", v1=first_name, v2="mensagem")
        yield self.play.after(300, 5400)
        customer.say("Oi! Preciso sim")
        yield self.play.after(60, 600)

    def _talk(self, customer: Customer, attendant: Attendant, script: Script) -> Part:
        rng = self.play.rng
        for number, line in enumerate(script.lines[1:]):
            if number % 2:
                customer.say(line)
            else:
                attendant.reply(customer, line, fate=self._fate())
            if number == 0:
                yield from self._around(customer, attendant, script)
            yield self.play.after(25, 420)
        attendant.reply(customer, script.end)
        yield self.play.after(20, 300)
        if rng.random() < 0.75:  # who says thank you
            customer.say(rng.choice(THANKS))
        elif rng.random() < 0.4:
            customer.react("❤️")
        yield self.play.after(10, 200)

    def _fate(self) -> MessageStatus | None:
        """One answer in eighty does not arrive."""
        return MessageStatus.FAILED if self.play.rng.random() < 1 / 80 else None

    def _around(self, customer: Customer, attendant: Attendant, script: Script) -> Part:
        """What the team does beside talking."""
        rng = self.play.rng
        ticket, lead = customer.ticket, customer.session.lead
        tickets.update_details(
            ticket, actor=attendant.user, tags=Tag.objects.filter(name=script.tag)
        )
        if lead.status == LeadStatus.NEW:
            update_lead(lead, status=LeadStatus.CONTACTED, actor=attendant.user)
        if script.note and rng.random() < 0.5:
            yield self.play.after(15, 60)
            attendant.note(customer, script.note)
        if rng.random() < 0.08:
            tickets.set_priority(
                ticket, priority=Priority.HIGH, actor=attendant.user, at=self.play.at
            )
        if rng.random() < 0.05:
            add_lead_note(lead, author=attendant.user, text="Prefere contato à tarde.")

    def _ending(self, customer: Customer, attendant: Attendant, script: Script) -> Part:
        rng = self.play.rng
        self._move_in_funnel(customer, attendant)
        if rng.random() < 0.06:  # nothing came of it
            tickets.close_ticket(
                customer.ticket, actor=attendant.user, then=tickets.Next.END, at=self.play.at
            )
            return
        yield from self._solved(customer, attendant, script)
        if rng.random() < 0.05:  # for whom it was not
            yield self.play.after(90_000, 430_000)
            yield from self._again(customer, script)

    def _solved(self, customer: Customer, attendant: Attendant, script: Script) -> Part:
        rng = self.play.rng
        attendant.resolve(
            customer, with_survey=rng.random() < 0.85, outcome=script.tag, note=script.end
        )
        yield self.play.after(20, 900)
        if customer.passo != "nota" or rng.random() < 0.3:  # who does not rate
            yield from self._silence(customer)
            return
        customer.say(rng.choices("54321", (56, 27, 9, 5, 3))[0])
        yield self.play.after(10, 120)
        if customer.passo:
            customer.say(rng.choice(COMMENTS) if rng.random() < 0.4 else "pular")

    def _again(self, customer: Customer, script: Script) -> Part:
        """Within a week it is the same ticket."""
        customer.say("Oi, aconteceu de novo")
        yield self.play.after(5, 40)
        if customer.has_ticket:
            yield from self._taken_up(customer, script)

    def _taken_up(self, customer: Customer, script: Script) -> Part:
        department = customer.ticket.department.slug
        yield from self._opening_of(department)
        yield self._patience()
        attendant = Attendant(self.play, self.play.rng.choice(self.company.staff_of(department)))
        if customer.ticket.assignee is not None:
            attendant = Attendant(self.play, customer.ticket.assignee)
        attendant.claim(customer)
        yield from self._get_back_in_touch(customer, attendant)
        attendant.reply(customer, "Sinto muito. Refiz o ajuste e conferi aqui, agora ficou.")
        yield self.play.after(300, 1800)
        customer.say("Agora sim, obrigada")
        yield from self._solved(customer, attendant, script)

    def _move_in_funnel(self, customer: Customer, attendant: Attendant) -> None:
        lead = customer.session.lead
        chance = self.play.rng.random()
        if lead.status != LeadStatus.CONTACTED or chance < 0.4:
            return
        update_lead(lead, status=LeadStatus.QUALIFIED, actor=attendant.user)
        if chance > 0.75:
            update_lead(lead, status=LeadStatus.CONVERTED, actor=attendant.user)
        elif chance < 0.45:
            update_lead(lead, status=LeadStatus.LOST, actor=attendant.user, reason="Sem cobertura")
