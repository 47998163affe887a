"""Training in several processes: one network, a share of each batch for every process."""
