"""Checks the LaTeX of a trace where there is no TeX: braces, environments, scripts, commands and special characters."""

from __future__ import annotations

import re

TEXT_COMMANDS = frozenset(
    (
        *("documentclass", "usepackage", "allowdisplaybreaks", "setlength", "parindent", "section", "subsection"),
        *("paragraph", "textbackslash", "textasciitilde", "textasciicircum", "textless", "textgreater", "textbar"),
        *("textquotedbl", "begin", "end"),
    )
)
MATH_COMMANDS = frozenset(
    (
        *("frac", "partial", "cdot", "sqrt", "hat", "mathrm", "operatorname", "text", "bigl", "bigr", "quad", "infty"),
        *("exp", "log", "tanh", "max", "min", "alpha", "beta", "gamma", "delta", "mu", "rho", "epsilon"),
    )
)
TOKEN = re.compile(r"\\(?P<command>[A-Za-z]+)|\\(?P<escaped>.)|(?P<special>[{}^_&$%#~])", re.DOTALL)
NEEDED = {"frac": 2, "sqrt": 1, "hat": 1, "mathrm": 1, "operatorname": 1, "text": 1}


def problems_of(document: str) -> list[str]:
    """Returns what LaTeX would stumble over in a document; empty for a good one."""
    problems = []
    environments: list[str] = []
    if not re.search(r"\\begin\{document\}.*\\end\{document\}\s*\Z", document, re.DOTALL):
        problems.append("there is no document")
    problems += [f"{name} is not a package of every TeX" for name in _packages(document)]
    for kind, name in re.findall(r"\\(begin|end)\{(.*?)\}", document):
        if kind == "begin":
            environments.append(name)
        elif not environments or environments.pop() != name:
            problems.append(f"{name} ends, but did not begin")
    problems += [f"{name} does not end" for name in environments]
    body = document.partition(r"\begin{document}")[2]
    pieces = re.split(r"\\begin\{align\*\}\n(.*?)\n\\end\{align\*\}", body, flags=re.DOTALL)
    for place, piece in enumerate(pieces):
        if place % 2:
            problems += [f"{problem}: {row}" for row in piece.split(" \\\\\n") for problem in _math(row)]
        else:
            problems += [f"{problem}: {line}" for line in piece.splitlines() for problem in _text(line)]
    problems += [f"{each!r} is not in the fonts" for each in sorted(set(re.sub(r"[ -~\n\u00c0-\u017f]", "", body)))]
    return problems


def _packages(document: str) -> list[str]:
    found = re.findall(r"\\usepackage(?:\[.*?\])?\{(.*?)\}", document)
    return sorted(set(found) - {"fontenc", "inputenc", "amsmath", "geometry"})


def _balance(tokens: list[re.Match[str]]) -> list[str]:
    depth = 0
    for token in tokens:
        depth += {"{": 1, "}": -1}.get(token["special"], 0)
        if depth < 0:
            return ["a brace closes too much"]
    return ["a brace is open"] if depth else []


def _text(line: str) -> list[str]:
    tokens = list(TOKEN.finditer(line))
    commands = {token["command"] for token in tokens if token["command"]}
    problems = [*_balance(tokens), *(f"\\{name} is not known" for name in sorted(commands - TEXT_COMMANDS))]
    is_table = re.fullmatch(r"[^&]* & [^&]* & [^&]*", line)
    allowed = set("{}&$") if is_table else set("{}")
    return problems + [f"{t['special']} is not escaped" for t in tokens if t["special"] and t["special"] not in allowed]


def _math(row: str) -> list[str]:
    words = re.findall(r"\\text\{((?:\\.|[^{}\\]|\{\})*)\}", row)
    problems = [problem for each in words for problem in _text(each.replace("{}", " "))]
    row = re.sub(r"\\text\{((?:\\.|[^{}\\]|\{\})*)\}", r"\\text{}", row)
    tokens = list(TOKEN.finditer(row))
    problems += _balance(tokens)
    commands = {token["command"] for token in tokens if token["command"]}
    problems += [f"\\{name} is not known" for name in sorted(commands - MATH_COMMANDS)]
    problems += [f"{t['special']} is not escaped" for t in tokens if t["special"] in ("$", "%", "#", "~")]
    if len(re.findall(r"(?<!\\)&", row)) not in (1, 3):
        problems.append("a line of an equation has one mark of alignment, and two more before a remark")
    if len(re.findall(r"\\bigl\(", row)) + len(re.findall(r"\\bigr\)", row)) != len(re.findall(r"\\big", row)):
        problems.append("a size is not before a parenthesis")
    return problems + _arguments(row)


def _arguments(row: str) -> list[str]:
    """Returns the commands without their arguments, and bases with two superscripts or subscripts."""
    problems = []
    for name, count in NEEDED.items():
        for found in re.finditer(rf"\\{name}(?![A-Za-z])", row):
            place = found.end()
            for _ in range(count):
                if row[place : place + 1] != "{":
                    problems.append(f"\\{name} needs {count} arguments")
                    break
                place = _end_of_group(row, place)
    for found in re.finditer(r"(?<!\\)[\^_]", row):
        if row[found.end() : found.end() + 1] != "{":
            problems.append("a script is not in braces")
            continue
        following = row[_end_of_group(row, found.end()) :]
        if following.startswith(found[0]) or (found[0] == "^" and following.startswith(("'", "_"))):
            problems.append("a double script")
    return problems


def _end_of_group(row: str, start: int) -> int:
    depth = 0
    for place in range(start, len(row)):
        depth += {"{": 1, "}": -1}.get(row[place], 0) if row[place - 1] != "\\" else 0
        if depth == 0:
            return place + 1
    return len(row)
