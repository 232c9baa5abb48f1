"""XML files, read without document types and entities."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from .textfiles import read_text


def elements(path: Path, kind: str) -> Iterator[ET.Element]:
    """The elements of an XML file, inner ones first.

    Args:
        path: the file.
        kind: what it should be, for messages, such as "GPX".

    Raises:
        ValueError: the XML is broken, or declares a document type or entities.
    """
    text, _ = read_text(path)
    forbidden = re.search(r"<!(DOCTYPE|ENTITY)", text, re.IGNORECASE)
    if forbidden:
        raise ValueError(
            f"contains {forbidden[0]}. {kind} files need none, and entities can exhaust the "
            "memory; remove it"
        )
    # The text is already decoded, so the encoding in the XML declaration no longer holds.
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text)
    content = _with_prefixes(text).encode()
    try:
        for _, element in ET.iterparse(io.BytesIO(content), events=("end",)):
            yield element
    except ET.ParseError as error:
        raise ValueError(
            f"not valid {kind}: {error}; is the file cut short?"
        ) from error


def _with_prefixes(text: str) -> str:
    """The text with a declaration of each prefix that has none, as some recorders write them."""
    declared = {"xml", "xmlns", *re.findall(r"\sxmlns:([\w.-]+)\s*=", text)}
    used = {
        *re.findall(r"</?([\w.-]+):", text),
        *re.findall(r"\s([\w.-]+):[\w.-]+\s*=\s*[\"']", text),
    }
    missing = sorted(used - declared)
    if not missing:
        return text
    more = "".join(f' xmlns:{prefix}="{prefix}"' for prefix in missing)
    return re.sub(r"<([A-Za-z_][^\s/>]*)", rf"<\1{more}", text, count=1)


def tag(element: ET.Element) -> str:
    """The name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def text_of(element: ET.Element, name: str) -> str | None:
    """The text of the first inner element of this name, None if there is none."""
    for inner in element.iter():
        if tag(inner) == name and inner is not element:
            return (inner.text or "").strip() or None
    return None
