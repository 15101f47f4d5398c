from tests.fix_journal import journal, playbook  # noqa: F401
