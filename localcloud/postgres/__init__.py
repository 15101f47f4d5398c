"""Postgres servers run under the rules of a managed service."""
