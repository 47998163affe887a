"""Random restarts: a network from several initialisations, trained as one network of replicas."""
