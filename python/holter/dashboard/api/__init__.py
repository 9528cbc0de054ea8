"""The HTTP API.

_app                            the ASGI application and its routes
_requests, _responses           the types of requests and responses; _openapi publishes their schema
_runs, _info, _cached_run       the runs of a folder
_figures, _table, _compare      charts, tables and comparisons
_live                           server-sent events
_export                         downloads
"""
