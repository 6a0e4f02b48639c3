"""Which addresses a tenant's broker may have: the public internet, and nothing that is near us (SSRF)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address

# Addresses that `is_global` lets through and that lead to us, or to a cloud's own services.
_ALSO_FORBIDDEN = tuple(
    map(
        ip_network,
        (
            "168.63.129.16/32",  # Azure's platform
            "192.0.0.0/24",  # IETF protocol assignments; a cloud's metadata is at .192
            "192.88.99.0/24",  # 6to4 relays
            "::/96",  # IPv4-compatible
            "64:ff9b::/96",  # NAT64: any IPv4 address in other clothes
            "64:ff9b:1::/48",
            "2001::/32",  # Teredo
            "2002::/16",  # 6to4
            "fec0::/10",  # site-local
        ),
    )
)


def forbidden(address: Address) -> str | None:
    """Why this address may not be connected to, or None where it may."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return forbidden(address.ipv4_mapped)
    if address.is_loopback:
        return "a loopback address"
    if address.is_link_local:
        return "a link-local address"
    if address.is_multicast:
        return "a multicast address"
    if address.is_unspecified:
        return "the unspecified address"
    if not address.is_global:
        return "a private or reserved address"
    if any(address.version == network.version and address in network for network in _ALSO_FORBIDDEN):
        return "an address that leads to a private network or to the cloud's own services"
    return None


def first_forbidden(addresses: list[str]) -> tuple[str, str] | None:
    """The first address of a name that may not be connected to, and why; one such refuses the name."""
    for text in addresses:
        if (why := forbidden(ip_address(text.partition("%")[0]))) is not None:
            return text, why
    return None
