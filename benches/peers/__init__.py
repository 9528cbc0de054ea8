"""A comparison of Holter with other recorders on the same work, each in a separate environment and processes.

`make peers` runs it; `benches/RESULTS.md` describes the method and the results.
"""
