"""Which addresses are of this machine alone; needs nothing but the standard library."""

import ipaddress

__all__ = ["is_address", "is_loopback"]


def is_address(name: str) -> bool:
    """Whether `name` is an IP address, and no name that somebody's DNS could answer."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a server that listens on `host` can be reached from its own machine only."""
    return host.lower() == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)
