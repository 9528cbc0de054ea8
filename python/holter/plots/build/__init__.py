"""Builders: runs in, `Chart` out.

chart                                        what a chart is: lines, bars, heatmaps, marks
view, scene, axes, ranges, reading           which points are read, and where they are drawn
lines, bands, heatmaps, latest, speed        one builder for each kind of chart
marks, notes                                 what is marked in a chart and noted below it
overview                                     which charts are shown first
palette, text                                colors and shortened names, shared with the renderers
"""
