"""XMP packets (ISO 16684-1): their properties read, set and dropped in the RDF that a file has, and written again.

Properties have names such as "Xmp.dc.title", "Xmp.xmpMM.History[1]/stEvt:action" or "Xmp.mwg-rs.Regions/mwg-rs:Name".
What a program does not know stays. Documents that declare entities are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from xml.etree import ElementTree as ET

_RDF, _XML = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}", "{http://www.w3.org/XML/1998/namespace}"
_NAMESPACES = {  # whatever prefixes a file uses, names have these
    "rdf": _RDF[1:-1],
    "Container": "http://ns.google.com/photos/1.0/container/",
    "GCamera": "http://ns.google.com/photos/1.0/camera/",
    "HDRGainMap": "http://ns.apple.com/HDRGainMap/1.0/",
    "MP": "http://ns.microsoft.com/photo/1.2/",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
    "apdi": "http://ns.apple.com/pixeldatainfo/1.0/",
    "cameraNano": "urn:camera-nano:look:1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "hdrgm": "http://ns.adobe.com/hdr-gain-map/1.0/",
    "iptcExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "stArea": "http://ns.adobe.com/xmp/sType/Area#",
    "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    "stEvt": "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
    "stRef": "http://ns.adobe.com/xap/1.0/sType/ResourceRef#",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "xmpNote": "http://ns.adobe.com/xmp/note/",
}
_DESCRIPTION, _ITEM, _VALUE, _RESOURCE = (_RDF + name for name in ("Description", "li", "value", "resource"))
_ARRAYS = tuple(_RDF + name for name in ("Seq", "Bag", "Alt"))
_IS_STRUCTURE = (_RDF + "parseType", "Resource")
_DEEPEST, _LONGEST = 60, 8 << 20  # levels, characters
_STEP = re.compile(r"([\w-]+):([\w-]+)(?:\[(\d+)\])?")
_NOT_XML = re.compile(r"[^\t\n\r -\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")
_PACKET = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{}<?xpacket end="w"?>'


def plain(text: str) -> str:
    """The text with "?" for each character that XML cannot hold (XML 1.0, 2.2): names may contain any character."""
    return _NOT_XML.sub("?", text)


def _quoted(text: str) -> str:
    return '"' + escape(text).translate({ord(c): f"&#{ord(c)};" for c in "\t\n\r"}) + '"'


class _Builder(ET.TreeBuilder):
    """Refuses what would cost much, and notes the prefixes."""

    def __init__(self) -> None:
        super().__init__()
        self.prefixes: dict[str, str] = {}
        self._depth = 0

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError("it declares a document type")

    def start_ns(self, prefix: str, uri: str) -> None:
        self.prefixes.setdefault(uri, prefix)

    def start(self, tag: str, attrs: dict[str, str]) -> ET.Element:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError("it is nested too deeply")
        return super().start(tag, attrs)

    def end(self, tag: str) -> ET.Element:
        self._depth -= 1
        return super().end(tag)


@dataclass(frozen=True, slots=True)
class _Property:
    name: str
    parent: ET.Element
    node: ET.Element | None  # None where it is an attribute of its parent
    attribute: str
    text: str | None  # None if it has parts

    def remove(self) -> None:
        if self.node is None:
            self.parent.attrib.pop(self.attribute, None)
        elif self.node in self.parent:
            self.parent.remove(self.node)


class Properties:
    """The properties of a packet, to be edited."""

    def __init__(self, packet: bytes = b"") -> None:
        """Raises ValueError for a packet that is not XML in UTF-8, declares entities, or is too long or too deep."""
        builder = _Builder()
        text = packet.decode().strip("\ufeff\0 \t\r\n")
        if len(text) > _LONGEST:
            raise ValueError(f"it is longer than {_LONGEST >> 20} million characters")
        parser = ET.XMLParser(target=builder)
        try:
            if text:
                parser.feed(text)
            root = parser.close() if text else ET.Element("none")
        except ET.ParseError as error:
            raise ValueError(str(error)) from error
        self._rdf = next(root.iter(_RDF + "RDF"), ET.Element(_RDF + "RDF"))
        self._prefixes = {uri: prefix for prefix, uri in _NAMESPACES.items()}
        self._file_prefixes = builder.prefixes
        self._found: dict[str, _Property] | None = None

    def texts(self) -> dict[str, str]:
        """Every property that has no parts as text, by name; the texts of a list are joined by commas."""
        return {name: found.text for name, found in self._index().items() if found.text is not None}

    def __setitem__(self, name: str, text: str) -> None:
        """Set a property, which is made with all that is above it; a new list is an ordered one."""
        if _NOT_XML.search(text):
            raise ValueError(f"XML cannot hold the text of {name}")
        found = self._index().get(name)
        if found and found.node is None:
            found.parent.set(found.attribute, text)
            return
        node = found.node if found and found.node is not None else self._made(name)
        node.clear()
        node.text, self._found = text, None

    def drop(self, names: re.Pattern[str]) -> None:
        """Drop every property whose name matches, and its parts with it."""
        for found in list(self._all()):
            if names.search(found.name):
                found.remove()
        self._found = None

    def packet(self) -> bytes | None:
        """The packet; None if there are no properties."""
        if not self._index():
            return None
        used = {
            key[1:].partition("}")[0] for node in self._rdf.iter() for key in (node.tag, *node.attrib) if key[0] == "{"
        }
        declared = "".join(f" xmlns:{self._prefix(uri)}={_quoted(uri)}" for uri in sorted(used - {_XML[1:-1]}))
        rdf = self._written(self._rdf, declared)
        return _PACKET.format(f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{rdf}</x:xmpmeta>').encode()

    def _written(self, node: ET.Element, declared: str = "") -> str:
        """Text is written for what has no parts only: around them it would have no meaning."""
        tag = self._key(node.tag)
        attributes = declared + "".join(f" {self._key(key)}={_quoted(text)}" for key, text in node.attrib.items())
        inside = (
            "".join(self._written(child) for child in node)
            if len(node)
            else escape(node.text or "", quote=False).replace("\r", "&#13;")
        )
        return f"<{tag}{attributes}>{inside}</{tag}>" if inside else f"<{tag}{attributes}/>"

    def _prefix(self, uri: str) -> str:
        if uri not in self._prefixes:
            prefix = self._file_prefixes.get(uri) or "ns"
            taken, number = set(self._prefixes.values()) | {"x", "xml"}, ""
            while f"{prefix}{number}" in taken:
                number = str(int(number or 0) + 1)
            self._prefixes[uri] = f"{prefix}{number}"
        return self._prefixes[uri]

    def _key(self, name: str) -> str:
        uri, _, local = name[1:].partition("}")
        if name[0] != "{":
            return name
        return f"xml:{local}" if name.startswith(_XML) else f"{self._prefix(uri)}:{local}"

    def _index(self) -> dict[str, _Property]:
        if self._found is None:
            self._found = {}
            for found in self._all():
                self._found.setdefault(found.name, found)
        return self._found

    def _all(self) -> Iterator[_Property]:
        for node in self._rdf:
            yield from self._parts(node, "")

    def _parts(self, node: ET.Element, above: str) -> Iterator[_Property]:
        """The properties in a description or structure."""

        def name(key: str) -> str:
            return f"{above}/{self._key(key)}" if above else "Xmp." + self._key(key).replace(":", ".", 1)

        for key, text in node.attrib.items():
            if key.startswith("{") and not key.startswith((_RDF, _XML)):
                yield _Property(name(key), node, None, key, text)
        for child in node:
            if child.tag != _VALUE:
                yield from self._of(child, node, name(child.tag))

    def _of(self, node: ET.Element, parent: ET.Element, name: str) -> Iterator[_Property]:
        inner = self._inner(node)
        if inner.tag in _ARRAYS:
            parts = [part for k, item in enumerate(inner, 1) for part in self._of(item, inner, f"{name}[{k}]")]
            texts = [part.text for part in parts if part.text is not None]
            text = ", ".join(texts) if len(texts) == len(parts) == len(inner) else None
            parts = parts if text is None else []
        else:
            parts = list(self._parts(inner, name))
            text = inner.get(_VALUE) or inner.findtext(_VALUE)
            if text is None and not parts and not len(node):
                text = node.get(_RESOURCE) or node.text or ""
        yield _Property(name, parent, node, "", text)
        yield from parts

    def _inner(self, node: ET.Element) -> ET.Element:
        """What holds the parts of a property: its list or description, or itself."""
        is_wrapped = len(node) == 1 and node.get(_IS_STRUCTURE[0]) is None and node[0].tag in (_DESCRIPTION, *_ARRAYS)
        return node[0] if is_wrapped else node

    def _made(self, name: str) -> ET.Element:
        if not len(self._rdf):
            ET.SubElement(self._rdf, _DESCRIPTION, {_RDF + "about": ""})
        node = self._rdf[0]
        for step in name.removeprefix("Xmp.").replace(".", ":", 1).split("/"):
            node = self._structure(node)
            found = _STEP.fullmatch(step)
            if not found:
                raise ValueError(f"{name} is no name of a property")
            tag = f"{{{_NAMESPACES[found[1]]}}}{found[2]}"
            child = node.find(tag)
            node = ET.SubElement(node, tag) if child is None else child
            if found[3]:
                node = self._item(node, int(found[3]))
        return node

    def _structure(self, node: ET.Element) -> ET.Element:
        if node in list(self._rdf):
            return node
        inner = self._inner(node)
        if inner is node:
            node.set(*_IS_STRUCTURE)
            node.text = None
        return inner

    def _item(self, node: ET.Element, number: int) -> ET.Element:
        array = self._inner(node)
        array = ET.SubElement(node, _ARRAYS[0]) if array is node else array
        while len(array) < number:
            ET.SubElement(array, _ITEM)
        return array[number - 1]
