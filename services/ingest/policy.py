"""Which addresses a tenant's broker may have: the public internet, and what the operator allows beside it (SSRF)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
AnyNetwork = IPv4Network | IPv6Network


def networks(*texts: str) -> tuple[AnyNetwork, ...]:
    return tuple(ip_network(text) for text in texts)


# Where clouds hand out credentials: never, whatever an operator allows around them.
METADATA = networks("169.254.169.254/32", "169.254.170.2/32", "168.63.129.16/32", "100.100.100.200/32",
                    "192.0.0.192/32", "fd00:ec2::254/128", "fd20:ce::254/128")  # fmt: skip

PRIVATE = networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "::1/128",
                   "fc00::/7")  # fmt: skip
"""What ALLOW_PRIVATE_ADDRESSES allows: one's own networks, and this machine."""

# Addresses that `is_global` lets through (it differs between Python's versions) and that lead to us, or nowhere.
ALSO_FORBIDDEN = networks(
    "192.0.0.0/24",  # IETF protocol assignments
    "192.88.99.0/24",  # 6to4 relays
    "64:ff9b::/96",  # NAT64: any IPv4 address in other clothes
    "64:ff9b:1::/48",
    "2001::/23",  # IETF protocol assignments, Teredo
    "2002::/16",  # 6to4
    "3fff::/20",  # documentation
)
_UNICAST = ip_network("2000::/3")  # of IPv6, nothing else is given to anybody on the internet


@dataclass(frozen=True, slots=True)
class Policy:
    """The public internet, and the networks that the operator allows beside it."""

    allowed: tuple[AnyNetwork, ...] = ()

    def forbidden(self, address: Address) -> str | None:
        """Why this address may not be connected to, or None where it may."""
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            return self.forbidden(address.ipv4_mapped)
        if _within(address, METADATA):
            return "an address of the cloud's own services"
        return None if _within(address, self.allowed) else not_public(address)

    def first_forbidden(self, addresses: Iterable[str]) -> tuple[str, str] | None:
        """The first address of a name that may not be connected to, and why; one such refuses the name."""
        for text in addresses:
            if (why := self.forbidden(ip_address(text.partition("%")[0]))) is not None:
                return text, why
        return None

    def operators_own(self, addresses: Iterable[str]) -> bool:
        """Whether all of them lie in networks that the operator allows."""
        return all(_within(ip_address(text.partition("%")[0]), self.allowed) for text in addresses)


ANYTHING = Policy(networks("0.0.0.0/0", "::/0"))
"""For addresses that the operator gave, and no tenant."""


def not_public(address: Address) -> str | None:
    """Why an address is none of the public internet's unicast addresses."""
    if address.is_loopback:
        return "a loopback address"
    if address.is_link_local:
        return "a link-local address"
    if address.is_multicast:
        return "a multicast address"
    if address.is_unspecified:
        return "the unspecified address"
    if not address.is_global or (address.version == 6 and address not in _UNICAST):
        return "a private or reserved address"
    if _within(address, ALSO_FORBIDDEN):
        return "an address that may lead to a private network"
    return None


def _within(address: Address, held: tuple[AnyNetwork, ...]) -> bool:
    return any(address.version == network.version and address in network for network in held)
