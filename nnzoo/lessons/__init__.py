"""Lessons: ideas of a first course, each with short trainings, a claim that is checked, and a page with figures."""
