"""What happens inside a trained network: its weights, activations and gradients on real samples."""
