"""Clusters of the local clouds: real control planes, and nodes whose pods are local processes."""
