"""What a cluster is told to be, and the command lines that make it so."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .network import Network

LOOPBACK = "127.0.0.1"
NODE_NAME = "node-1"

# Names of what runs for a cluster; each one's folder, below the cluster's, has the same name.
ETCD, API_SERVER = "etcd", "kube-apiserver"
CONTROLLER_MANAGER, SCHEDULER = "kube-controller-manager", "kube-scheduler"
NODE = "node"

# Who acts in a cluster: kubeconfig's name -> (user, groups). Node and proxy are what a kubelet and
# a kube-proxy are; `balancer` is the cloud's own controller, which gives Services an address.
IDENTITIES = {
    "admin": ("cloud-admin", ("system:masters",)),
    CONTROLLER_MANAGER: ("system:kube-controller-manager", ()),
    SCHEDULER: ("system:kube-scheduler", ()),
    NODE: (f"system:node:{NODE_NAME}", ("system:nodes",)),
    "proxy": ("system:kube-proxy", ()),
    "balancer": ("system:serviceaccount:kube-system:service-controller", ()),
    "daemon": ("localcloud", ("system:masters",)),
}
KUBELET_CLIENT = "kube-apiserver-kubelet-client"

# The control plane's own requests would fill the log: what it keeps is what people and pods did.
AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  userGroups: ["system:nodes", "system:serviceaccounts:kube-system"]
- level: None
  users:
  - system:apiserver
  - system:kube-controller-manager
  - system:kube-scheduler
  - system:kube-proxy
  - system:serviceaccount:kube-system:service-controller
  - localcloud
- level: None
  nonResourceURLs: ["/healthz*", "/livez*", "/readyz*", "/version"]
- level: Metadata
"""


@dataclass(frozen=True, slots=True)
class Configuration:
    """One cluster: where everything of it is."""

    cloud: str
    name: str
    network: Network
    host: str
    port: int
    etcd_port: int
    etcd_peer_port: int
    dns_name: str
    images: str  # the path of the cloud's table of images

    def described(self) -> dict[str, Any]:
        """Return what `of_json` takes: kept in the cluster's folder for its node."""
        return asdict(self)

    @classmethod
    def of_json(cls, value: dict[str, Any]) -> Configuration:
        return cls(**{**value, "network": Network(**value["network"])})

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}"

    @property
    def api_names(self) -> list[str]:
        """What the API server's certificate is for."""
        service = "kubernetes.default.svc"
        inside = ["kubernetes", "kubernetes.default", service, f"{service}.cluster.local"]
        return [self.dns_name, "localhost", *inside, self.host, self.network.api_service]


def etcd_flags(configuration: Configuration, folder: Path) -> list[str]:
    client = f"https://{LOOPBACK}:{configuration.etcd_port}"
    peer = f"https://{LOOPBACK}:{configuration.etcd_peer_port}"
    pki = folder / "pki" / "etcd"
    return [
        "--name=default",
        f"--data-dir={folder / ETCD / 'data'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--client-cert-auth",
        f"--trusted-ca-file={pki / 'ca.pem'}",
        f"--cert-file={pki / 'server.crt'}",
        f"--key-file={pki / 'server.key'}",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={pki / 'ca.pem'}",
        f"--peer-cert-file={pki / 'server.crt'}",
        f"--peer-key-file={pki / 'server.key'}",
        "--log-level=warn",
        "--unsafe-no-fsync",  # a machine that loses power loses its local cloud
    ]


def api_server_flags(configuration: Configuration, folder: Path) -> list[str]:
    pki, own = folder / "pki", folder / API_SERVER
    return [
        f"--bind-address={configuration.host}",
        f"--secure-port={configuration.port}",
        f"--advertise-address={configuration.host}",
        "--endpoint-reconciler-type=none",  # endpoints may not be on loopback; the proxy knows it
        f"--service-cluster-ip-range={configuration.network.services}",
        f"--etcd-servers=https://{LOOPBACK}:{configuration.etcd_port}",
        f"--etcd-cafile={pki / 'etcd' / 'ca.pem'}",
        f"--etcd-certfile={pki / 'etcd' / 'client.crt'}",
        f"--etcd-keyfile={pki / 'etcd' / 'client.key'}",
        f"--client-ca-file={pki / 'ca.pem'}",
        f"--tls-cert-file={pki / 'server.crt'}",
        f"--tls-private-key-file={pki / 'server.key'}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki / 'accounts.pub'}",
        f"--service-account-signing-key-file={pki / 'accounts.key'}",
        f"--kubelet-certificate-authority={pki / 'ca.pem'}",
        f"--kubelet-client-certificate={pki / 'kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'kubelet-client.key'}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--audit-policy-file={own / 'audit.yaml'}",
        f"--audit-log-path={own / 'audit.log'}",
        "--audit-log-maxsize=100",
        "--audit-log-maxbackup=1",
        "--profiling=false",
    ]


def controller_manager_flags(configuration: Configuration, folder: Path) -> list[str]:
    pki = folder / "pki"
    return [
        f"--kubeconfig={kubeconfig(folder, CONTROLLER_MANAGER)}",
        f"--cluster-name={configuration.name}",
        f"--flex-volume-plugin-dir={folder / CONTROLLER_MANAGER / 'plugins'}",  # else it makes one
        "--use-service-account-credentials",
        f"--root-ca-file={pki / 'ca.pem'}",
        f"--service-account-private-key-file={pki / 'accounts.key'}",
        f"--cluster-signing-cert-file={pki / 'ca.pem'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
        "--kube-api-qps=200",  # thirty controllers get accounts and tokens before they begin
        "--kube-api-burst=400",
        "--leader-elect=false",
        "--secure-port=0",
        "--profiling=false",
    ]


def scheduler_flags(configuration: Configuration, folder: Path) -> list[str]:
    return [
        f"--kubeconfig={kubeconfig(folder, SCHEDULER)}",
        "--leader-elect=false",
        "--secure-port=0",
        "--profiling=false",
    ]


def kubeconfig(folder: Path, identity: str) -> Path:
    """Return the path of an identity's kubeconfig."""
    return folder / "kubeconfig" / f"{identity}.yaml"
