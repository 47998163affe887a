"""Messages for placeholders of other tools (`${LR}`, `{{ lr }}`, `!include`), which nnzoo does not support."""

from __future__ import annotations

import re

_PLACEHOLDER = re.compile(
    r"""
    \$\{[^{}]*\}             # ${LR} and ${oc.env:LR} of shells, docker-compose and OmegaConf
    | \$\([^()]*\)           # $(LR)
    | \{\{.*?\}\}            # {{ lr }} of Jinja and Helm
    | <%.*?%>                # <%= lr %> of ERB
    | (?<![\w$])\$[A-Za-z_]\w* # $LR
    | %\(\w+\)[sdf]          # %(lr)s of ConfigParser
    """,
    re.VERBOSE,
)
_INCLUDING = {"include", "inc", "import", "load", "file", "extends", "merge"}
_FILLING = {"env", "env_var", "var", "getenv", "envvar", "format", "join", "ref", "secret"}


def found_placeholder(text: str) -> str | None:
    """Returns the first placeholder in a text, if any."""
    match = _PLACEHOLDER.search(text)
    return match.group() if match else None


def placeholder_in_path(path: str) -> str | None:
    """Returns the first placeholder in a path, if any. A bare `$NAME` counts only as a complete path component."""
    found = found_placeholder(path)
    return None if found and found[1].isalpha() and found not in path.split("/") else found


def placeholder_message(placeholder: str, key: str = "KEY") -> str:
    """Returns the error message for a placeholder.

    Args:
        placeholder: The placeholder as written.
        key: The dotted config key whose value contains it.
    """
    return (
        f"placeholders such as {placeholder} are not supported. Write the value, and override it on the command line: "
        f"`nnzoo train CONFIG {key}=VALUE`. To share values between configs, use `extends: base.yaml`."
    )


def tag_message(tag: str) -> str:
    """Returns the error message for a YAML tag."""
    word = re.split(r"[!:/.]", tag)[-1].lower()
    if word in _INCLUDING:
        return f"the tag {tag} is not allowed. To start from another config, use `extends: base.yaml` at the top level."
    if word in _FILLING:
        return (
            f"the tag {tag} is not allowed. Write the value, and override it on the command line: "
            "`nnzoo train CONFIG KEY=VALUE`."
        )
    return f"the tag {tag} is not allowed. Write the plain value."
