"""The loop and its parts: free functions over plain PyTorch objects."""
