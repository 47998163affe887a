"""One training step by hand: every number between the inputs and the new weights, with the formula it comes from."""
