"""HTTP: everything that does not depend on what a response contains.

_origin, _limits, _token, _headers    middleware: who may send which requests; security headers
_static                               the page's files
_hosts                                which addresses are local
_cache                                a cache with a limit in bytes
_json, _errors                        JSON responses and errors
"""
