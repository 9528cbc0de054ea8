"""The API: what is answered.

_app                          the routes, as an ASGI application
_requests, _fields            what a request may ask for; _openapi describes it
_runs, _info, _asked_once     the runs of a folder, and what each is
_figures, _table, _compare    charts, tables and comparisons
_live                         changes, as a stream of events
_export, _text                downloads, and text made printable
"""
