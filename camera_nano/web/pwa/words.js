// Words for light, from the package's vocabulary, to a look: looks/words.py, whose doc strings say more. A word that is not
// in the vocabulary is refused, not guessed, and the result says what every word did.

import { constants } from "./constants.js";

/**
 * @import { Controls } from "./constants.js"
 *
 * @typedef {"look" | "change" | "noun" | "direction" | "degree" | "number" | "between"} Kind
 * @typedef {{ kind: Kind, words: string, change: Controls, amount: number, unit: string }} Item a phrase of the text
 * @typedef {[words: string, effect: string]} Part
 * @typedef {{ name: string, controls: Controls, parts: Part[] }} Understood
 */

const { ranges, words: vocabulary } = constants;
const NAME_LENGTH = 48;
const NO_DIRECTION = "left out: this model changes the colour and strength of light, not its direction";
/** @type {Record<string, string>} */
const UNITS = { ev: "EV", stop: "EV", stops: "EV", "%": "%", percent: "%", mired: "mired", k: "K", "": "" };
/** @type {Record<string, string[]>} */
const TAKES = { EV: ["ev", "highlights", "shadows"], mired: ["temperature"], "%": ["contrast", "saturation", "hdr"] };
const TOKEN = /([+-]?\d+(?:\.\d+)?)\s*(ev|stops?|%|percent|mired|k)?(?![a-z\d])|([a-z]+(?:'[a-z]+)?)|(\S)/g;

/** @param {Kind} kind @param {string} words @param {Controls} change @param {number} amount @param {string} unit @returns {Item} */
const item = (kind, words, change, amount = 1, unit = "") => ({ kind, words, change, amount, unit });

/**
 * @param {string} text
 * @param {Map<string, Controls>} looks the named ones
 * @returns {Understood}
 * @throws {Error} a word is not known or contradicts another, or a number is out of range or belongs to no word
 */
export function parse(text, looks) {
  const named = looks.get(text);
  if (named) return { name: text, controls: named, parts: [[text, effectOf(named)]] };
  const items = withAmounts(itemsOf(text, looks), text);
  const { total, parts } = addedUp(items, text);
  if (items.length && items.every(({ kind }) => kind === "direction")) {
    throw new Error(`'${text}': this model changes the colour and strength of light, not where it comes from`);
  }
  if (!parts.length) throw new Error(`'${text}' says nothing about light; there are ${[...looks.keys()].join(", ")}, warm, darker, vivid ...`);
  /** @type {Controls} */
  const controls = {};
  const beyond = [];
  for (const [control, [low, high]] of Object.entries(ranges)) {
    const held = Math.min(high, Math.max(low, total[control]));
    if (held !== total[control]) beyond.push(`${control} ${short(held)}`);
    controls[control] = Number(held.toFixed(4));
  }
  if (beyond.length) parts.push(["as far as the model goes", beyond.join(", ")]);
  const name = slug(text);
  const there = looks.get(name);
  const isOther = there && Object.keys(ranges).some((control) => (there[control] ?? 0) !== controls[control]);
  return { name: isOther ? `${name}-as-said` : name, controls, parts };
}

/**
 * The sum of all changes by control, and what each phrase did.
 * @param {Item[]} items
 * @param {string} text
 */
function addedUp(items, text) {
  /** @type {Controls} */
  const total = Object.fromEntries(constants.controls.map((control) => [control, 0]));
  /** @type {Map<string, string>} control and direction -> the last words that pushed it there */
  const pushed = new Map();
  /** @type {Part[]} */
  const parts = [];
  for (const { kind, words, change, amount } of items) {
    if (kind === "direction") {
      parts.push([words, NO_DIRECTION]);
      continue;
    }
    const changes = Object.entries(change).filter(([, value]) => value).map(([control, value]) => /** @type {const} */ ([control, amount * value]));
    for (const [control, value] of changes) {
      total[control] += value;
      if (kind === "look") continue; // a look may be corrected: "golden, slightly cooler"
      pushed.set(`${control} ${value > 0}`, words);
      const against = pushed.get(`${control} ${value <= 0}`);
      if (against !== undefined) throw new Error(`'${text}': '${against}' and '${words}' contradict`);
    }
    parts.push([words, effectOf(Object.fromEntries(changes))]);
  }
  return { total, parts };
}

/** @param {Controls} change */
function effectOf(change) {
  const told = Object.entries(change).filter(([, value]) => value).map(([control, value]) => `${control} ${short(value)}`);
  return told.join(", ") || "as it is, well lit";
}

/**
 * A number with its sign and two digits that count, as Python's "+.2g": what lies just between goes to the even one.
 * @param {number} value
 */
function short(value) {
  const [, even, exponent] = /^(\d\.[02468])50+e(.*)$/.exec(Math.abs(value).toExponential(20)) ?? [];
  const size = even === undefined ? Number(Math.abs(value).toPrecision(2)) : Number(`${even}e${exponent}`);
  return (value < 0 ? "-" : "+") + size;
}

/**
 * A name made from the text, safe in any file name.
 * @param {string} text
 */
function slug(text) {
  const words = text.toLowerCase().replace(/\+(?=\d)/g, "plus ").replace(/(?<![\p{L}\p{N}_])-(?=\d)/gu, "minus ");
  const trimmed = (/** @type {string} */ name) => name.replace(/^[-.]+|[-.]+$/g, "");
  return trimmed(trimmed(words.replace(/[^a-z0-9.]+/g, "-")).slice(0, NAME_LENGTH)) || "look";
}

/**
 * Every phrase, its words separated by single spaces -> its item.
 * @param {Map<string, Controls>} looks
 */
function phrasesOf(looks) {
  /** @type {Map<string, Item>} */
  const found = new Map();
  for (const [words, amount] of Object.entries(vocabulary.degrees)) found.set(words, item("degree", words, {}, amount));
  const kinds = /** @type {const} */ ([["noun", vocabulary.nouns], ["change", vocabulary.changes], ["direction", vocabulary.directions]]);
  for (const [kind, table] of kinds) {
    for (const [words, change] of Object.entries(table)) found.set(words, item(kind, words, change));
  }
  for (const [name, controls] of looks) {
    const names = [name.replaceAll("-", " "), ...(vocabulary.synonyms[name] ?? "").split(", ")];
    for (const words of names.filter(Boolean)) found.set(words, item("look", words, controls));
  }
  return found.set("between", item("between", "between", {}));
}

/**
 * The phrases of the text in order, without fillers; where two fit, the longer.
 * @param {string} text
 * @param {Map<string, Controls>} looks
 */
function itemsOf(text, looks) {
  const phrases = phrasesOf(looks);
  const plain = text.toLowerCase().replaceAll("−", "-").replaceAll("-hour", " hour").replaceAll("-key", " key");
  const tokens = [...plain.matchAll(TOKEN)];
  const words = tokens.map((token) => token[3] ?? "");
  /** @type {Item[]} */
  const items = [];
  const unknown = [];
  for (let i = 0, step = 1; i < tokens.length; i += step) {
    const [whole, number, unit, word, mark] = tokens[i];
    const length = [3, 2, 1].find((n) => words.slice(i, i + n).every(Boolean) && phrases.has(words.slice(i, i + n).join(" "))) ?? 0;
    step = Math.max(1, length);
    const phrase = phrases.get(words.slice(i, i + length).join(" "));
    if (number) items.push(item("number", whole, {}, Number(number), UNITS[unit ?? ""]));
    else if (phrase) items.push(phrase);
    else if ((word && !vocabulary.fillers.includes(word)) || (mark && !",;.&-+/!'\"".includes(mark))) unknown.push(word || mark);
  }
  if (unknown.length) {
    const named = unknown.map((word) => `'${word}'`).join(", ");
    throw new Error(`${named} in '${text}' is no word for light that is known here; looks are ${[...looks.keys()].join(", ")}`);
  }
  return items;
}

/**
 * Whether a number with this unit can be the amount of a phrase.
 * @param {Item} phrase
 * @param {string} unit
 */
function takes({ kind, change }, unit) {
  if (kind === "look") return unit === "%";
  const controls = Object.keys(change);
  if (controls.length !== 1 || (kind !== "change" && kind !== "noun")) return false;
  return unit ? (TAKES[unit] ?? []).includes(controls[0]) : kind === "noun";
}

/**
 * The looks, changes, nouns and directions among the items, with the degrees and numbers that belong to them.
 * @param {Item[]} items
 * @param {string} text
 */
function withAmounts(items, text) {
  /** @type {Item[]} */
  const phrases = [];
  let hasNumber = false; // the last phrase
  let nBetween = 0; // how many of the two looks after "between" are still to come
  let degree = { amount: 1, words: "" }; // read before a phrase, and belongs to it; so does a number
  /** @type {Item | null} */
  let number = null;
  items.forEach((each, i) => {
    if (each.kind === "degree") degree = { amount: degree.amount * each.amount, words: `${degree.words}${each.words} ` };
    else if (each.kind === "between") nBetween = 2;
    else if (each.kind === "number") {
      const place = placeOf(each, hasNumber ? undefined : phrases.at(-1), items[i + 1], text);
      if (place === "next") number = each;
      else {
        const phrase = place === "last" ? phrases.pop() : item("noun", "", { [place]: 1 });
        if (phrase) phrases.push(withNumber(phrase, each));
        hasNumber = true;
      }
    } else {
      const words = degree.words + each.words;
      if (each.kind === "look" && degree.amount < 0) throw new Error(`'${words}': say how much of it, such as 'half ${each.words}'`);
      if (nBetween && each.kind !== "look") throw new Error(`'${text}': between which two looks?`);
      const phrase = { ...each, words, amount: degree.amount * (nBetween ? 0.5 : 1) };
      nBetween = Math.max(nBetween - 1, 0);
      phrases.push(number === null ? phrase : withNumber(phrase, number));
      hasNumber = number !== null;
      [degree, number] = [{ amount: 1, words: "" }, null];
    }
  });
  if (nBetween) throw new Error(`'${text}': between which two looks?`);
  if (degree.words) throw new Error(`'${text}': '${degree.words.trim()}' what?`);
  return phrases.map((phrase) => ({ ...phrase, words: phrase.words.trim() }));
}

/**
 * What a number belongs to: the phrase before it, else that after it, else the control that has its unit.
 * @param {Item} number
 * @param {Item | undefined} last the phrase before it, unless that has a number
 * @param {Item | undefined} following
 * @param {string} text
 */
function placeOf({ words, unit }, last, following, text) {
  if (unit === "K") throw new Error(`'${words}': how warm a light looks depends on the scene; ask for a shift in mired`);
  const fitsNext = following !== undefined && takes(following, unit);
  if (last && takes(last, unit) && (last.kind === "noun" || !fitsNext)) return "last";
  if (fitsNext) return "next";
  if (unit === "EV") return "ev";
  if (unit === "mired") return "temperature";
  throw new Error(`'${words}' in '${text}' belongs to nothing: say of what, such as 'saturation +20%'`);
}

/**
 * A phrase that a number belongs to.
 * @param {Item} phrase
 * @param {Item} number
 * @returns {Item}
 */
function withNumber(phrase, number) {
  const words = `${phrase.words} ${number.words}`.trim();
  if (phrase.kind === "look") return { ...phrase, words, amount: (phrase.amount * number.amount) / 100 };
  const [[control, step]] = Object.entries(phrase.change);
  let { amount } = number;
  if (number.unit === "mired") amount /= 100;
  else if (number.unit === "%") amount = control === "contrast" ? Math.log2(Math.max(1 + amount / 100, 0.01)) : amount / 100;
  if (phrase.kind === "change") amount = Math.abs(amount) * Math.sign(step); // "darker by 0.5 EV"
  const [low, high, unit] = ranges[control];
  if (amount < low || amount > high) {
    const signed = (/** @type {number} */ value) => (value < 0 ? "" : "+") + value;
    throw new Error(`'${words}': ${control} goes from ${signed(low)} to ${`${signed(high)} ${unit}`.trim()}`);
  }
  return { ...phrase, words, change: { [control]: amount }, amount: 1 };
}
