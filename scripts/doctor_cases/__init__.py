"""Planted and healthy runs, with which scripts/doctor_score measures `nnzoo doctor`."""
