"""One module for each framework: `lightning`, `transformers`, `accelerate`, `torchtitan`, `tensorboard`.

Each imports its framework, so import it by name: `from holter.integrations.lightning import HolterLogger`.
"""
