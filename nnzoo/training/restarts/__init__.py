"""Random restarts: replicas of a network with different initialisations, trained as one network."""
