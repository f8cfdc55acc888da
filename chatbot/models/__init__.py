"""What was said and why: flows and their versions, the append-only logs, and what is due later."""

from chatbot.models.costs import (
    MessageCount,
    Price,
)
from chatbot.models.counts import (
    FlowCount,
    NotUnderstood,
)
from chatbot.models.drafts import (
    DraftStep,
    GoldenConversation,
    IgnoredFinding,
    OfFlowQuerySet,
    PublishRequest,
    RequestState,
    Split,
)
from chatbot.models.flows import (
    Flow,
    FlowQuerySet,
    FlowRun,
    FlowVersion,
    FlowVersionQuerySet,
    Trigger,
    TriggerKind,
)
from chatbot.models.ledger import (
    EarlyStatus,
    FailedEvent,
    FailedEventState,
)
from chatbot.models.logs import (
    FlowLog,
    FlowLogKind,
    LogQuerySet,
)
from chatbot.models.media import (
    Media,
    MediaStatus,
)
from chatbot.models.messages import (
    MESSAGE_WORDS,
    NEWEST,
    STATUS_RANK,
    Author,
    Direction,
    MessageLog,
    MessageLogQuerySet,
    MessageStatus,
)
from chatbot.models.operations import (
    HINDERS_SENDING,
    WORKER_SILENCE,
    Incident,
    IncidentKind,
    IncidentQuerySet,
    SendPace,
    TrafficHour,
    Worker,
    WorkerQuerySet,
)
from chatbot.models.proofs import (
    JobState,
    Replay,
    ReplayDifference,
    ReplayDifferenceQuerySet,
    ReplayOutcome,
    SessionCheck,
    SessionMove,
)
from chatbot.models.simulation import (
    SimulatedPerson,
    SimulatedPersonQuerySet,
)
from chatbot.models.tasks import (
    Task,
    TaskKind,
    TaskStatus,
)
from chatbot.models.templates import (
    MessageTemplate,
    MessageTemplateQuerySet,
    TemplateStatus,
)
from chatbot.models.vault import (
    Secret,
    SecretQuerySet,
)

__all__ = [
    "HINDERS_SENDING",
    "MESSAGE_WORDS",
    "NEWEST",
    "STATUS_RANK",
    "WORKER_SILENCE",
    "Author",
    "Direction",
    "DraftStep",
    "EarlyStatus",
    "FailedEvent",
    "FailedEventState",
    "Flow",
    "FlowCount",
    "FlowLog",
    "FlowLogKind",
    "FlowQuerySet",
    "FlowRun",
    "FlowVersion",
    "FlowVersionQuerySet",
    "GoldenConversation",
    "IgnoredFinding",
    "Incident",
    "IncidentKind",
    "IncidentQuerySet",
    "JobState",
    "LogQuerySet",
    "Media",
    "MediaStatus",
    "MessageCount",
    "MessageLog",
    "MessageLogQuerySet",
    "MessageStatus",
    "MessageTemplate",
    "MessageTemplateQuerySet",
    "NotUnderstood",
    "OfFlowQuerySet",
    "Price",
    "PublishRequest",
    "Replay",
    "ReplayDifference",
    "ReplayDifferenceQuerySet",
    "ReplayOutcome",
    "RequestState",
    "Secret",
    "SecretQuerySet",
    "SendPace",
    "SessionCheck",
    "SessionMove",
    "SimulatedPerson",
    "SimulatedPersonQuerySet",
    "Split",
    "Task",
    "TaskKind",
    "TaskStatus",
    "TemplateStatus",
    "TrafficHour",
    "Trigger",
    "TriggerKind",
    "Worker",
    "WorkerQuerySet",
]
