"""Which addresses the whole internet reaches, and which may lead into the network that this runs in."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

PORTS = (80, 443, 8080, 8443)

Address = IPv4Address | IPv6Address

# What ipaddress takes for global in one Python version or another, or what leads to a machine nobody published.
_NOT_PUBLIC_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
            "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
            "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
            "168.63.129.16/32",  # Azure's services for the machine itself
        ),
    )
)  # fmt: skip
_PUBLIC_6 = IPv6Network("2000::/3")  # all that was ever given out
# Protocols (Teredo, ORCHID, ...), documentation.
_NOT_PUBLIC_6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "3fff::/20")))
# IPv4 in IPv6: the network, and how far to the left of the address's end the IPv4 address stands.
_EMBEDDED = (
    (IPv6Network("::ffff:0:0/96"), 0),  # mapped
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64, as networks without IPv4 use it
    (IPv6Network("2002::/16"), 80),  # 6to4
)


def is_public(address: Address, port: int) -> bool:
    """Whether the address is one that the whole internet reaches, and the port one that pages are served on."""
    return port in PORTS and _is_public(address)


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in network for network in _NOT_PUBLIC_4)
    if address.scope_id is not None:
        return False
    for network, shift in _EMBEDDED:
        if address in network:
            return _is_public(IPv4Address((int(address) >> shift) & 0xFFFF_FFFF))
    return address in _PUBLIC_6 and address.is_global and not any(address in network for network in _NOT_PUBLIC_6)
