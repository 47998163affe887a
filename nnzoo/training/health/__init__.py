"""Records the health of each layer during training: dead units, saturation, gradients, updates, activations."""
