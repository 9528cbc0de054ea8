"""The demo: a small Atlas-like language model trained on real text with every probe on. `python -m holter.demo`."""
