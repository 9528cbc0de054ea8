"""Probes for PyTorch training: `watch(model, logger)` records a model's vital signs at every step.

watch        every probe on one model            Watch      the handle it returns
Attention    how attention is looked at          Parameter  a parameter to follow, with its gradient
Probe        a metric of any module              Ratio      the quotient of two metrics
Rank         the effective rank of matrices
emit         a tensor from inside a forward      attention  the same for an attention of one's own
"""

from holter.torch._attention import Attention
from holter.torch._explicit import attention, emit
from holter.torch._parameters import Parameter
from holter.torch._probes import Probe
from holter.torch._rank import Rank
from holter.torch._values import Ratio
from holter.torch._watch import Watch, watch

__all__ = ["Attention", "Parameter", "Probe", "Rank", "Ratio", "Watch", "attention", "emit", "watch"]
