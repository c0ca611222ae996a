// JPEG files with metadata and a gain map (Ultra HDR), as files/ultrahdr.py and files/mpf.py write them: that is where
// the clauses of the standards are. The file is the JPEG of the base, then that of the map, with three labels: Google's and
// Adobe's XMP, the binary block of ISO 21496-1, and the index of pictures (MPF).

import { joined, struct, utf8 } from "./bytes.js";

const [APP0, APP1, APP2] = [0xe0, 0xe1, 0xe2];
const XMP = "http://ns.adobe.com/xap/1.0/\0";
const ISO = "urn:iso:std:iso:ts:21496:-1\0";
const HDRGM = "http://ns.adobe.com/hdr-gain-map/1.0/";
const ONE = 1 << 20; // denominator of fractions: a millionth of a stop
const INDEX_BYTES = 4 + 86; // of the segment for two pictures
const HEAD_BYTES = 1 << 16; // labels lie before

/**
 * A JPEG file of a picture, its metadata and its light above white.
 * @param {Uint8Array} base a JPEG file, whose own EXIF and XMP are left out
 * @param {{ exif: Uint8Array, xmp: string }} metadata EXIF from its byte order mark on; elements of RDF
 * @param {{ jpeg: Uint8Array, headroomEv: number } | null} map codes 0..255 are 0..headroomEv stops
 */
export function packed(base, { exif, xmp }, map) {
  const second = map && mapFile(map.jpeg, map.headroomEv);
  const [head, rest] = split(base);
  const start = joined(
    head,
    segment(APP1, joined("Exif\0\0", exif)),
    segment(APP1, utf8(XMP + packet(xmp + (second ? directory(second.length) : "")))),
  );
  if (!second) return joined(start, rest);
  const version = segment(APP2, joined(ISO, struct("I", 0))); // minimum and writer version, both 0
  const indexAt = start.length + version.length;
  const length = indexAt + INDEX_BYTES + rest.length;
  const offset = length - (indexAt + 8); // counts from behind "MPF\0"
  return joined(start, version, index(length, second.length, offset), rest, second);
}

/**
 * Whether a file made here has a gain map.
 * @param {Blob} file
 */
export async function hasGainMap(file) {
  const head = new TextDecoder("latin1").decode(await file.slice(0, HEAD_BYTES).arrayBuffer());
  return head.includes(ISO);
}

/**
 * @param {Uint8Array} jpeg
 * @param {number} headroomEv
 */
function mapFile(jpeg, headroomEv) {
  const [head, rest] = split(jpeg);
  return joined(head, segment(APP1, utf8(XMP + packet(hdrgm(headroomEv)))), segment(APP2, joined(ISO, iso(headroomEv))), rest);
}

/**
 * A JPEG file up to its JFIF segment, and the rest without EXIF and XMP, of which some browsers write their own.
 * @param {Uint8Array} jpeg
 */
function split(jpeg) {
  const size = (/** @type {number} */ at) => 2 + jpeg[at + 2] * 256 + jpeg[at + 3];
  const headEnd = jpeg[3] === APP0 ? 2 + size(2) : 2;
  const kept = [];
  let at = headEnd;
  while (jpeg[at] === 0xff && jpeg[at + 1] > APP0 && jpeg[at + 1] <= 0xef) {
    if (jpeg[at + 1] !== APP1) kept.push(jpeg.subarray(at, at + size(at)));
    at += size(at);
  }
  return [jpeg.subarray(0, headEnd), joined(...kept, jpeg.subarray(at))];
}

/**
 * @param {number} marker
 * @param {Uint8Array} content
 */
function segment(marker, content) {
  if (content.length > 0xfffd) throw new Error(`${content.length} bytes do not fit into one JPEG segment`);
  return joined(struct("BBH", 0xff, marker, content.length + 2), content);
}

/** @param {string} xml elements of RDF */
function packet(xml) {
  const rdf = `<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">${xml}</rdf:RDF>`;
  const meta = `<x:xmpmeta xmlns:x="adobe:ns:meta/">${rdf}</x:xmpmeta>`;
  return `<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>${meta}<?xpacket end="w"?>`;
}

/** @param {number} mapBytes */
function directory(mapBytes) {
  const item = (/** @type {string} */ what) =>
    `<rdf:li rdf:parseType="Resource"><Container:Item Item:Mime="image/jpeg" ${what}/></rdf:li>`;
  const items = item('Item:Semantic="Primary"') + item(`Item:Semantic="GainMap" Item:Length="${mapBytes}"`);
  const names = `xmlns:Container="http://ns.google.com/photos/1.0/container/" xmlns:Item="http://ns.google.com/photos/1.0/container/item/"`;
  const list = `<Container:Directory><rdf:Seq>${items}</rdf:Seq></Container:Directory>`;
  return `<rdf:Description rdf:about="" xmlns:hdrgm="${HDRGM}" ${names} hdrgm:Version="1.0">${list}</rdf:Description>`;
}

/** @param {number} headroomEv */
function hdrgm(headroomEv) {
  const values = {
    Version: "1.0",
    GainMapMin: "0.000000",
    GainMapMax: headroomEv.toFixed(6),
    Gamma: "1.000000",
    OffsetSDR: "0.000000",
    OffsetHDR: "0.000000",
    HDRCapacityMin: "0.000000",
    HDRCapacityMax: headroomEv.toFixed(6),
    BaseRenditionIsHDR: "False",
  };
  const written = Object.entries(values).map(([name, value]) => ` hdrgm:${name}="${value}"`);
  return `<rdf:Description rdf:about="" xmlns:hdrgm="${HDRGM}"${written.join("")}/>`;
}

/** @param {number} headroomEv */
function iso(headroomEv) {
  const usesBaseColours = 0x40;
  // headrooms of base and alternate; then, of all channels, least and most gain, gamma, two offsets
  const fractions = [0, headroomEv, 0, headroomEv, 1, 0, 0].flatMap((value) => [Math.round(value * ONE), ONE]);
  return joined(struct("HHB", 0, 0, usesBaseColours), struct("I".repeat(fractions.length), ...fractions));
}

/**
 * @param {number} baseBytes
 * @param {number} mapBytes
 * @param {number} mapOffset
 */
function index(baseBytes, mapBytes, mapOffset) {
  const [version, number, entries] = [0xb000, 0xb001, 0xb002];
  const tags = joined(
    joined(struct("HHI", version, 7, 4), "0100"), // undefined
    struct("HHII", number, 4, 1, 2), // long
    struct("HHII", entries, 7, 32, 50),
  );
  const pictures = struct("IIIIIIII", 0x030000, baseBytes, 0, 0, 0, mapBytes, mapOffset, 0); // a baseline primary picture
  return segment(APP2, joined("MPF\0MM\0*", struct("IH", 8, 3), tags, struct("I", 0), pictures));
}
