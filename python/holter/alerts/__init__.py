"""Alert rules that watch a run's series while it is recorded.

    from holter import alerts

    rules = [
        alerts.NonFinite(stop=True),
        alerts.Spike("train/loss"),
        alerts.Below("tanh_input/*", threshold=0.1, steps=1000),
    ]
    with holter.Logger("runs/run-2", alerts=rules) as logger:
        for step, batch in enumerate(loader):
            logger.log(step, "train/loss", train_step(model, batch))
            if logger.should_stop:
                break

A rule keeps separate state for each series that its pattern matches, so a healthy layer never hides a sick one. It
fires when its condition starts to hold, and again only after the condition has ended. The writer thread evaluates the
points in the order in which each series was logged; it skips a step that is not greater than the previous steps of its
series. `logger.alerts` and `Run.events` list the alerts; a `Webhook` sends them to a URL.
"""

from holter.alerts._alert import Alert
from holter.alerts._delivery import Delivery
from holter.alerts._rules import Above, Below, NonFinite, Plateau, Rule, Spike
from holter.alerts._webhook import Webhook

__all__ = ["Above", "Alert", "Below", "Delivery", "NonFinite", "Plateau", "Rule", "Spike", "Webhook"]

for _public in (Above, Alert, Below, Delivery, NonFinite, Plateau, Rule, Spike, Webhook):
    _public.__module__ = "holter.alerts"
