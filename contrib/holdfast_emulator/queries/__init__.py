"""Questions to an organisation: conditions, links and aggregates, evaluated by a walk of their own.

Nothing here uses the evaluation of :mod:`holdfast.filters`, so that a rule that is wrong there does
not agree with itself.
"""
