// What the file of a look says of itself, as files/marking.py and files/metadata.py write it: source type, history, what it
// was made of, and the recipe, in XMP; time and software in EXIF.

import { joined, sha256, struct, utf8 } from "./bytes.js";

const NAMESPACES = {
  cameraNano: "urn:camera-nano:look:1.0/",
  iptcExt: "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
  stEvt: "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
  stRef: "http://ns.adobe.com/xap/1.0/sType/ResourceRef#",
  xmp: "http://ns.adobe.com/xap/1.0/",
  xmpMM: "http://ns.adobe.com/xap/1.0/mm/",
};
const SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/";
const [ASCII, SHORT, LONG, UNDEFINED] = [2, 3, 4, 7]; // kinds of values in EXIF (CIPA DC-008, 4.6.2)

/**
 * How a look is made, as `Recipe.as_dict` of recipe.py.
 * @typedef {object} Recipe
 * @property {{ name: string } & Record<string, number | string>} look name and controls
 * @property {number} strength 0..1
 * @property {number} n_steps
 * @property {string} format
 * @property {string} model engine and digest of its weights; empty where no model made the look
 * @property {number} seed
 * @property {boolean} is_live
 * @property {string} assume
 * @property {string} [aspect] what the look was cut to, "4:3"
 * @property {string} [photo] SHA-256, hex, of the samples of the photo
 */

/**
 * The marks of a look, as elements of RDF.
 * @param {Recipe} recipe
 * @param {{ origin: string, samples: Uint8Array<ArrayBuffer>, exif: Uint8Array, software: string }} file `origin` is the
 *   name of the photo's file, `samples` are some of its pixels, see `samplesOf`
 */
export async function marks(recipe, { origin, samples, exif, software }) {
  const { look, strength, seed, n_steps, model } = recipe;
  const done = `look ${look.name}, strength ${Number(strength.toPrecision(6))}, seed ${seed}, ${n_steps} steps, model ${model || "none"}, of ${origin}`;
  const name = await sha256(joined(sorted(recipe), origin, exif, samples));
  const [document, instance] = [`xmp.did:${await uuid(`did${name}`)}`, `xmp.iid:${await uuid(`iid${name}`)}`];
  const event = { action: "edited", parameters: done, softwareAgent: software, instanceID: instance };
  const properties = [
    sourceType(recipe),
    element("cameraNano:recipe", text(sorted({ ...recipe, photo: await sha256(samples) }))),
    structure("xmpMM:DerivedFrom", element("stRef:filePath", text(origin))),
    element("xmpMM:History", element("rdf:Seq", structure("rdf:li", elements("stEvt", event)))),
    elements("xmpMM", { InstanceID: instance, DocumentID: document, OriginalDocumentID: document }),
    elements("xmp", { CreatorTool: software }),
  ];
  const names = Object.entries(NAMESPACES).map(([prefix, uri]) => ` xmlns:${prefix}="${uri}"`);
  return `<rdf:Description rdf:about=""${names.join("")}>${properties.join("")}</rdf:Description>`;
}

/**
 * An EXIF block, from its byte order mark on.
 * @param {{ at: Date, camera: string, software: string }} of `at` is when the exposure began
 */
export function exifOf({ at, camera, software }) {
  const moment = localTime(at).replace(/^(....)(..)(..)-(..)(..)(..)-.*/, "$1:$2:$3 $4:$5:$6");
  const ms = localTime(at).slice(-3);
  const away = -at.getTimezoneOffset();
  const zone = `${away < 0 ? "-" : "+"}${two(Math.floor(Math.abs(away) / 60))}:${two(Math.abs(away) % 60)}`;
  /** @type {Tag[]} */
  const photo = [[0x9000, UNDEFINED, utf8("0232")]];
  for (const [tag, value] of /** @type {const} */ ([[0x9003, moment], [0x9004, moment], [0x9011, zone], [0x9012, zone], [0x9291, ms], [0x9292, ms]])) {
    photo.push([tag, ASCII, utf8(`${value}\0`)]);
  }
  /** @type {(photoAt: number) => Tag[]} */
  const image = (photoAt) => [
    [0x0110, ASCII, utf8(`${plain(camera)}\0`)],
    [0x0112, SHORT, struct("H", 1)], // upright
    [0x0131, ASCII, utf8(`${software}\0`)],
    [0x0132, ASCII, utf8(`${moment}\0`)],
    [0x8769, LONG, struct("I", photoAt)],
  ];
  const start = 8;
  const photoAt = start + directory(image(0), start).length;
  return joined("MM\0*", struct("I", start), directory(image(photoAt), start), directory(photo, photoAt));
}

/**
 * Time in the zone of this device, as names of shots have it: 20260131-235959-123.
 * @param {Date} at
 */
export function localTime(at) {
  const day = `${String(at.getFullYear()).padStart(4, "0")}${two(at.getMonth() + 1)}${two(at.getDate())}`;
  const second = two(at.getHours()) + two(at.getMinutes()) + two(at.getSeconds());
  return `${day}-${second}-${String(at.getMilliseconds()).padStart(3, "0")}`;
}

const two = (/** @type {number} */ value) => String(value).padStart(2, "0");

/** @typedef {[tag: number, kind: number, value: Uint8Array]} Tag */

/**
 * A directory of EXIF with the values that do not fit into it behind (TIFF 6.0, section 2).
 * @param {Tag[]} tags in the order of their numbers
 * @param {number} at where it lies in the block
 */
function directory(tags, at) {
  const tableBytes = 2 + 12 * tags.length + 4;
  let behind = new Uint8Array();
  const rows = tags.map(([tag, kind, value]) => {
    const count = value.length / (kind === SHORT ? 2 : kind === LONG ? 4 : 1);
    const place = value.length > 4 ? struct("I", at + tableBytes + behind.length) : joined(value, new Uint8Array(4 - value.length));
    if (value.length > 4) behind = joined(behind, value, new Uint8Array(value.length % 2));
    return joined(struct("HHI", tag, kind, count), place);
  });
  return joined(struct("H", tags.length), ...rows, struct("I", 0), behind);
}

/** @param {Recipe} recipe */
function sourceType({ strength, model }) {
  const type = model ? "compositeWithTrainedAlgorithmicMedia" : "algorithmicallyEnhanced";
  return strength > 0 ? element("iptcExt:DigitalSourceType", SOURCE_TYPES + type) : "";
}

/**
 * JSON with the keys of all objects in order.
 * @param {object} values
 */
function sorted(values) {
  return JSON.stringify(values, (_, value) =>
    value && typeof value === "object" ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value,
  );
}

/**
 * A UUID of version 8 (RFC 9562, 5.8), the same for the same text.
 * @param {string} from
 */
async function uuid(from) {
  const hex = await sha256(utf8(from));
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/**
 * Text with "?" for each character that XML cannot hold (XML 1.0, 2.2).
 * @param {string} value
 */
const plain = (value) => value.replace(/[^\t\n\r -\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, "?");

/** @param {string} value */
const text = (value) => plain(value).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("\r", "&#13;");

/**
 * @param {string} name
 * @param {string} inside
 */
const element = (name, inside) => `<${name}>${inside}</${name}>`;

/**
 * @param {string} name
 * @param {string} inside
 */
const structure = (name, inside) => `<${name} rdf:parseType="Resource">${inside}</${name}>`;

/**
 * @param {string} prefix
 * @param {Record<string, string>} values
 */
const elements = (prefix, values) => Object.entries(values).map(([name, value]) => element(`${prefix}:${name}`, text(value))).join("");
