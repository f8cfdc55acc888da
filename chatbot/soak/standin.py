"""The process of Meta and its customers: `python -m chatbot.soak.standin FOLDER`.

Told over HTTP: `GET /__state`, `POST /__begin`, `/__stop` (customers say no more), `/__calm` (no
more faults), `/__journal` (write down what was seen).
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from pathlib import Path

from chatbot.soak.customers import Crowd
from chatbot.soak.files import Files
from chatbot.soak.graph import Graph
from chatbot.soak.journal import Journal
from chatbot.soak.plan import Plan
from chatbot.soak.webhooks import Webhooks
from chatbot.soak.wire import Request, Response, answer, serve


class StandIn:
    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan = plan
        self._folder = folder
        self.journal = Journal()
        rng = random.Random(f"{plan.seed}:bodies")
        batch = plan.faults["batch"]
        self.webhooks = Webhooks(plan.web_port, self.journal, batch=batch, rng=rng)
        files = Files(plan.graph_url, plan.url_lives, self.journal)
        self.crowd = Crowd(plan, self.journal, self.webhooks, files)
        self.graph = Graph(plan, self.journal, self.crowd, files)
        self._began = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        server = await serve(self._plan.graph_port, self.handle)
        async with self.webhooks, server:
            await server.serve_forever()

    async def handle(self, request: Request) -> Response:
        if not request.path.startswith("/__"):
            return await self.graph.handle(request)
        match request.path:
            case "/__begin":
                self._begin()
            case "/__stop":
                self.crowd.stop()
            case "/__calm":
                self.graph.calm()
            case "/__journal":
                self._write()
        return answer(self.state())

    def _begin(self) -> None:
        self._began = time.monotonic()
        for work in (self.crowd.arrive(), self.graph.trouble()):
            task = asyncio.create_task(work)
            task.add_done_callback(_fail_loudly)
            self._tasks.add(task)

    def _write(self) -> None:
        self.graph.count()
        self.journal.seconds = time.monotonic() - self._began
        self.journal.save(self._folder)

    def state(self) -> dict[str, float]:
        return {
            "conversations": len(self.crowd.customers),
            "over": self.crowd.over,
            "is_done": self.crowd.is_done,
            "said": len(self.journal.said),
            "calls": len(self.journal.calls),
            "waiting": self.webhooks.waiting,
            "under_way": self.graph.under_way,
        }


def _fail_loudly(task: asyncio.Task[None]) -> None:
    """A run without customers would wait for ever: better none."""
    if not task.cancelled() and task.exception() is not None:
        task.print_stack()
        os._exit(1)


def main() -> None:
    folder = Path(sys.argv[1])
    asyncio.run(StandIn(Plan.load(folder), folder).run())


if __name__ == "__main__":
    main()
