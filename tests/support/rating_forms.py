"""The form of ratings on a page, as a browser would read and send it."""

import html
import re


def form_of(page: str) -> dict[str, str]:
    """What a browser would send of the form of ratings as it is, by its first button."""
    form = page[page.index('<form class="rating"') :]
    fields = {
        html.unescape(name): html.unescape(value)
        for name, value in re.findall(
            r'<input type="(?:hidden|radio)" name="([^"]*)" value="([^"]*)"(?: checked)?>', form
        )
        if f'name="{name}" value="{value}" checked>' in form or 'type="hidden" name="' + name in form
    }
    notes = re.findall(r'<textarea name="([^"]*)"[^>]*>(.*?)</textarea>', form, re.S)
    go = re.search(r'<button name="go" value="([^"]*)"', form)
    assert go
    return fields | {name: html.unescape(note) for name, note in notes} | {"go": html.unescape(go[1])}


def captions_of(page: str) -> dict[str, str]:
    """Legend to caption."""
    found = re.findall(r"<legend>(.*?)</legend>\s*<p [^>]*>(.*?)</p>", page, re.S)
    return {html.unescape(legend): html.unescape(caption).strip() for legend, caption in found}
