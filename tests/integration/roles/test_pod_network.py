"""What a node lets through to pods, asked by neighbours in network name spaces of their own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.support.checkout import PROJECT
from tests.support.made import apart
from tests.support.real_bundle import real_bundle
from tests.support.role_templates import rendered, variables

MOST, SOME = 20, 5
FIRST, SECOND = "192.0.2.101", "192.0.2.102"

NODE = """
mount -t tmpfs none /run
echo 1 > /proc/sys/net/ipv4/ip_forward
for name in pod neighbour; do ip netns add $name; done
ip link add cni0 type veth peer name eth0 netns pod
ip link add wire type veth peer name eth0 netns neighbour
ip address add 10.244.0.1/24 dev cni0
ip address add 192.0.2.11/24 dev wire
ip -n pod address add 10.244.0.2/24 dev eth0
for address in {first} {second}; do ip -n neighbour address add $address/24 dev eth0; done
for link in cni0 wire; do ip link set $link up; done
for name in pod neighbour; do ip -n $name link set eth0 up; done
ip -n pod route add default via 10.244.0.1
ip -n neighbour route add 203.0.113.1 via 192.0.2.11
PATH={nft}:$PATH
nft -f - <<RULES
table ip kube-proxy {{
    chain prerouting {{
        type nat hook prerouting priority dstnat; policy accept;
        ip daddr 203.0.113.1 tcp dport 80 dnat to 10.244.0.2:8080
    }}
}}
RULES
sh {script}
ip netns exec pod {python} -c '{server}' &
until ip netns exec pod ss -Hltn | grep -q 8080; do sleep 0.05; done
"""
"""A node with a pod, a service's address that leads to it, and a neighbour with two addresses."""

SERVER = """
import selectors, socket
chosen = selectors.DefaultSelector()
listening = socket.create_server(("", 8080), backlog=128)
chosen.register(listening, selectors.EVENT_READ)
while True:
    for key, _ in chosen.select():
        if key.fileobj is listening:
            chosen.register(listening.accept()[0], selectors.EVENT_READ)
        elif not key.fileobj.recv(100):
            chosen.unregister(key.fileobj)
            key.fileobj.close()
"""
"""Takes every connection, and has it as long as the other side does."""

NEIGHBOUR = f"""
import json, socket

def connected(address, count, seconds=2):
    found = []
    for _ in range(count):
        client = socket.socket()
        client.settimeout(seconds)
        client.bind((address, 0))
        try:
            client.connect(("203.0.113.1", 80))
        except TimeoutError:
            client.close()
        else:
            found.append(client)
    return found

first = connected("{FIRST}", {MOST + 2})
second = connected("{SECOND}", {SOME})
counts = [len(first), len(second)]
for client in first[:{SOME}]:
    client.close()
again = connected("{FIRST}", {SOME}, 10)
print(json.dumps([*counts, len(again)]))
"""


def asked(folder: Path, most: int) -> list[int]:
    """How many connections a neighbour gets: too many, from its other address, after some ended."""
    template = PROJECT / "roles/pod_network/templates/pod-routes.j2"
    own = {"pod_cidr": "10.244.0.0/24", "address": "192.0.2.11"}
    known = variables("lab", "pod_network", pod_network_connections=most)
    known |= {"__pod_network_own": own, "__pod_network_others": []}
    script = folder / "pod-routes"
    script.write_text(str(rendered(template.read_text(), known)))
    prepare = NODE.format(
        first=FIRST,
        second=SECOND,
        nft=real_bundle() / "nft",
        script=script,
        python=sys.executable,
        server=SERVER,
    )
    argv = ["ip", "netns", "exec", "neighbour", sys.executable, "-c", NEIGHBOUR]
    # All that was started there ends with the neighbour.
    done = apart(argv, prepare, within=("--mount", "--net", "--pid", "--fork"))
    assert done.returncode == 0, done.stderr
    found: list[int] = json.loads(done.stdout)
    return found


def test_an_address_has_no_more_connections_than_it_may_and_others_have_theirs(
    tmp_path: Path,
) -> None:
    assert asked(tmp_path, MOST) == [MOST, SOME, SOME]


def test_without_a_limit_an_address_has_as_many_as_it_likes(tmp_path: Path) -> None:
    assert asked(tmp_path, 0) == [MOST + 2, SOME, SOME]
