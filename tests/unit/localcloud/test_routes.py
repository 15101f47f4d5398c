"""Where the service proxy listens, and what is behind it."""

from localcloud.kubernetes.network import Network
from localcloud.kubernetes.node.balancer import assignments
from localcloud.kubernetes.node.routes import Listener, Route, routes

NETWORK = Network("old", 7)


def service(name="web", **spec):
    spec = {"clusterIP": "127.10.7.9", "ports": [{"port": 80, "name": "http"}], **spec}
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": spec, "status": {}}


def endpoint_slice(*endpoints, name="web", port=8080, port_name="http"):
    return {
        "metadata": {"namespace": "shop", "labels": {"kubernetes.io/service-name": name}},
        "ports": [{"name": port_name, "port": port}],
        "endpoints": [
            {"addresses": [address], "conditions": {"ready": ready}} for address, ready in endpoints
        ],
    }


def found(services, slices):
    return routes(services, slices, NETWORK.node, NETWORK.real)


def test_a_service_leads_to_the_real_addresses_of_its_ready_pods():
    slices = [endpoint_slice(("198.18.7.3", True), ("198.18.7.4", False), ("198.18.7.1", True))]
    assert found([service()], slices) == {
        Listener("127.10.7.9", 80): Route((("127.50.7.1", 8080), ("127.50.7.3", 8080)))
    }


def test_endpoints_may_be_spread_over_slices_and_ports_have_slices_of_their_own():
    slices = [
        endpoint_slice(("198.18.7.1", True)),
        endpoint_slice(("198.18.7.2", True), port=9090),
        endpoint_slice(("198.18.7.1", True), port=1, port_name="metrics"),
        endpoint_slice(("198.18.7.1", True), name="other"),
    ]
    (route,) = found([service()], slices).values()
    assert route.targets == (("127.50.7.1", 8080), ("127.50.7.2", 9090))


def test_without_ready_endpoints_nothing_listens():
    assert found([service()], [endpoint_slice(("198.18.7.1", False))]) == {}


def test_a_headless_service_and_udp_have_no_listener():
    slices = [endpoint_slice(("198.18.7.1", True))]
    udp = service(ports=[{"port": 80, "name": "http", "protocol": "UDP"}])
    assert found([service(clusterIP="None"), udp], slices) == {}


def test_an_address_outside_the_cluster_stays_as_it_is():
    (route,) = found([service()], [endpoint_slice(("192.0.2.1", True))]).values()
    assert route.targets == (("192.0.2.1", 8080),)


def test_a_load_balancers_sources_are_let_in_and_no_one_else():
    balanced = service(type="LoadBalancer", loadBalancerSourceRanges=["127.0.0.0/30"])
    balanced["status"] = {"loadBalancer": {"ingress": [{"ip": "127.30.7.1"}]}}
    slices = [endpoint_slice(("198.18.7.1", True))]
    route = found([balanced], slices)[Listener("127.30.7.1", 80)]
    assert (route.admits("127.0.0.1"), route.admits("127.0.0.9")) == (True, False)
    assert found([balanced], slices)[Listener("127.10.7.9", 80)].admits("127.0.0.9")


def test_a_node_port_is_at_the_nodes_address():
    ports = [{"port": 80, "name": "http", "nodePort": 30080}]
    slices = [endpoint_slice(("198.18.7.1", True))]
    assert Listener("127.40.7.1", 30080) in found([service(ports=ports)], slices)


ADDRESSES = ["127.30.7.1", "127.30.7.2"]


def balanced(name, address=None):
    made = service(name, type="LoadBalancer")
    if address:
        made["status"] = {"loadBalancer": {"ingress": [{"ip": address}]}}
    return made


def test_a_service_that_wants_an_address_gets_the_first_that_is_free():
    changes = assignments([balanced("a", "127.30.7.1"), balanced("b")], ADDRESSES, {})
    assert changes == {("shop", "b"): [{"ip": "127.30.7.2", "ipMode": "VIP"}]}


def test_an_address_given_is_given_again_until_the_service_shows_it():
    given = {}
    first = assignments([balanced("a")], ADDRESSES, given)
    assert assignments([balanced("a"), balanced("b")], ADDRESSES, given).items() >= first.items()
    assert given == {("shop", "a"): "127.30.7.1", ("shop", "b"): "127.30.7.2"}


def test_no_address_is_left_when_all_are_given():
    assert assignments([balanced("c")], [], {}) == {}


def test_an_address_goes_when_the_service_no_longer_wants_it():
    was = service("a", type="ClusterIP")
    was["status"] = {"loadBalancer": {"ingress": [{"ip": "127.30.7.1"}]}}
    given = {("shop", "a"): "127.30.7.1"}
    assert assignments([was], ADDRESSES, given) == {("shop", "a"): None}
    assert given == {}
