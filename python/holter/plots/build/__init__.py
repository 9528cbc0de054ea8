"""Builders: runs in, `Chart` out.

chart                                        data model of a chart: lines, bars, heatmaps, marks
view, scene, axes, ranges, reading           reads points and places them on the axes
lines, bands, heatmaps, latest, speed        one builder for each kind of chart
marks, notes                                 vertical marks; the note below a chart
overview                                     default charts
palette, text                                colors and display texts, shared with the renderers
"""
