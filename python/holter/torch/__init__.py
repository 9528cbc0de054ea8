"""Probes for PyTorch training: `watch(model, logger)` records a model's vital signs at every step.

watch        every probe on one model            Watch      the handle it returns
Attention    how attention is looked at          Parameter  a parameter to follow, with its gradient
Probe        a metric of any module              Ratio      the quotient of two metrics
Rank         the effective rank of matrices
emit         a tensor from inside a forward      attention  the same for an attention of one's own
"""

from ._attention import Attention
from ._explicit import attention, emit
from ._parameters import Parameter
from ._probes import Probe
from ._rank import Rank
from ._values import Ratio
from ._watch import Watch, watch

__all__ = ["Attention", "Parameter", "Probe", "Rank", "Ratio", "Watch", "attention", "emit", "watch"]
