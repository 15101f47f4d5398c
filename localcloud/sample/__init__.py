"""The sample platform: six databases, the writers that use them, and the ledger of every write."""
