"""Text out of HTML in one pass, whose time is linear whatever is left unclosed."""

from __future__ import annotations

import re
from html import unescape

_BLOCK = (
    r"p|br|div|ul|ol|li|h[1-6]|table|tr|td|th|blockquote|section|article|figure|figcaption|hr|pre|"
    r"header|footer|body|html"
)
_INLINE = r"span|a|b|i|u|em|strong|img|font|sub|sup|small|head|title|script|style"
_LOOKS_LIKE_HTML = re.compile(rf"<(?:/?(?:{_BLOCK}|{_INLINE})\b[^<>]*>|!--|!doctype)", re.I)
_MARKUP = re.compile(
    r"<!--.*?(?:-->|\Z)"
    r"|<(?P<silent>script|style|title|template|noscript|svg)\b.*?(?:</(?P=silent)[^<>]*>|\Z)"
    rf"|<(?P<block>/?(?:{_BLOCK})\b)(?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*>"
    r"|<[/!?a-z](?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*>"
    r"|<[/!?a-z][^<>]*>",
    re.I | re.S,
)


def plain(text: str) -> str:
    """The text of a piece of HTML, empty lines between blocks; without a known tag, its entities.

    Markup that was escaped once, as feeds often do, is taken out too.

    Examples
    --------
    >>> plain("<p>AT&amp;T &lt; Verizon</p><script>x()</script><p>P/E < 10</p>").split()
    ['AT&T', '<', 'Verizon', 'P/E', '<', '10']
    """
    once = unescape(_strip(text))
    return once if _LOOKS_LIKE_HTML.search(once) is None else unescape(_strip(once))


def _strip(text: str) -> str:
    if _LOOKS_LIKE_HTML.search(text) is None:
        return text
    return _MARKUP.sub(lambda m: "\n\n" if m["block"] else "", text)
