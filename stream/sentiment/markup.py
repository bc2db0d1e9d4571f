"""Text out of HTML, by the standard library's parser."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser

_LOOKS_LIKE_HTML = re.compile(
    r"<(?:/?(?:p|br|div|span|a|b|i|u|em|strong|ul|ol|li|h[1-6]|table|tr|td|th|img|html|head|body"
    r"|script|style|font|blockquote|section|article|figure|hr|pre|sup|sub)\b[^<>]*>|!--|!doctype)",
    re.IGNORECASE,
)
_TAG = re.compile(r"<[^<>]*>")
_SILENT = frozenset({"script", "style", "title", "template", "noscript", "svg"})
_BLOCKS = (
    "p br div ul ol li h1 h2 h3 h4 h5 h6 table tr td th blockquote section article figure "
    "figcaption hr pre header footer"
)
_BREAKS = frozenset(_BLOCKS.split())


def plain(text: str) -> str:
    """The text of a piece of HTML, empty lines between blocks; without a known tag, its entities.

    Markup that was escaped once, as feeds often do, is taken out too.

    Examples
    --------
    >>> plain("<p>AT&amp;T &lt; Verizon</p><script>x()</script><p>P/E < 10</p>").split()
    ['AT&T', '<', 'Verizon', 'P/E', '<', '10']
    """
    for _ in range(2):
        if _LOOKS_LIKE_HTML.search(text) is None:
            return unescape(text)
        text = _strip(text)
    return text


def _strip(text: str) -> str:
    parser = _Text()
    try:
        parser.feed(text)
        parser.close()
    except AssertionError:  # how the parser refuses some declarations that never end
        return _TAG.sub("\n\n", text)
    return "".join(parser.found)


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._silent = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "body":
            self._silent = ""
        elif not self._silent and tag in _SILENT:
            self._silent = tag
        elif tag in _BREAKS:
            self.found.append("\n\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._silent:
            self._silent = ""
        elif tag in _BREAKS:
            self.found.append("\n\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.found.append(data)
