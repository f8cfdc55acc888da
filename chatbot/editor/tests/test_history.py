import pytest
from model_bakery import baker

from chatbot import flows_service
from chatbot.editor import history
from chatbot.engine.nodes import parse_flow
from chatbot.flows_service import DraftConflict, NothingToUndo
from chatbot.models import DraftStep
from chatbot.tests import recipes
from users.models import Role, User

pytestmark = pytest.mark.django_db


def text_of(flow):
    flow.refresh_from_db()
    return flow.draft["nodes"]["nome"]["text"]


def save(flow, text, user=None, said=None):
    flow.refresh_from_db()
    flows_service.save_draft(
        flow,
        recipes.document(text=text),
        user=user,
        revision=flow.draft_revision,
        said=said or {"code": "step_changed", "step": text},
    )


def undo(flow):
    flow.refresh_from_db()
    return flows_service.undo(flow, user=None, revision=flow.draft_revision)


def redo(flow):
    flow.refresh_from_db()
    return flows_service.redo(flow, user=None, revision=flow.draft_revision)


def test_every_save_is_a_step_with_what_was_before_and_after():
    flow, ana = recipes.flow(), recipes.ana()
    before = flow.draft
    save(flow, "Um.", ana)
    step = DraftStep.objects.get()
    assert (step.number, step.before, step.user) == (1, before, ana)
    assert step.after == parse_flow(recipes.document(text="Um.")).as_dict()


def test_saving_the_same_again_is_no_step():
    flow = recipes.flow()
    save(flow, "Um.")
    save(flow, "Um.")
    assert DraftStep.objects.count() == 1
    assert flow.draft_revision == 2


def test_steps_are_undone_and_done_again_one_by_one():
    flow = recipes.flow()
    for text in ("Um.", "Dois.", "Três."):
        save(flow, text)
    assert [undo(flow).said["step"], undo(flow).said["step"]] == ["Três.", "Dois."]
    assert text_of(flow).startswith("Um.")
    assert redo(flow).said["step"] == "Dois."
    assert text_of(flow).startswith("Dois.")
    redo(flow)
    with pytest.raises(NothingToUndo):
        redo(flow)
    assert text_of(flow).startswith("Três.")


def test_who_goes_on_from_there_forgets_what_was_undone():
    flow = recipes.flow()
    save(flow, "Um.")
    save(flow, "Dois.")
    undo(flow)
    save(flow, "Três.")
    with pytest.raises(NothingToUndo):
        redo(flow)
    undo(flow)
    assert text_of(flow).startswith("Um.")


def test_undoing_raises_the_revision_so_that_nobody_saves_over_it():
    flow = recipes.flow()
    save(flow, "Um.")
    undo(flow)
    with pytest.raises(DraftConflict):
        flows_service.save_draft(flow, recipes.document(text="x"), user=None, revision=1)


def test_a_draft_that_was_not_seen_is_not_undone():
    flow = recipes.flow()
    save(flow, "Um.")
    with pytest.raises(DraftConflict):
        flows_service.undo(flow, user=None, revision=0)
    assert text_of(flow).startswith("Um.")


def test_a_draft_written_past_its_history_is_left_alone():
    flow = recipes.flow()
    save(flow, "Um.")
    flow.draft = parse_flow(recipes.document(text="De fora.")).as_dict()
    flow.save(update_fields=["draft"])
    with pytest.raises(NothingToUndo):
        undo(flow)
    assert text_of(flow).startswith("De fora.")


def test_there_is_nothing_to_undo_in_a_new_flow():
    with pytest.raises(NothingToUndo):
        undo(recipes.flow())


def test_the_oldest_steps_are_forgotten(monkeypatch):
    monkeypatch.setattr(flows_service, "STEPS_KEPT", 3)
    flow = recipes.flow()
    for number in range(6):
        save(flow, f"{number}.")
    assert list(DraftStep.objects.order_by("number").values_list("number", flat=True)) == [4, 5, 6]


def test_the_buttons_say_what_they_do_and_whose_it_was():
    flow, ana = recipes.flow(), recipes.ana()
    other = baker.make(User, username="luana", first_name="Luana", role=Role.ADMIN)
    save(flow, "Um.", ana)
    assert "Um." in history.doable(flow, ana).undo
    assert "Luana" not in history.doable(flow, ana).undo
    save(flow, "Dois.", other)
    assert "Luana" in history.doable(flow, ana).undo
    undo(flow)
    assert "Dois." in history.doable(flow, ana).redo


@pytest.mark.parametrize(
    "said", [{}, {"code": "step_changed"}, {"code": "nova"}, {"code": 7}, {"step": "%s %(x)d"}]
)
def test_a_step_that_nobody_named_is_a_change(said):
    assert history.in_words(said)


@pytest.mark.parametrize("code", sorted(history.SAID))
def test_every_code_has_words(code):
    about = dict.fromkeys(("step", "target", "word", "version"), "X")
    assert history.in_words({"code": code, **about}) != history.in_words({})
