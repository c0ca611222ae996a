// A picture of light drawn over a frame, by WebGL2: what light/field.py's `render_reference` does. Knows of no server.

const GRID = { range: 8, across: 16, down: 16 }; // cells of a field, in the order of its numbers
// values.py: OWN_LIGHT_SHARE and OWN_LIGHT_GUIDE, as the share of a rise from one range bin to the next
const OWN_SHARE = Array.from({ length: GRID.range - 1 }, (_, k) => 0.5 * Math.min(1, Math.max(0, ((k + 1) / GRID.range - 0.5625) / 0.25)));

const VERTEX = `#version 300 es
void main() { // one triangle over the whole canvas
  gl_Position = vec4(gl_VertexID == 1 ? 3 : -1, gl_VertexID == 2 ? 3 : -1, 0, 1);
}`;

// The linear filter of a 3-D texture is the trilinear slice, half-pixel rules and clamping to the outer cells included. The
// textures have a ninth bin beyond white, so bin 8 g - 0.5 of the guide g lies at 8 g / 9 of their length.
const FRAGMENT = `#version 300 es
precision highp float;
precision highp sampler2D;
precision highp sampler3D;
uniform sampler2D frame;
uniform sampler3D field; // less what is in the next
uniform sampler3D own; // what each channel gets by its own light
uniform bool has_own;
uniform vec4 part; // left and top of this frame in the whole picture, and the size of that
uniform float headroom_ev; // above 0: draw the field's light above white in grey, white is this many stops
uniform float strength;
uniform vec3 white_ev; // at this strength
uniform vec3 white; // its light
uniform float exposed_ev; // of the look at full strength, against the frame that the page was told of; at most 0
uniform float span; // the code of the brightest light: sRGB's curve goes on above 1
out vec4 shown;

vec3 eotf(vec3 code) { // IEC 61966-2-1
  return mix(code / 12.92, pow((code + 0.055) / 1.055, vec3(2.4)), greaterThan(code, vec3(0.04045)));
}

vec3 oetf(vec3 light) {
  return mix(light * 12.92, 1.055 * pow(light, vec3(1.0 / 2.4)) - 0.055, greaterThan(light, vec3(0.0031308)));
}

float clipped(vec3 code) { // values.py: CLIPPED_HIGH, CLIPPED_LOW
  return smoothstep(0.91, 0.985, max(max(code.r, code.g), code.b)) * smoothstep(0.78, 0.965, min(min(code.r, code.g), code.b));
}

vec3 bent(vec3 light) { // light/field.py's curve of the guide
  return log2(1.0 + 1023.0 * light) / 10.0;
}

vec3 own_guide(vec3 light) { // values.py: CUT_OFF_LIGHT, CUT_OFF_GUIDE
  return bent(light) + clamp((light - 0.967) / 0.033, 0.0, 1.0) * vec3(0.0625, 0.0, 0.0625);
}

void main() {
  ivec2 size = textureSize(frame, 0);
  ivec2 at = ivec2(int(gl_FragCoord.x), size.y - 1 - int(gl_FragCoord.y));
  vec3 code = texelFetch(frame, at, 0).rgb;
  if (strength > 0.0 || exposed_ev < 0.0) {
    vec3 light = eotf(code);
    if (exposed_ev < 0.0) {
      light = eotf(span * code) * exp2(exposed_ev * strength);
      if (strength > 0.0) light /= max(1.0, max(max(light.r, light.g), light.b)); // keeps its hue; the original clips
      code = oetf(light);
    }
    vec2 place = (vec2(at) + part.xy + 0.5) / part.zw;
    vec4 ev = strength * texture(field, vec3(bent(vec3(dot(light, vec3(0.2126, 0.7152, 0.0722)))).x * 8.0 / 9.0, place));
    if (has_own) {
      vec3 bin = own_guide(light) * 8.0 / 9.0;
      ev.r += strength * texture(own, vec3(bin.r, place)).r;
      ev.g += strength * texture(own, vec3(bin.g, place)).g;
      ev.b += strength * texture(own, vec3(bin.b, place)).b;
    }
    vec3 gain_ev = ev.rgb + clipped(code) * max(white_ev - ev.rgb, 0.0);
    code = headroom_ev > 0.0 ? clamp(ev.aaa / headroom_ev, 0.0, 1.0) : oetf(min(light * exp2(gain_ev), white));
    code = floor(255.0 * code + 0.5) / 255.0;
  }
  shown = vec4(code, 1);
}`;

