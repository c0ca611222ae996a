"""XMP packets (ISO 16684-1): read strictly, and given properties without touching the others."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from xml.etree import ElementTree

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
NAMESPACES = {
    "x": "adobe:ns:meta/",
    "rdf": RDF,
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "stEvt": "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
    "stRef": "http://ns.adobe.com/xap/1.0/sType/ResourceRef#",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "cameraNano": "urn:camera-nano:look:1.0",
}
_DESCRIPTION = f"{{{RDF}}}Description"
_LARGEST_BYTES = 50_000  # with its header inside one JPEG segment, with room for a gain map's directory


def name(qualified: str) -> str:
    """`xmp:CreatorTool` -> as ElementTree writes it."""
    prefix, _, local = qualified.partition(":")
    return f"{{{NAMESPACES[prefix]}}}{local}"


def parse_xmp(packet: bytes) -> ElementTree.Element:
    """The tree of an XMP packet. Raises ValueError where it is broken, or defines entities, which may never end."""
    if b"<!DOCTYPE" in packet:
        raise ValueError("XMP with a document type: no camera writes that")
    try:
        return ElementTree.fromstring(packet.strip(b"\0 \r\n\t"))
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the latter two: its encoding
        raise ValueError(f"XMP is broken ({error})") from error


def get(root: ElementTree.Element, qualified: str) -> str | None:
    """A simple property, written either way; None where it is not there."""
    key = name(qualified)
    for node in root.iter():
        if key in node.attrib:
            return node.attrib[key]
        if node.tag == key:
            return (node.text or "").strip()
    return None


def with_properties(
    packet: bytes | None, simple: Mapping[str, str], event: Mapping[str, str], drop: Iterable[re.Pattern[str]] = ()
) -> bytes:
    """A packet with simple properties set, an event at the end of its history, and properties that match dropped.

    A packet that is broken, or would be too large for a JPEG, gives way to a new one.
    """
    try:
        root = parse_xmp(packet) if packet else None
    except ValueError:
        root = None
    rdf = None if root is None else root if root.tag == f"{{{RDF}}}RDF" else root.find(f".//{{{RDF}}}RDF")
    if root is None or rdf is None:
        root = ElementTree.Element(name("x:xmpmeta"))
        rdf = ElementTree.SubElement(root, f"{{{RDF}}}RDF")
    without(rdf, [re.compile(re.escape(name(key)) + "$") for key in simple])
    without(rdf, drop)
    ours = ElementTree.SubElement(rdf, _DESCRIPTION, {f"{{{RDF}}}about": ""})
    for key, value in simple.items():
        ours.set(name(key), value)
    if event:
        _add_event(rdf, ours, event)
    data = with_root(root, packet)
    return data if len(data) <= _LARGEST_BYTES or packet is None else with_properties(None, simple, event)


def with_root(root: ElementTree.Element, packet: bytes | None) -> bytes:
    """The packet of a tree; `packet` is the one it was read from, whose prefixes are kept."""
    for prefix, uri in (*_prefixes(packet or b""), *NAMESPACES.items()):
        ElementTree.register_namespace(prefix, uri)
    head = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'  # ISO 16684-1, 7.3.2
    return head + ElementTree.tostring(root) + b'<?xpacket end="w"?>'


def without(rdf: ElementTree.Element, drop: Iterable[re.Pattern[str]]) -> None:
    """Remove every property whose name matches, wherever it is."""
    patterns = list(drop)
    for node in list(rdf.iter()):
        for key in [key for key in node.attrib if any(pattern.match(key) for pattern in patterns)]:
            del node.attrib[key]
        for child in [child for child in node if any(pattern.match(child.tag) for pattern in patterns)]:
            node.remove(child)


def _add_event(rdf: ElementTree.Element, ours: ElementTree.Element, event: Mapping[str, str]) -> None:
    history = rdf.find(f".//{name('xmpMM:History')}")
    if history is None:
        history = ElementTree.SubElement(ours, name("xmpMM:History"))
    events = history.find(f"{{{RDF}}}Seq")
    if events is None:
        events = ElementTree.SubElement(history, f"{{{RDF}}}Seq")
    item = ElementTree.SubElement(events, f"{{{RDF}}}li", {f"{{{RDF}}}parseType": "Resource"})
    for key, value in event.items():
        ElementTree.SubElement(item, name(f"stEvt:{key}")).text = value


def _prefixes(packet: bytes) -> list[tuple[str, str]]:
    """The prefixes that a packet uses; none for a broken one."""
    found = ElementTree.iterparse(io.BytesIO(packet.strip(b"\0 \r\n\t")), events=["start-ns"])
    try:
        pairs = [pair for _, pair in found]
    except ElementTree.ParseError:
        return []
    ours = {*NAMESPACES, *NAMESPACES.values()}
    return [
        (prefix, uri)
        for prefix, uri in pairs
        if prefix and not re.match(r"ns\d+$", prefix) and not {prefix, uri} & ours
    ]
