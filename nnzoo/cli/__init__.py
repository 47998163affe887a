"""One file a command: parse, call, print. Nothing heavy is imported before a command needs it."""
