"""The demo: trains a small Atlas-like language model on real text with all probes. `python -m holter.demo`."""
