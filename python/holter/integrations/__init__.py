"""One module for each framework: `lightning`, `transformers`, `accelerate`, `torchtitan`, `tensorboard`.

Each imports its framework, so it is asked for by name: `from holter.integrations.lightning import HolterLogger`.
"""
