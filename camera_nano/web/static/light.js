// A picture of light drawn over a frame, by WebGL2: what light/field.py's `render_reference` does. Knows of no server.

const GRID = { range: 8, across: 16, down: 16 }; // cells of a field, in the order of its numbers

const VERTEX = `#version 300 es
void main() { // one triangle over the whole canvas
  gl_Position = vec4(gl_VertexID == 1 ? 3 : -1, gl_VertexID == 2 ? 3 : -1, 0, 1);
}`;

// The linear filter of a 3-D texture is the trilinear slice, half-pixel rules and clamping to the outer cells included.
const FRAGMENT = `#version 300 es
precision highp float;
precision highp sampler2D;
precision highp sampler3D;
uniform sampler2D frame;
uniform sampler3D field;
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
    float guide = log2(1.0 + 1023.0 * dot(light, vec3(0.2126, 0.7152, 0.0722))) / 10.0;
    vec4 ev = strength * texture(field, vec3(guide, (vec2(at) + part.xy + 0.5) / part.zw));
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
    const type = field.grid instanceof Float32Array ? gl.FLOAT : gl.HALF_FLOAT;
    gl.activeTexture(gl.TEXTURE1);
    gl.texImage3D(gl.TEXTURE_3D, 0, gl.RGBA16F, GRID.range, GRID.across, GRID.down, 0, gl.RGBA, type, field.grid);
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
    for (const name of ["field", "part", "exposed_ev", "span", "headroom_ev", "strength", "white_ev", "white"]) {
      this.#places[name] = gl.getUniformLocation(program, name);
    }
    gl.uniform1i(this.#places.field, 1);
    this.#texture(gl.TEXTURE0, gl.TEXTURE_2D, gl.NEAREST);
    this.#texture(gl.TEXTURE1, gl.TEXTURE_3D, gl.LINEAR);
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
