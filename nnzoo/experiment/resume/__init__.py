"""Resumes a run where it stopped."""
