"""Configs for data as it comes: what a file or folder contains, and a config that fits it.

kinds (what is it?) -> facts (what is in it?) -> a `Suggestion`, with a reason for each choice -> commented YAML
"""
