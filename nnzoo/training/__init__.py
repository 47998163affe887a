"""The training loop and its parts: functions on plain PyTorch objects."""