/**
 * What makes a look of a frame; an `EditField` of values.py.
 * @typedef {object} Field
 * @property {Float32Array | Uint16Array} grid (16, 16, 8, 4) in EV: gains of linear R, G, B, and headroom; Uint16Array
 *   holds the bits of half floats
 * @property {ArrayLike<number>} whiteEv what clipped light becomes, log2 of linear R, G, B, at most 0
 */

/**
 * A number of a field's grid; of half floats the bits are there (IEEE 754, binary16).
 * @param {Float32Array | Uint16Array} grid
 * @param {number} i
 */
export function evOf(grid, i) {
  if (grid instanceof Float32Array) return grid[i];
  const [exponent, fraction] = [(grid[i] >> 10) & 31, (grid[i] & 0x3ff) / 1024];
  const size = exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction;
  return grid[i] & 0x8000 ? -size : size;
}

/**
 * The grid less what each channel gets by its own light, and that: light/field.py's `own_gains`. Both have a bin more.
 * @param {Float32Array | Uint16Array} grid
 */
function parted(grid) {
  const n = 4 * (GRID.range + 1);
  const [shared, own] = [0, 1].map(() => new Float32Array(GRID.across * GRID.down * n));
  for (let cell = 0; cell < GRID.across * GRID.down; cell++) {
    for (let channel = 0; channel < 4; channel++) {
      let [sum, rise, before] = [0, 0, 0];
      for (let k = 0; k <= GRID.range; k++) {
        const ev = k < GRID.range ? evOf(grid, 4 * (cell * GRID.range + k) + channel) : before;
        if (k > 0 && k < GRID.range && channel < 3) rise = OWN_SHARE[k - 1] * Math.max(0, ev - before);
        sum += rise;
        own[cell * n + 4 * k + channel] = sum;
        shared[cell * n + 4 * k + channel] = ev - sum;
        before = ev;
      }
    }
  }
  return { shared, own };
}

/** @typedef {[left: number, top: number, width: number, height: number]} Part where a frame lies in a picture of this size */

/** Draws frames through fields on a canvas of its own; a lost context comes back by itself. */
export class Light {
  /** @type {TexImageSource | null} */
  #frame = null;
  /** @type {Part} */
  #part = [0, 0, 1, 1];
  /** @type {Field | null} */
  #field = null;
  #strength = 0;
  #exposedEv = 0;
  #gl;
  /** @type {Record<string, WebGLUniformLocation | null>} */
  #places = {};

  /**
   * @param {HTMLCanvasElement | OffscreenCanvas} canvas takes on the size of the frames
   * @throws {Error} the browser has no WebGL2
   */
  constructor(canvas) {
    this.canvas = canvas;
    const options = { alpha: false, antialias: false, depth: false };
    const gl = /** @type {WebGL2RenderingContext | null} */ (canvas.getContext("webgl2", options));
    if (gl === null) throw new Error("this browser has no WebGL2");
    this.#gl = gl;
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault()); // else it never comes back
    canvas.addEventListener("webglcontextrestored", () => this.#restore());
    this.#prepare();
  }

  get isLost() {
    return this.#gl.isContextLost();
  }

  /** Whether the processor draws, which takes many times what a GPU takes. */
  get isSoftware() {
    const gl = this.#gl;
    const name = gl.getExtension("WEBGL_debug_renderer_info")?.UNMASKED_RENDERER_WEBGL ?? gl.RENDERER;
    return /swiftshader|llvmpipe|software|basic render/i.test(gl.getParameter(name));
  }

