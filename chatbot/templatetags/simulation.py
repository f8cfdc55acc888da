"""A flow's simulator and test conversations, for the flow's page: `{% flow_simulator flow %}` and
`{% flow_goldens flow %}`. The page links `css/simulator.css` and `js/simulator.js`."""

from __future__ import annotations

from typing import Any

from django import template

from chatbot.models import Flow
from chatbot.simulation import goldens
from chatbot.simulation.panel import panel_for

register = template.Library()


@register.inclusion_tag("chatbot/_flow_simulator.html", takes_context=True)
def flow_simulator(context: template.Context, flow: Flow) -> dict[str, Any]:
    """Phone, clock, integrations and what is known of the person, beside the map."""
    request = context["request"]
    panel = panel_for(request, flow, back=request.get_full_path())
    return panel.as_context(
        csrf_token=context.get("csrf_token"),
        perms=context.get("perms"),
    )


@register.inclusion_tag("chatbot/_flow_goldens.html")
def flow_goldens(flow: Flow) -> dict[str, Any]:
    """The test conversations of a flow by name."""
    return {"flow": flow, "goldens": goldens.goldens_of(flow).only("name", "is_active", "flow")}
