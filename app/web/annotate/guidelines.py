"""A project's guidelines, Markdown by whoever runs it, as HTML that does nothing and loads nothing.

Knows nothing of projects.
"""

from __future__ import annotations

from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from app.web.escaping import escape, safe_link
from app.web.languages import say


def _link(
    renderer: RendererHTML, tokens: Sequence[Token], place: int, options: OptionsDict, env: EnvType
) -> str:
    tokens[place].attrSet("target", "_blank")
    tokens[place].attrSet("rel", "noopener noreferrer nofollow")
    return renderer.renderToken(tokens, place, options, env)


def _heading(
    renderer: RendererHTML, tokens: Sequence[Token], place: int, options: OptionsDict, env: EnvType
) -> str:
    """They stand below the page's own, of two levels."""
    tokens[place].tag = f"h{min(6, int(tokens[place].tag[1]) + 2)}"
    return renderer.renderToken(tokens, place, options, env)


def _picture(
    renderer: RendererHTML, tokens: Sequence[Token], place: int, options: OptionsDict, env: EnvType
) -> str:
    """A link to it: a picture would be loaded from elsewhere by everybody who looks."""
    address = escape(str(tokens[place].attrGet("src") or ""))
    called = escape(tokens[place].content) or address
    said = say("page.picture", name=called)
    return f'<a href="{address}" target="_blank" rel="noopener noreferrer nofollow">{said}</a>'


# Tags in the text are text.
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
_MARKDOWN.add_render_rule("image", _picture)
_MARKDOWN.add_render_rule("link_open", _link)
_MARKDOWN.add_render_rule("heading_open", _heading)
_MARKDOWN.add_render_rule("heading_close", _heading)
_MARKDOWN.validateLink = lambda address: safe_link(address) is not None


def guidelines_html(markdown: str) -> str:
    return _MARKDOWN.render(markdown)
