"""The functions that the expressions of a lesson may call: mathematics, formulas of a course, and trained variants."""
