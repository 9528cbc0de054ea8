"""Renderers: `Chart` in, figure out.

plotly_figure        a plotly figure: traces in plotly_traces, layout in plotly_layout, typed arrays in plotly_arrays
matplotlib_figure    a matplotlib figure, and a file of it
"""
