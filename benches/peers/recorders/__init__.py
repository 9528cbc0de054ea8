"""The recorders, one file for each, in the order of the tables."""

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
    """A recorder by its name.

    Raises:
        KeyError: If there is no such recorder.
    """
    module, _, of_module = RECORDERS[name].partition(":")
    made = getattr(importlib.import_module(f"{__name__}.{module}"), of_module)()
    if not isinstance(made, Recorder):
        raise TypeError(f"{RECORDERS[name]} is no recorder")
    return made
