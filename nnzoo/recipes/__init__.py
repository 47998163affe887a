"""The measured results of the shipped configs, and how they are measured again."""
