"""Leads, found and changed."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from leads import changes, services
from leads.models import Consent, Identity, Lead, LeadSource, LeadStatus, Scheme, Tag
from leads.signals import leads_merging
from leads.tests import recipes
from leads.tests.recipes import BSUID, PHONE, bsuid, davi, phone
from users.errors import DomainError
from users.tests.racing import wait_until_blocked
from users.tests.recipes import ana, bia

pytestmark = pytest.mark.django_db

AT = timezone.now()


def resolve(*addresses, name="Davi", **fields):
    return services.resolve_lead(
        addresses=addresses, name=name, source=LeadSource.BOT, at=AT, **fields
    )


# --- resolve_lead ----------------------------------------------------------------------------


def test_an_unknown_person_becomes_a_lead_with_all_their_addresses():
    found = resolve(bsuid(), phone())

    lead = Lead.objects.get()
    assert (found.lead, found.created) == (lead, True)
    assert (lead.name, lead.phone, lead.status, lead.source) == ("Davi", f"+{PHONE}", "new", "bot")
    assert set(lead.identities.values_list("scheme", "address")) == {
        ("phone", PHONE),
        ("bsuid", BSUID),
    }
    assert list(lead.status_changes.values_list("from_status", "to_status")) == [("", "new")]


def test_a_known_person_costs_one_statement(django_assert_num_queries):
    lead = davi(bsuid(), phone(), phone="+" + PHONE)

    with django_assert_num_queries(1):
        found = resolve(bsuid(), phone())

    assert (found.lead, found.created) == (lead, False)


def test_a_new_lead_costs_six_statements(django_assert_num_queries):
    with django_assert_num_queries(6):  # look, savepoint, lead, identities, status, release
        resolve(bsuid(), phone())


@pytest.mark.parametrize(
    ("addresses", "answered_at"),
    [
        pytest.param((bsuid(), phone()), Scheme.PHONE, id="phone first"),
        pytest.param((bsuid(),), Scheme.BSUID, id="without a phone the user id"),
        pytest.param(
            (recipes.Address(Scheme.TELEGRAM, "77", "77", "bot"),), Scheme.TELEGRAM, id="other"
        ),
    ],
)
@pytest.mark.parametrize("is_known", [True, False], ids=["known", "new"])
def test_a_message_is_answered_at_one_of_its_own_addresses(addresses, answered_at, is_known):
    if is_known:
        davi(bsuid(), phone(), recipes.Address(Scheme.TELEGRAM, "77", "77", "bot"))

    assert resolve(*addresses).identity.scheme == answered_at


def test_an_address_in_the_same_message_becomes_an_alias():
    lead = davi(phone())

    resolve(bsuid(), phone())

    assert lead.identities.filter(scheme=Scheme.BSUID, address=BSUID).exists()
    assert resolve(bsuid()).lead == lead


def test_a_phone_learned_later_becomes_the_phone_attribute():
    lead = davi(bsuid(), phone="")

    resolve(bsuid(), phone())

    lead.refresh_from_db()
    assert lead.phone == f"+{PHONE}"


def test_a_number_that_is_no_phone_is_kept_as_an_address_only():
    assert resolve(phone("1")).lead.phone == ""


def test_the_form_last_received_is_the_one_to_send_to():
    davi(phone(send_to="551187654321"))

    found = resolve(phone(send_to=PHONE))

    assert found.identity.send_to == PHONE
    assert Identity.objects.get().send_to == PHONE


def test_who_writes_can_be_reached_again():
    lead = davi(phone())
    lead.identities.update(unreachable_at=AT)

    resolve(phone())

    assert lead.identities.get().unreachable_at is None


def test_a_missing_name_is_filled_and_a_known_one_is_kept():
    lead = davi(phone(), name="")

    resolve(phone(), name="Davi Reis")
    resolve(phone(), name="D.")

    lead.refresh_from_db()
    assert lead.name == "Davi Reis"


def test_a_merged_lead_leads_to_the_winner():
    winner = davi()
    loser = davi(phone(), merged_into=winner)

    assert resolve(phone()).lead == winner
    assert loser.identities.get().lead_id == loser.pk


def test_two_leads_in_one_message_stay_two_and_the_user_id_wins(caplog):
    by_user_id, by_phone = davi(bsuid()), davi(phone())

    with caplog.at_level(logging.WARNING):
        found = resolve(bsuid(), phone())

    assert found.lead == by_user_id
    assert found.identity.scheme == Scheme.BSUID
    assert by_phone.identities.get().lead == by_phone
    assert "not merged" in caplog.text
    assert PHONE not in caplog.text


def test_the_same_user_id_of_another_portfolio_is_somebody_else():
    davi(bsuid(scope="100"))

    assert resolve(bsuid(scope="200")).created


def test_a_name_that_no_database_takes_is_cleaned_and_cut():
    lead = resolve(phone(), name="Da\x00vi\ud800 " + "x" * 300).lead

    lead.refresh_from_db()
    assert lead.name.startswith("Da\ufffdvi\ufffd x")
    assert len(lead.name) == 200


def test_a_message_without_an_address_belongs_to_nobody():
    with pytest.raises(ValueError, match="without an address"):
        resolve(phone(""))


def test_an_alias_lost_to_another_lead_is_left_there(monkeypatch):
    lead, other = davi(phone()), davi()
    look = services._known

    def known_before_the_other_was_linked(by_key):
        found = look(by_key)
        if not other.identities.exists():
            other.identities.create(scheme=Scheme.BSUID, address=BSUID, send_to=BSUID)
        return found

    monkeypatch.setattr(services, "_known", known_before_the_other_was_linked)
    found = resolve(bsuid(), phone())

    assert (found.lead, found.identity.scheme) == (lead, Scheme.PHONE)
    assert Identity.objects.get(address=BSUID).lead == other


def test_a_failure_that_is_no_race_is_raised(monkeypatch):
    def broken(**fields):
        raise IntegrityError("some other constraint")

    monkeypatch.setattr(Lead.objects, "create", broken)
    with pytest.raises(IntegrityError, match="other constraint"):
        resolve(phone())


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "addresses_of",
    [
        pytest.param(lambda _n: (bsuid(), phone()), id="both"),
        pytest.param(lambda n: (bsuid(), phone()) if n % 2 else (phone(), bsuid()), id="any order"),
        pytest.param(lambda n: (bsuid(), phone()) if n % 2 else (bsuid(),), id="one or both"),
    ],
)
def test_twenty_first_messages_at_once_make_one_lead(addresses_of):
    together = threading.Barrier(20)

    def first_message(number):
        try:
            together.wait()
            with transaction.atomic():
                return resolve(*addresses_of(number)).lead.pk
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        leads = set(pool.map(first_message, range(20)))

    assert leads == {Lead.objects.get().pk}
    assert Identity.objects.count() == 2
    assert Lead.objects.get().status_changes.count() == 1


# --- link_identities -------------------------------------------------------------------------


def test_a_changed_number_becomes_the_phone_and_the_old_one_an_alias():
    lead = davi(phone(), phone=f"+{PHONE}")

    added = services.link_identities(lead, [phone("5521912345678")], at=AT)

    lead.refresh_from_db()
    assert [one.address for one in added] == ["5521912345678"]
    assert lead.phone == "+5521912345678"
    assert resolve(phone()).lead == lead


def test_a_phone_that_a_person_gave_us_is_kept():
    lead = davi(phone(), phone="+551133334444")

    services.link_identities(lead, [phone("5521912345678")], at=AT)

    lead.refresh_from_db()
    assert lead.phone == "+551133334444"


def test_an_address_of_another_lead_is_not_moved(caplog):
    lead, other = davi(bsuid()), davi(phone())

    assert services.link_identities(lead, [phone()], at=AT) == []
    assert other.identities.count() == 1
    assert "not moved" in caplog.text


def test_linking_what_is_known_changes_nothing():
    lead = davi(bsuid(), phone())

    assert services.link_identities(lead, [bsuid(), phone()], at=AT) == []
    assert services.link_identities(lead, [], at=AT) == []


# --- update_lead -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "written", "stored"),
    [
        ("name", " Davi Reis ", "Davi Reis"),
        ("email", "davi@EXAMPLE.com", "davi@example.com"),
        ("phone", "(11) 98765-4321", "+5511987654321"),
        ("document", "529.982.247-25", "52998224725"),
        ("document", "12.ABC.345/01DE-35", "12ABC34501DE35"),
        ("company", "Ventura", "Ventura"),
        ("need", "Segunda via", "Segunda via"),
    ],
)
def test_a_known_field_is_a_column(field, written, stored):
    lead = services.update_lead(davi(), fields={field: written})

    lead.refresh_from_db()
    assert getattr(lead, field) == stored
    assert lead.attributes == {}


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ("email", "davi arroba example"),
        ("email", "a" * 300 + "@example.com"),
        ("phone", "não tenho"),
        ("document", "123"),
        ("company", "x" * 121),
        ("contract", "A-77"),
    ],
)
def test_what_no_column_takes_is_kept_as_an_attribute(field, written):
    lead = services.update_lead(davi(email="", company=""), fields={field: written})

    lead.refresh_from_db()
    assert lead.attributes == {field: written}
    assert getattr(lead, field, "") == ""


def test_a_valid_text_replaces_the_attribute_kept_before():
    lead = davi(attributes={"email": "davi arroba", "city": "Recife"})

    services.update_lead(lead, fields={"email": "davi@example.com"})

    lead.refresh_from_db()
    assert (lead.email, lead.attributes) == ("davi@example.com", {"city": "Recife"})


@pytest.mark.parametrize(("by_person", "name"), [(True, ""), (False, "Davi")])
def test_only_a_person_empties_a_field(by_person, name):
    lead = services.update_lead(davi(), fields={"name": " "}, actor=ana() if by_person else None)

    lead.refresh_from_db()
    assert lead.name == name


def test_changes_made_meanwhile_are_not_lost():
    lead = davi(attributes={"city": "Recife"})
    stale = Lead.objects.get(pk=lead.pk)
    services.update_lead(lead, fields={"plan": "600"})

    services.update_lead(stale, fields={"contract": "A-77"})

    lead.refresh_from_db()
    assert lead.attributes == {"city": "Recife", "plan": "600", "contract": "A-77"}


@pytest.mark.parametrize(
    ("current", "asked", "becomes"),
    [
        ("new", "contacted", "contacted"),
        ("new", "converted", "converted"),
        ("qualified", "contacted", "qualified"),
        ("converted", "new", "converted"),
        ("lost", "qualified", "lost"),
        ("new", "lost", "new"),
        ("new", "nonsense", "new"),
    ],
)
def test_the_bot_moves_a_lead_only_forward(current, asked, becomes):
    lead = services.update_lead(davi(status=current), status=asked)

    lead.refresh_from_db()
    assert lead.status == becomes
    assert lead.status_changes.count() == (current != becomes)


def test_a_person_sets_any_status_and_the_move_is_logged():
    person, lead = bia(), davi(status=LeadStatus.CONVERTED)

    services.update_lead(lead, status=LeadStatus.LOST, actor=person, reason="Desistiu")

    change = lead.status_changes.get()
    assert (change.from_status, change.to_status) == ("converted", "lost")
    assert (change.actor, change.reason) == (person, "Desistiu")


def test_a_person_is_told_that_a_status_does_not_exist():
    with pytest.raises(DomainError) as refusal:
        services.update_lead(davi(), status="nonsense", actor=bia())
    assert refusal.value.code == "unknown_status"


def test_tags_are_added_and_removed_whatever_their_case():
    lead = davi()
    services.update_lead(lead, add_tags=["vip", "VIP", "upgrade", " "])

    services.update_lead(lead, add_tags=["vip"], remove_tags=["Upgrade"])

    assert list(lead.tags.values_list("name", flat=True)) == ["VIP"]
    assert Tag.objects.count() == 2


def test_consent_is_recorded_with_the_words_shown():
    lead = services.update_lead(davi(), consent="contato", consent_text="Podemos escrever?")

    assert Consent.objects.filter(lead=lead, purpose="contato", is_granted=True).exists()


def test_an_update_that_changes_nothing_only_locks(django_assert_num_queries):
    lead = davi()
    with transaction.atomic(), django_assert_num_queries(3):  # savepoint, lock, release
        services.update_lead(lead, fields={"name": "Davi"}, status="new")


# --- the rest --------------------------------------------------------------------------------


def test_the_first_ad_is_kept():
    lead = davi()

    assert services.record_referral(lead, {"source_id": "1"})
    assert not services.record_referral(lead, {"source_id": "2"})
    assert not services.record_referral(Lead.objects.get(), {"source_id": "3"})

    lead.refresh_from_db()
    assert lead.referral == {"source_id": "1"}


def test_opting_out_counts_once_and_back_in_again():
    lead = davi()

    assert services.opt_out(lead, text="SAIR", origin="bot", at=AT)
    assert not services.opt_out(lead, text="SAIR", origin="bot", at=AT)
    assert lead.opted_out_at == AT
    assert services.opt_in(lead, text="VOLTAR", origin="bot", at=AT)
    assert not services.opt_in(lead, text="VOLTAR", origin="bot", at=AT)

    lead.refresh_from_db()
    assert lead.opted_out_at is None
    assert list(lead.consents.values_list("is_granted", "text")) == [
        (True, "VOLTAR"),
        (False, "SAIR"),
    ]


def test_an_empty_note_is_refused():
    with pytest.raises(DomainError):
        services.add_note(davi(), author=bia(), text="  ")


def test_a_lead_added_by_hand_has_its_status_logged():
    lead = services.create_lead(
        fields={"name": "Davi", "phone": "11 98765-4321"},
        source=LeadSource.MANUAL,
        status=LeadStatus.QUALIFIED,
        tags=["vip"],
        actor=bia(),
    )

    assert (lead.phone, lead.status) == ("+5511987654321", "qualified")
    assert lead.status_changes.get().to_status == "qualified"
    assert lead.tags.get().name == "vip"


# --- merge_leads -----------------------------------------------------------------------------


def test_merging_moves_everything_and_fills_what_is_empty():
    winner = davi(bsuid(), email="", attributes={"city": "Recife"}, status=LeadStatus.CONTACTED)
    loser = davi(
        phone(),
        email="davi@example.com",
        attributes={"city": "Olinda", "plan": "600"},
        sensitive_attributes=["plan"],
        status=LeadStatus.QUALIFIED,
        opted_out_at=AT,
    )
    earlier = davi(merged_into=loser)
    services.add_note(loser, author=None, text="Prefere manhã")
    services.update_lead(loser, add_tags=["vip"], consent="contato")

    services.merge_leads(winner, loser, actor=ana())

    for lead in (winner, loser, earlier):
        lead.refresh_from_db()
    assert (loser.merged_into, earlier.merged_into) == (winner, winner)
    assert winner.identities.count() == 2
    assert winner.notes.filter(text="Prefere manhã").exists()
    assert winner.tags.get().name == "vip"
    assert winner.consents.exists()
    assert (winner.email, winner.status) == ("davi@example.com", LeadStatus.QUALIFIED)
    assert winner.attributes == {"city": "Recife", "plan": "600"}
    assert winner.sensitive_attributes == ["plan"]
    assert winner.opted_out_at is not None
    assert resolve(phone()).lead == winner


def test_a_merge_announces_itself_before_any_lead_is_locked(django_assert_num_queries):
    winner, loser = davi(), davi()
    heard = []

    def listen(sender, winner, loser, actor, **_rest):
        heard.append((winner, loser, Lead.objects.filter(merged_into=winner).exists()))

    leads_merging.connect(listen)
    try:
        services.merge_leads(winner, loser, actor=None)
    finally:
        leads_merging.disconnect(listen)

    assert heard == [(winner, loser, False)]


def _same():
    lead = davi()
    return lead, Lead.objects.get(pk=lead.pk)


@pytest.mark.parametrize(
    ("pair", "code"),
    [
        pytest.param(_same, "same_lead", id="itself"),
        pytest.param(lambda: (davi(), davi(merged_into=davi())), "already_merged", id="merged"),
        pytest.param(
            lambda: (davi(merged_into=davi()), davi()), "already_merged", id="into merged"
        ),
        pytest.param(lambda: (davi(), davi(is_simulated=True)), "simulated_lead", id="simulated"),
    ],
)
def test_a_merge_that_makes_no_sense_is_refused(pair, code):
    with pytest.raises(DomainError) as refusal:
        services.merge_leads(*pair(), actor=ana())
    assert refusal.value.code == code


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_merging_both_ways_at_once_ends_with_one_winner():
    one, other = davi(bsuid()), davi(phone())
    together = threading.Barrier(2)

    def merge(pair):
        try:
            together.wait()
            services.merge_leads(*(Lead.objects.get(pk=lead.pk) for lead in pair), actor=None)
        except DomainError as refusal:
            return refusal.code
        finally:
            connection.close()
        return "merged"

    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(pool.map(merge, [(one, other), (other, one)]))

    assert outcomes == ["already_merged", "merged"]
    assert Lead.objects.live().count() == 1
    assert Lead.objects.live().get().identities.count() == 2


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_tag_made_by_many_at_once_is_one_tag():
    together = threading.Barrier(10)

    def make(_number):
        try:
            together.wait()
            return services.get_or_create_tags(["vip"])[0].pk
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        assert len(set(pool.map(make, range(10)))) == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_an_undo_waits_for_who_is_changing_the_field_and_then_leaves_it():
    lead, login, actor = davi(), {}, bia()
    services.update_lead(lead, fields={"name": "Outro"}, actor=actor)
    word = changes.remember(login, lead, changes.Change("name", "Davi", "Outro"), at=AT)
    changed = threading.Event()

    def change():
        try:
            with transaction.atomic():
                mine = Lead.objects.get(pk=lead.pk)
                services.update_lead(mine, fields={"name": "Terceiro"}, actor=actor)
                changed.set()
                wait_until_blocked()
        finally:
            connection.close()

    def undo():
        try:
            mine = Lead.objects.get(pk=lead.pk)
            changed.wait(10)
            changes.take_back(login, mine, word, actor=actor, at=AT)
        except DomainError as refusal:
            return refusal.code
        finally:
            connection.close()
        return "undone"

    with ThreadPoolExecutor(2) as pool:
        pool.submit(change)
        assert pool.submit(undo).result() == "changed_since"
    lead.refresh_from_db()
    assert lead.name == "Terceiro"
