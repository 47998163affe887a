"""User texts: files -> texts with labels -> tokens of the vocabulary of the training texts."""
