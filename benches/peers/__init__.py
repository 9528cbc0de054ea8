"""The field, measured: other recorders and Holter do the same work, each in an environment and in processes of its own.

`make peers` runs it; `benches/RESULTS.md` says how it is measured and what was found.
"""
