"""`nnzoo schema`: prints the JSON Schema of configs."""

from __future__ import annotations

import json

from nnzoo.cli.options import Debug, Json, Quiet, Verbose


def schema(
    as_json: Json = False,  # noqa: ARG001  # the output is always JSON
    quiet: Quiet = False,  # noqa: ARG001
    verbose: Verbose = False,  # noqa: ARG001
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Print the JSON Schema of the config file, for editors."""
    from nnzoo.config.describe import json_schema
    from nnzoo.config.explain import with_references

    print(json.dumps(with_references(json_schema()), indent=2))
