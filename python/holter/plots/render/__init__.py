"""Renderers: `Chart` in, figure out.

plotly_figure        a plotly figure: traces in plotly_lines, plotly_traces and plotly_marks, layout in plotly_layout,
                     shared parts in plotly_drawing
matplotlib_figure    a matplotlib figure, and its file
"""
