"""The stand-in for Meta behaves as Meta's pages say, and its faults are the ones asked for."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from types import SimpleNamespace

import pytest

from chatbot.soak import files, graph, shape
from chatbot.soak.journal import Call, File, Journal, Said
from chatbot.soak.limits import PAIR_BURST, PairLimit, Window
from chatbot.soak.plan import ACCESS_TOKEN, APP_SECRET, BadPlan, Plan, faults_from
from chatbot.soak.processes import free_port
from chatbot.soak.standin import StandIn
from chatbot.soak.wire import Cut, Request, Response, serve

PATIENCE = 20.0


class Program:
    """Takes webhooks in place of the program: refuses as often as asked, then answers 200."""

    def __init__(self, refusals=0):
        self.refusals = refusals
        self.requests = []

    async def handle(self, request):
        self.requests.append(request)
        self.refusals -= 1
        return Response(503 if self.refusals >= 0 else 200, b"")

    def parts(self, name):
        found = []
        for request in self.requests:
            for change in request.json()["entry"][0]["changes"]:
                found += change["value"].get(name, [])
        return found

    @property
    def statuses(self):
        return [one["status"] for one in self.parts("statuses")]


class Meta:
    """One customer who has said the first words, and the stand-in that carries them."""

    def __init__(self, tmp_path, program, faults="0", **options):
        values = {"conversations": 1, "turns": 1, "seed": 3, "patience": 30, **options}
        plan = Plan(faults=faults_from(faults), web_port=free_port(), graph_port=1, **values)
        self.plan, self.program = plan, program
        self.stand_in = StandIn(plan, tmp_path)

    def run(self, scene):
        async def play():
            async with await serve(self.plan.web_port, self.program.handle):
                async with self.stand_in.webhooks:
                    await self.ask("POST", "/__begin")
                    await self.until(lambda: self.program.parts("messages"))
                    result = await scene(self)
                await asyncio.sleep(0.05)  # the other ends see that the connections are closed
                return result

        return asyncio.run(play())

    async def until(self, is_so):
        until = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < until, "waited in vain"
            await asyncio.sleep(0.02)

    async def ask(self, method, path, body=None, token=ACCESS_TOKEN):
        headers = {"authorization": f"Bearer {token}"}
        content = json.dumps(body).encode() if body is not None else b""
        return await self.stand_in.handle(Request(method, path, headers, content))

    async def send(self, text="Olá", ours="m1", **more):
        """The answer to a text for the customer, as status and JSON."""
        customer = self.stand_in.crowd.customers[0]
        to = f"+{customer.address.phone}"
        body = {
            "messaging_product": "whatsapp",
            "to": to,
            "type": "text",
            "text": {"body": text},
            "biz_opaque_callback_data": ours,
        }
        path = f"/v26.0/{customer.number}/messages"
        answer = await self.ask("POST", path, {**body, **more})
        return answer.status, json.loads(answer.body) if answer.body[:1] == b"{" else answer.body

    @property
    def calls(self):
        return self.stand_in.journal.calls


@pytest.fixture
def program():
    return Program()


def code_of(answer):
    return answer[1]["error"]["code"]


def test_bodies_are_signed_and_come_again_until_they_are_answered_200(tmp_path):
    program = Program(refusals=2)

    async def scene(meta):
        said = next(iter(meta.stand_in.journal.said.values()))
        await meta.until(lambda: said.acknowledged_at)
        assert said.deliveries == 3
        assert meta.stand_in.webhooks.waiting == 0

    Meta(tmp_path, program).run(scene)
    request = program.requests[-1]
    digest = hmac.new(APP_SECRET.encode(), request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-hub-signature-256"] == f"sha256={digest}"


def test_a_message_is_accepted_and_its_statuses_carry_our_id(tmp_path, program):
    async def scene(meta):
        status, answer = await meta.send()
        assert status == 200
        await meta.until(lambda: "delivered" in program.statuses)
        return answer

    answer = Meta(tmp_path, program).run(scene)
    (first, *_rest) = program.parts("statuses")
    assert first["id"] == answer["messages"][0]["id"]
    assert (first["status"], first["biz_opaque_callback_data"]) == ("sent", "m1")
    assert answer["contacts"][0]["input"].startswith("+55")


def test_wrong_token_wrong_body_and_strangers_are_counted_and_refused(tmp_path, program):
    async def scene(meta):
        assert (await meta.ask("POST", "/v26.0/1/messages", {}, token="x")).status == 401
        assert code_of(await meta.send("")) == 100
        assert code_of(await meta.send(to="+5511900000000")) == 131026
        return meta.stand_in.journal.violations

    found = Meta(tmp_path, program).run(scene)
    assert found == {
        "without the token": 1,
        "empty body": 1,
        "to nobody who wrote to this number": 1,
    }


def test_more_than_the_rate_is_refused(tmp_path, program):
    async def scene(meta):
        answers = await asyncio.gather(*(meta.send(ours=f"m{one}") for one in range(5)))
        meta.stand_in.graph.count()
        return [status for status, _body in answers], [code_of(one) for one in answers[2:]]

    meta = Meta(tmp_path, program, rate=2)
    assert meta.run(scene) == ([200, 200, 400, 400, 400], [130429] * 3)
    assert max(meta.stand_in.journal.most_per_number.values()) == 5


def test_chance_refuses_a_message_twice_at_most(tmp_path, program):
    async def scene(meta):
        return [(await meta.send())[0] for _ in range(3)]

    first, second, third = Meta(tmp_path, program, "error=100").run(scene)
    assert {first, second} <= {500, 503}
    assert third == 200


@pytest.mark.parametrize("fault", ["hang", "cut", "page"])
def test_an_answer_that_is_lost_leaves_a_journal_that_says_what_happened(
    tmp_path, program, fault, monkeypatch
):
    monkeypatch.setattr(graph, "HANG_SECONDS", 0.01)

    async def scene(meta):
        for number in range(8):
            try:
                status, _body = await meta.send(ours=f"m{number}")
            except Cut:
                status = 0
            assert status in ({502, 503} if fault == "page" else {0})
        return [call.outcome for call in meta.calls]

    outcomes = Meta(tmp_path, program, f"{fault}=100").run(scene)
    assert set(outcomes) == ({"accepted"} if fault == "hang" else {"accepted", "dropped"})


def test_early_statuses_come_before_the_answer(tmp_path, program):
    async def scene(meta):
        await meta.send()
        return list(program.statuses)

    assert set(Meta(tmp_path, program, "early=100").run(scene)) >= {"sent", "delivered"}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [("missing", set()), ("twice", {2}), ("0", {1})],
)
def test_statuses_come_as_often_as_asked(tmp_path, program, fault, expected):
    async def scene(meta):
        await meta.send()
        await asyncio.sleep(0.5)
        await meta.until(lambda: meta.stand_in.webhooks.waiting == 0)
        return {program.statuses.count(one) for one in program.statuses}

    assert Meta(tmp_path, program, fault if fault == "0" else f"{fault}=100").run(scene) == expected


def test_a_failed_message_is_said_to_have_failed_once(tmp_path, program):
    async def scene(meta):
        await meta.send()
        await meta.until(lambda: "failed" in program.statuses)
        await meta.send()
        await meta.until(lambda: "delivered" in program.statuses)

    Meta(tmp_path, program, "failed=100").run(scene)
    assert program.statuses.count("failed") == 1


def test_a_number_is_throttled_for_a_while(tmp_path, program):
    async def scene(meta):
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            answer = await meta.send(ours=f"m{time.monotonic()}")
            if answer[0] == 400:
                return code_of(answer)
        return None

    assert Meta(tmp_path, program, "throughput=100").run(scene) == 130429


def test_calm_ends_the_faults(tmp_path, program):
    async def scene(meta):
        await meta.ask("POST", "/__calm")
        return [(await meta.send(ours=f"m{one}"))[0] for one in range(3)]

    assert Meta(tmp_path, program, "100").run(scene) == [200, 200, 200]


def test_the_address_of_a_file_expires_and_its_id_gives_another(tmp_path, program, monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(files, "time", SimpleNamespace(monotonic=lambda: clock.now))

    async def scene(meta):
        found = meta.stand_in.crowd.add_file("image/png")
        path = found["url"].removeprefix(meta.plan.graph_url)
        assert (await meta.ask("GET", path, token="x")).status == 401
        clock.now = 21.0
        assert (await meta.ask("GET", path)).status == 404
        resolved = json.loads((await meta.ask("GET", f"/v26.0/{found['id']}")).body)
        content = await meta.ask("GET", resolved["url"].removeprefix(meta.plan.graph_url))
        assert hashlib.sha256(content.body).hexdigest() == resolved["sha256"]
        assert (content.content_type, len(content.body)) == (
            "image/png",
            int(resolved["file_size"]),
        )
        return meta.stand_in.journal.files[found["id"]]

    file = Meta(tmp_path, program, url_lives=20.0).run(scene)
    assert (file.resolved, file.fetched, file.expired) == (1, 1, 1)


def test_the_journal_comes_back_as_it_was_written(tmp_path):
    journal = Journal()
    journal.said["w"] = Said("w", "1", 7, "text", "Oi", 1.0)
    journal.calls.append(Call("1", "+55", 7, "m1", "Olá", 2.0, "accepted", statuses=["sent"]))
    journal.files["f"] = File("f", "00")
    journal.answers["200"] += 3
    journal.save(tmp_path)
    assert Journal.load(tmp_path) == journal


BUTTONS = [{"type": "reply", "reply": {"id": str(one), "title": f"T{one}"}} for one in range(3)]


def interactive(buttons):
    action = {"type": "button", "body": {"text": "?"}, "action": {"buttons": buttons}}
    return {"type": "interactive", "interactive": action}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, []),
        ({"to": "5511990000001"}, ["to without + and digits"]),
        ({"text": {"body": "x" * 4097}}, ["body of 4097 characters, at most 4096"]),
        (interactive(BUTTONS), []),
        (interactive([*BUTTONS, BUTTONS[0]]), ["4 buttons", "title twice", "id twice"]),
        (
            interactive([{"type": "reply", "reply": {"id": "1", "title": "x" * 21}}]),
            ["title of 21 characters, at most 20"],
        ),
        ({"type": "hologram"}, ["unknown type hologram"]),
    ],
)
def test_the_shape_of_a_body_is_judged_as_meta_does(more, expected):
    text = {"type": "text", "text": {"body": "Oi"}}
    head = {"messaging_product": "whatsapp", "to": "+5511990000001"}
    assert shape.faults_in({**head, **text, **more}) == expected


def test_a_pair_may_borrow_a_burst_and_pays_it_back():
    limit = PairLimit()
    assert [limit.takes("a", 0.0) for _ in range(PAIR_BURST + 1)] == [True] * PAIR_BURST + [False]
    assert limit.takes("b", 0.0)
    assert not limit.takes("a", 5.0)
    assert limit.takes("a", 6.0)
    assert not limit.takes("a", 6.0)


def test_a_window_knows_the_fullest_second_there_was():
    window = Window()
    for at in (0.0, 0.9, 1.5, 1.6, 1.7, 9.0):
        window.add(at)
    assert (window.most, window.count(9.5)) == (4, 1)


def test_faults_are_named_or_all_alike():
    assert faults_from("2")["hang"] == 2
    assert faults_from("2,hang=0")["hang"] == 0
    assert faults_from("hang=5")["cut"] == 0
    assert (faults_from("2")["token"], faults_from("0")["token"]) == (1, 0)


@pytest.mark.parametrize("text", ["much", "nonsense=1", "hang=101", "-1"])
def test_a_fault_that_means_nothing_is_refused(text):
    with pytest.raises(BadPlan):
        faults_from(text)
