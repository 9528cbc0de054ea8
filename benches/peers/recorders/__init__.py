"""The recorders, one module each, in the order of the tables."""

import importlib

from peers.recorder import Recorder

__all__ = ["RECORDERS", "load"]

RECORDERS = {
    "holter": "holter:Holter",
    "holter-parquet": "holter:HolterParquet",
    "tensorboard": "tensorboard:TensorBoard",
    "wandb": "wandb:Wandb",
    "trackio": "trackio:Trackio",
    "mlflow": "mlflow:Mlflow",
    "aim": "aim:Aim",
    "expman": "expman:Expman",
    "rerun": "rerun:Rerun",
    "goodseed": "goodseed:Goodseed",
    "neptune": "neptune:Neptune",
    "trainscope": "trainscope:Trainscope",
    "jsonl": "jsonl:JsonLines",
    "sqlite": "sqlite:PlainSqlite",
}


def load(name: str) -> Recorder:
    """Create a recorder by name.

    Raises:
        KeyError: If the name is unknown.
    """
    module, _, class_name = RECORDERS[name].partition(":")
    recorder = getattr(importlib.import_module(f"{__name__}.{module}"), class_name)()
    if not isinstance(recorder, Recorder):
        raise TypeError(f"{RECORDERS[name]} is not a Recorder")
    return recorder
