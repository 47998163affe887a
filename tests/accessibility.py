"""Checks the structure of a page for screen readers: headings, text alternatives, tables behind charts, labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset(("area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"))
CONTROLS = ("input", "select", "textarea", "button", "output", "meter", "progress")


@dataclass
class Element:
    """An element of a page with its text and the elements inside."""

    tag: str
    attributes: dict[str, str]
    inside: list[Element] = field(default_factory=list)
    text: str = ""

    def all(self, *tags: str) -> list[Element]:
        """Returns the elements inside with these tags, in the order of the page."""
        found: list[Element] = []
        for child in self.inside:
            found += [child] if not tags or child.tag in tags else []
            found += child.all(*tags)
        return found

    @property
    def whole_text(self) -> str:
        """The text of the element and of all inside."""
        return self.text + "".join(child.whole_text for child in self.inside)


class Page(HTMLParser):
    """Parses a page into elements."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.root = Element("", {})
        self._open = [self.root]
        self.feed(html)
        assert len(self._open) == 1, f"{self._open[-1].tag} is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens an element."""
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].inside.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Adds an element without content."""
        self._open[-1].inside.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        """Closes an element."""
        assert self._open[-1].tag == tag, f"{tag} closes {self._open[-1].tag}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        """Adds text."""
        self._open[-1].text += data


def problems_of(html: str) -> list[str]:
    """Returns what a screen reader would stumble over in a page of a run; empty for a good page."""
    page = Page(html).root
    every = page.all()
    ids = [each.attributes["id"] for each in every if "id" in each.attributes]
    problems = [f"the id {name} is repeated" for name in sorted({name for name in ids if ids.count(name) > 1})]
    if not any(each.tag == "html" and each.attributes.get("lang") for each in every):
        problems.append("the page has no language")
    level = 0
    for heading in page.all("h1", "h2", "h3", "h4"):
        if int(heading.tag[1]) > level + 1:
            problems.append(f"the heading {heading.whole_text} skips a level")
        level = int(heading.tag[1])
        if not heading.whole_text.strip():
            problems.append("a heading is empty")
    if len(page.all("h1")) != 1 or len(page.all("main")) != 1:
        problems.append("there is not exactly one h1 and one main")
    problems += [f"the image {each.attributes} has no alt" for each in page.all("img") if "alt" not in each.attributes]
    for svg in page.all("svg"):
        if svg.attributes.get("aria-hidden") != "true" and not _is_named(page, svg):
            problems.append(f"an svg has no text alternative: {svg.whole_text[:60]}")
    for figure in page.all("figure"):
        if not figure.all("table") and not any(each.attributes.get("role") == "img" for each in figure.all()):
            problems.append(f"a chart has no table: {figure.whole_text[:60]}")
    problems += [f"a table has no header: {each.whole_text[:60]}" for each in page.all("table") if not each.all("th")]
    for control in page.all(*CONTROLS):
        if not _is_labelled(page, control):
            problems.append(f"a control has no label: {control.tag} {control.attributes}")
    for link in page.all("a"):
        target = link.attributes["href"]
        if not (link.whole_text.strip() or link.attributes.get("aria-label")):
            problems.append(f"the link to {target} has no text")
        if target.startswith("#") and target[1:] not in ids:
            problems.append(f"the link to {target} leads nowhere")
    for each in every:
        names = " ".join(each.attributes.get(key, "") for key in ("aria-labelledby", "aria-describedby", "for")).split()
        problems += [f"{each.tag} refers to {name}, which does not exist" for name in names if name not in ids]
    return problems


def _is_named(page: Element, svg: Element) -> bool:
    """Whether an svg, or the element around it, has a role and a text alternative."""
    around = [each for each in page.all() if svg is each or svg in each.all("svg")]
    return any(
        each.attributes.get("role") in ("img", "group") and each.attributes.get("aria-label", "").strip()
        for each in around
    )


def _is_labelled(page: Element, control: Element) -> bool:
    """Whether a control has a label: its own text, an attribute, or a label element."""
    attributes = control.attributes
    if control.tag in ("button", "output") or attributes.get("type") == "hidden":
        return bool(control.whole_text.strip() or attributes.get("aria-label") or control.tag == "output")
    if attributes.get("aria-label", "").strip() or attributes.get("aria-labelledby"):
        return True
    for label in page.all("label"):
        if control in label.all(control.tag) or (
            attributes.get("id") and label.attributes.get("for") == attributes["id"]
        ):
            return bool(label.whole_text.strip())
    return False