  /**
   * The frame to draw, in sRGB codes of 8 bits. It is read again after a lost context: close it once the next one is in.
   * @param {TexImageSource & { width: number, height: number }} frame
   * @param {number} exposedEv below 0, the codes go on above white, to light of 2 ** -exposedEv, and looks are exposed so
   *   many stops darker than the frame
   * @param {Part} [part] for a frame that is a part of a larger picture, which the field is of
   */
  frame(frame, exposedEv = 0, part = [0, 0, frame.width, frame.height]) {
    const gl = this.#gl;
    [this.#frame, this.#exposedEv, this.#part] = [frame, exposedEv, part];
    gl.uniform1f(this.#places.exposed_ev, exposedEv);
    gl.uniform1f(this.#places.span, 1.055 * 2 ** (-exposedEv / 2.4) - 0.055);
    const { width, height } = frame;
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    gl.uniform4fv(this.#places.part, part);
    gl.activeTexture(gl.TEXTURE0);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, frame);
  }

  /**
   * The look to draw, and how much of it: 0 is the frame, bit for bit. Without a field it is the frame, too.
   * @param {Field | null} field
   * @param {number} strength 0..1
   */
  field(field, strength) {
    const gl = this.#gl;
    this.#strength = field === null ? 0 : strength;
    gl.uniform1f(this.#places.strength, this.#strength);
    const whiteEv = Array.from(field?.whiteEv ?? [0, 0, 0], (ev) => ev * this.#strength);
    gl.uniform3fv(this.#places.white_ev, whiteEv);
    gl.uniform3fv(this.#places.white, whiteEv.map((ev) => 2 ** ev));
    if (field === null || field === this.#field) return; // a slider moves the strength alone
    this.#field = field;
    const { shared, own } = parted(field.grid);
    gl.uniform1i(this.#places.has_own, Number(own.some((ev) => ev > 0)));
    for (const [unit, grid] of /** @type {const} */ ([[gl.TEXTURE1, shared], [gl.TEXTURE2, own]])) {
      gl.activeTexture(unit);
      gl.texImage3D(gl.TEXTURE_3D, 0, gl.RGBA16F, GRID.range + 1, GRID.across, GRID.down, 0, gl.RGBA, gl.FLOAT, grid);
    }
  }

  /**
   * Draw the frame through the field. The canvas has to be read, or shown, before the caller's task ends.
   * @param {number} [headroomEv] draw the light above white instead, in grey: black is none, white this many stops or more
   */
  draw(headroomEv = 0) {
    const gl = this.#gl;
    gl.uniform1f(this.#places.headroom_ev, headroomEv);
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /** Resolves once all is drawn: `draw` itself waits for nothing. */
  async drawn() {
    const gl = this.#gl;
    const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    while (fence && !gl.isContextLost() && gl.getSyncParameter(fence, gl.SYNC_STATUS) !== gl.SIGNALED) {
      await new Promise((then) => setTimeout(then));
    }
    gl.deleteSync(fence);
  }

  #restore() {
    const [frame, field] = [this.#frame, this.#field];
    this.#prepare();
    this.#field = null;
    if (frame) this.frame(/** @type {TexImageSource & { width: number, height: number }} */ (frame), this.#exposedEv, this.#part);
    if (field) this.field(field, this.#strength);
  }

  #prepare() {
    const gl = this.#gl;
    const program = gl.createProgram();
    for (const [type, text] of /** @type {const} */ ([[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]])) {
      const shader = gl.createShader(type);
      if (shader === null) continue; // the context is lost again
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
      throw new Error(`this browser's WebGL2 does not take the shader: ${gl.getProgramInfoLog(program)}`);
    }
    gl.useProgram(program);
    for (const name of ["field", "own", "has_own", "part", "exposed_ev", "span", "headroom_ev", "strength", "white_ev", "white"]) {
      this.#places[name] = gl.getUniformLocation(program, name);
    }
    gl.uniform1i(this.#places.field, 1);
    gl.uniform1i(this.#places.own, 2);
    this.#texture(gl.TEXTURE0, gl.TEXTURE_2D, gl.NEAREST);
    this.#texture(gl.TEXTURE1, gl.TEXTURE_3D, gl.LINEAR);
    this.#texture(gl.TEXTURE2, gl.TEXTURE_3D, gl.LINEAR);
  }

  /**
   * @param {number} unit
   * @param {number} kind
   * @param {number} filter
   */
  #texture(unit, kind, filter) {
    const gl = this.#gl;
    gl.activeTexture(unit);
    gl.bindTexture(kind, gl.createTexture());
    gl.texParameteri(kind, gl.TEXTURE_MIN_FILTER, filter);
    gl.texParameteri(kind, gl.TEXTURE_MAG_FILTER, filter);
    for (const axis of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T, gl.TEXTURE_WRAP_R]) gl.texParameteri(kind, axis, gl.CLAMP_TO_EDGE);
  }
}
