"""Fictitious people: names, numbers that belong to nobody, contracts."""

from __future__ import annotations

import random
from dataclasses import dataclass

FIRST = tuple(
    """
    Adriana Alan Aline Amanda Ana André Antônio Beatriz Breno Caio Carla Carlos Cecília Cláudia
    Cristiano Daniela Danilo Débora Edson Eduarda Elaine Emanuel Fabiana Felipe Fernanda Flávio
    Gabriela Geraldo Helena Heloísa Iara Isabela Ivan Jaqueline João Joana Jorge José Juliana
    Kátia Larissa Leandro Letícia Lívia Luciana Luís Marcela Marcos Maria Marina Mateus Milena
    Mônica Murilo Natália Otávio Patrícia Paulo Priscila Rafaela Raimunda Renata Ricardo Roberta
    Rodrigo Rosângela Samuel Sandra Sérgio Silvana Simone Sônia Tatiane Thiago Vanessa Vera
    Vinícius Viviane Wagner Yasmin
    """.split()
)
LAST = tuple(
    """
    Albuquerque Alencar Amorim Andrade Araújo Barbosa Barros Bezerra Brandão Cabral Calado
    Carneiro Carvalho Cavalcanti Coelho Cordeiro Correia Coutinho Dantas Duarte Farias Ferraz
    Figueiredo Freire Galvão Gomes Guerra Holanda Lacerda Leal Lins Lira Lopes Lucena Macedo
    Maciel Magalhães Marinho Medeiros Melo Monteiro Moraes Moura Nascimento Neves Nóbrega
    Pacheco Paiva Peixoto Pessoa Pimentel Queiroz Ramalho Rego Sales Sampaio Siqueira Tavares
    Teixeira Valença Vasconcelos Viana Vieira Ximenes
    """.split()
)
STREETS = (
    "Rua das Acácias, {n}, Boa Vista",
    "Rua do Sossego, {n}, Santo Amaro",
    "Av. Beira Rio, {n}, Madalena",
    "Rua das Pitangueiras, {n}, Casa Forte",
    "Rua da Harmonia, {n}, Casa Amarela",
    "Av. Recife, {n}, Ipsep",
    "Rua das Graças, {n}, Graças",
    "Rua Nova Descoberta, {n}, Várzea",
)
PLANS = (
    ("Fibra 300 Mega", "R$ 89,90"),
    ("Fibra 600 Mega", "R$ 129,90"),
    ("Fibra 1 Giga", "R$ 169,90"),
)
AREAS = ("81", "81", "81", "87")  # Pernambuco


@dataclass(frozen=True)
class Contract:
    """What the company's own program would answer about a customer."""

    cpf: str
    contrato: str
    plano: str
    valor_fatura: str
    vencimento: str
    linha_digitavel: str


def unused_names(rng: random.Random, taken: set[str]) -> list[str]:
    """Every combination that is not taken, shuffled."""
    names = [f"{first} {last}" for first in FIRST for last in LAST]
    rng.shuffle(names)
    return [name for name in names if name not in taken]


def phone(rng: random.Random, taken: set[str]) -> str:
    """Digits only, of a block that no operator uses: 90000-xxxx."""
    while True:
        number = f"55{rng.choice(AREAS)}90000{rng.randrange(1000, 10000)}"
        if number not in taken:
            taken.add(number)
            return number


def cpf(rng: random.Random) -> str:
    """With digits that add up: the flow checks them."""
    digits = [9, 9, 9, *(rng.randrange(10) for _ in range(6))]
    for weight in (10, 11):
        total = sum(digit * (weight - place) for place, digit in enumerate(digits))
        digits.append(total * 10 % 11 % 10)
    return "".join(map(str, digits))


def contract(rng: random.Random) -> Contract:
    plan, price = rng.choice(PLANS)
    number = f"{rng.randrange(100, 300)}.{rng.randrange(1000):03d}"
    blocks = [f"{rng.randrange(10**5):05d}.{rng.randrange(10**6):06d}" for _ in range(3)]
    day = rng.choice((5, 10, 15, 20))
    return Contract(
        cpf=cpf(rng),
        contrato=f"VF-{number}",
        plano=plan,
        valor_fatura=price,
        vencimento=f"dia {day}",
        linha_digitavel=" ".join(blocks),
    )


def street(rng: random.Random) -> str:
    return rng.choice(STREETS).format(n=rng.randrange(12, 990))


def email(name: str) -> str:
    plain = name.lower().translate(str.maketrans("áàâãéêíóôõúüç", "aaaaeeiooouuc"))
    return f"{plain.replace(' ', '.')}@example.com"
