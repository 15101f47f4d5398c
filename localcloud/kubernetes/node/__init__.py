"""The process node: a kubelet, a kube-proxy and a load balancer whose pods are local processes."""
