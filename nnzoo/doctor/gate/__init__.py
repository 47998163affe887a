"""Checks of a config before training: one batch learned by heart, the first loss, the inputs, and the cost."""
