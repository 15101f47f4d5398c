"""PgBouncer as the local clouds offer it: a pooler in front of their servers' databases."""
