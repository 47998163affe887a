"""Reference scores for a network: the baseline and a linear model."""
