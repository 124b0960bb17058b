"""@rule, @provokes and @later, short."""
import pytest

rule = pytest.mark.rule
provokes = pytest.mark.provokes
later = pytest.mark.later


def case(*values, rules=(), id=None, errors=None):
    """A row of a table: its values, the rules it proves, and the errors it provokes: (operation, error)."""
    marks = [rule(*([rules] if isinstance(rules, str) else rules))] if rules else []
    if errors:
        marks.append(provokes(*errors))
    return pytest.param(*values, marks=marks, id=id)
