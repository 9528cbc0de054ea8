"""Probes for PyTorch training: `watch(model, logger)` records a model's vital signs at every step.

watch        attach every probe to a model       Watch      the handle that `watch` returns
Attention    attention settings                  Parameter  record a parameter and its gradient
Probe        a metric of any module              Ratio      the quotient of two metrics
Rank         effective rank of matrices
emit         record a tensor inside a forward    attention  report a custom attention inside a forward
"""

from holter.torch._attention import Attention
from holter.torch._explicit import attention, emit
from holter.torch._parameters import Parameter
from holter.torch._probes import Probe
from holter.torch._rank import Rank
from holter.torch._values import Ratio
from holter.torch._watch import Watch, watch

__all__ = ["Attention", "Parameter", "Probe", "Rank", "Ratio", "Watch", "attention", "emit", "watch"]
