"""Resumes an interrupted or finished run."""
