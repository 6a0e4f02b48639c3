"""Which addresses a tenant's broker may have: every class of special addresses, by its edges and at random."""

import random
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address, ip_network

import pytest

from contracts.failures import Refused, Unavailable
from services.ingest.network import Network, system_resolver
from services.ingest.policy import ANYTHING, PRIVATE, Address, Policy, networks

# IANA's special-purpose registries (RFC 6890 and what came since), and what clouds keep for themselves.
SPECIAL = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32", "168.63.129.16/32",
    "::/128", "::1/128", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64",
    "100:0:0:1::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "4000::/3", "5f00::/16",
    "8000::/1", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)  # fmt: skip
PUBLIC = (
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
    "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255",
    "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "168.63.129.15", "168.63.129.17",
    "2606:4700::1111", "2001:200::1", "2001:4860:4860::8888", "2001:db7:ffff::1", "2001:db9::", "2003::1",
    "2a00:1450:4001:829::200e", "3ffe:ffff::1",
)  # fmt: skip
SEED = 20261121


def members(network: str) -> Iterator[Address]:
    """Both edges, and some from between."""
    held = ip_network(network)
    chosen = random.Random(SEED)
    yield held[0]
    yield held[-1]
    for _ in range(20):
        yield held[chosen.randrange(held.num_addresses)]


@pytest.mark.parametrize("network", SPECIAL)
def test_no_address_of_a_special_network_may_be_connected_to(network: str) -> None:
    assert [each for each in members(network) if Policy().forbidden(each) is None] == []


@pytest.mark.parametrize("address", PUBLIC)
def test_the_neighbours_of_special_networks_are_the_public_internet(address: str) -> None:
    assert Policy().forbidden(ip_address(address)) is None


@pytest.mark.parametrize("network", [each for each in SPECIAL if "." in each])
def test_an_ipv4_address_in_other_clothes_is_judged_as_what_it_is(network: str) -> None:
    for inner in members(network):
        number = int(inner)
        dressed = [
            IPv6Address(0xFFFF << 32 | number),  # IPv4-mapped
            IPv6Address(number),  # IPv4-compatible
            IPv6Address((0x64FF9B << 96) | number),  # NAT64
            IPv6Address((0x2002 << 112) | number << 80 | 1),  # 6to4
            IPv6Address((0x20010000 << 96) | (number ^ 0xFFFFFFFF)),  # Teredo
        ]
        assert [each for each in dressed if Policy().forbidden(each) is None] == []


def test_a_mapped_public_address_is_public() -> None:
    assert Policy().forbidden(ip_address("::ffff:1.1.1.1")) is None


def test_random_addresses_are_public_exactly_where_no_special_network_holds_them() -> None:
    special = [ip_network(each) for each in SPECIAL]
    chosen = random.Random(SEED)
    for _ in range(20_000):
        address = IPv4Address(chosen.getrandbits(32))
        held = any(isinstance(network, IPv4Network) and address in network for network in special)
        assert (Policy().forbidden(address) is not None) == held, address


@pytest.mark.parametrize("network", [str(each) for each in PRIVATE])
def test_an_operator_may_allow_private_networks_as_a_whole(network: str) -> None:
    policy = Policy(PRIVATE)
    cloud = ("100.100.100.200", "fd00:ec2::254", "fd20:ce::254")
    assert [each for each in members(network) if policy.forbidden(each) and str(each) not in cloud] == []


def test_an_operator_may_allow_one_network_and_no_other() -> None:
    policy = Policy(networks("10.20.0.0/16", "fd00:1::/32"))
    assert policy.forbidden(ip_address("10.20.3.4")) is None
    assert policy.forbidden(ip_address("::ffff:10.20.3.4")) is None
    assert policy.forbidden(ip_address("fd00:1::5")) is None
    for outside in ("10.21.0.0", "10.19.255.255", "fd00:2::1", "127.0.0.1", "64:ff9b::a14:304"):
        assert policy.forbidden(ip_address(outside)) is not None, outside


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254",
     "fd20:ce::254", "::ffff:169.254.169.254"],
)  # fmt: skip
def test_where_clouds_hand_out_credentials_nobody_may_allow(address: str) -> None:
    for policy in (Policy(), Policy(PRIVATE), ANYTHING):
        assert policy.forbidden(ip_address(address)) is not None


# Ways to write 127.0.0.1, 169.254.169.254 and the like that resolvers take for addresses.
WRITTEN = (
    "127.1", "127.0.1", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "2130706433", "0", "0.0",
    "127.000.000.001", "0x7f.0x0.0x0.0x1", "localhost", "LOCALHOST", "localhost.", "127.0.0.1.",
    "0xa9fea9fe", "2852039166", "169.254.43518", "0251.0376.0251.0376", "0xA9.0xFE.0xA9.0xFE",
    "::1", "0:0:0:0:0:0:0:1", "::ffff:7f00:1", "::ffff:127.0.0.1", "0000::1", "fe80::1%lo", "::",
    "64:ff9b::7f00:1", "１２７.0.0.1", "①②⑦.0.0.1", "127。0。0。1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "10.1", "192.168.257",
    "172.16.1", "3232235521", "0xc0a80001", "0300.0250.1",
)  # fmt: skip


@pytest.mark.parametrize("host", WRITTEN)
async def test_however_it_is_written_no_name_leads_near_us(host: str) -> None:
    """What the resolver makes of it is what is checked, and what is connected to."""
    network = Network(Policy())
    try:
        addresses = await network.resolve(host, 1883)
    except Unavailable:
        return  # this resolver takes it for no address
    with pytest.raises(Refused, match=r"address\.forbidden"):
        network.check(host, addresses)


@pytest.mark.parametrize(
    "host", ["a" * 64 + ".example", "a" * 253, "..", ".", "é" * 200, "xn--a", "-", "a..b"]
)
async def test_a_name_that_is_none_is_said_not_to_resolve(host: str) -> None:
    with pytest.raises(Unavailable, match=r"broker\.unreachable"):
        await Network(Policy()).resolve(host, 1883)


def test_one_forbidden_address_among_public_ones_refuses_the_name() -> None:
    with pytest.raises(Refused) as caught:
        Network(Policy()).check("b.example", ["1.1.1.1", "fe80::1%eth0"])
    assert "b.example is fe80::1%eth0, which is a link-local address" in caught.value.detail
    assert caught.value.field == "settings.host"


async def test_the_address_that_was_checked_is_the_one_connected_to() -> None:
    """A name server that answers the check with a public address, and the connect with ours, is asked once."""
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["1.1.1.1"] if len(asked) == 1 else await system_resolver("127.0.0.1", port)

    network = Network(Policy(), rebinding)
    with socket.create_server(("127.0.0.1", 0)) as ours:
        ours.settimeout(0)
        port = ours.getsockname()[1]
        addresses = await network.resolve("rebinding.example", port)
        network.check("rebinding.example", addresses)
        assert addresses == ["1.1.1.1"]
        assert asked == ["rebinding.example"]
        with pytest.raises(Refused, match=r"rebinding.example is 127\.0\.0\.1"):
            await network.reach("rebinding.example", port)
        with pytest.raises(BlockingIOError):
            ours.accept()


async def test_a_checked_list_is_connected_to_by_number_and_nothing_is_resolved_again() -> None:
    async def never(host: str, port: int) -> list[str]:
        raise AssertionError("asked again")

    with socket.create_server(("127.0.0.1", 0)) as server:
        connected = await Network(ANYTHING, never).connect(["127.0.0.1"], server.getsockname()[1])
        assert connected.getpeername() == server.getsockname()
        connected.close()
