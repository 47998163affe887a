"""Trains, resumes, evaluates, predicts, loads and describes networks."""
