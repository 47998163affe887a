"""The verbs: train and resume, evaluate, predict, load, describe a network."""
