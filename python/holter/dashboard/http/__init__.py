"""HTTP: what serves any answer, whatever it says.

_guard    who may send which requests           _hosts    addresses of this machine
_static   the files of the page                 _cache    a cache of answers, limited in bytes
_json     JSON answers                          _errors   a refused request
"""
