"""Text of strangers, as a terminal may get it."""

import unicodedata

JOINERS = "\u200c\u200d"  # part of words in Persian and Hindi, and of emoji


def printable(text: str, keep: str = "") -> str:
    r"""Text as a terminal may get it: whatever would steer it is escaped, as `\x1b`.

    Names and labels come from files of strangers. Escaped are control characters (colors, titles,
    the clipboard), line breaks, marks that reverse the direction of text, and halves of characters
    that no encoding has.

    Args:
        text: any text.
        keep: characters to leave, such as a line break.

    >>> print(printable("a\x1b[31mb\nc"))
    a\x1b[31mb\nc
    """
    if text.isprintable():
        return text
    return "".join(
        _escaped(char) if _steers(char) and char not in keep else char for char in text
    )


def _steers(char: str) -> bool:
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return unicodedata.category(char) in kinds and char not in JOINERS


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
