// SPDX-License-Identifier: Apache-2.0
// The orbit viewer: the splats and meshes that stand in this page, on one canvas.
//
// World and camera are those of t3d's pictures: +Y up, azimuth 0 looks from +Z and grows towards +X,
// field of view 49.1 degrees across the shorter side, distance 2.7 for an object of radius 1. Splats are
// drawn as lib/draw/splat.h defines them: a low pass of 0.3 pixels^2, nothing below 1/255, at most
// 0.99, blended in order of depth with premultiplied colours. What training at a low resolution adds
// to that low pass is in the scales already when a file is written.
(() => {
'use strict';
const FOV = 49.1 * Math.PI / 180, DISTANCE = 2.7, SORT_IN_FRAME = 40000, ROW = 512;
const box = document.getElementById('view');
if (!box) return;
const canvas = box.querySelector('canvas'), still = box.querySelector('.still'), note = box.querySelector('.note');
const blocks = [...document.querySelectorAll('script.object')], objects = blocks.map(() => null);
const picks = [...box.querySelectorAll('.pick')];
const control = name => box.querySelector('[data-do="' + name + '"]');
const choice = control('object'), beside = control('beside'), light = control('light'), ground = control('ground');
const start = () => ({azimuth: 30, elevation: 20, distance: DISTANCE, x: 0, y: 0});
let gl = null, programs = null, target = null, camera = start(), shown = [-1, -1], spinning = false, wanted = false;

// --- data ------------------------------------------------------------------------------------------

const numbers = text => text ? text.split(' ').map(Number) : [];

function bytesOf(block) {
  const s = atob(block.textContent.trim()), b = new Uint8Array(s.length);
  for (let i = 0; i < s.length; i++) b[i] = s.charCodeAt(i);
  return b.buffer;
}

// Positions, and per Gaussian three texels: position, opacity | C xx xy xz yy | C yz zz, colour.
function splatsOf(d, raw) {
  const n = +d.n, lo = numbers(d.lo), size = numbers(d.size), [low, high] = numbers(d.scale);
  const p = new Uint16Array(raw, 0, 3 * n), s = new Uint16Array(raw, 6 * n, 3 * n);
  const q = new Int16Array(raw, 12 * n, 3 * n), c = new Uint8Array(raw, 18 * n, 4 * n);
  const xyz = new Float32Array(3 * n), texels = new Float32Array(12 * ROW * Math.ceil(n / ROW));
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < 3; k++) xyz[3 * i + k] = lo[k] + size[k] * p[3 * i + k] / 65535;
    const x = q[3 * i] / 32767, y = q[3 * i + 1] / 32767, z = q[3 * i + 2] / 32767;
    const w = Math.sqrt(Math.max(0, 1 - x * x - y * y - z * z));
    const r = [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
               2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
               2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)];
    const v = [0, 1, 2].map(k => Math.exp(2 * (low + (high - low) * s[3 * i + k] / 65535)));
    const C = (a, b) => r[3 * a] * r[3 * b] * v[0] + r[3 * a + 1] * r[3 * b + 1] * v[1] + r[3 * a + 2] * r[3 * b + 2] * v[2];
    texels.set([xyz[3 * i], xyz[3 * i + 1], xyz[3 * i + 2], c[4 * i + 3] / 255,
                C(0, 0), C(0, 1), C(0, 2), C(1, 1),
                C(1, 2), C(2, 2), c[4 * i] + 256 * c[4 * i + 1] + 65536 * c[4 * i + 2], 0], 12 * i);
  }
  return {n, xyz, texels};
}

// Indices by falling depth (least digit first); equal depths stand in falling order of index, so that
// front to back is the rasteriser's order.
function sortByDepth(xyz, row) {
  const n = xyz.length / 3, f = new Float32Array(n), key = new Uint32Array(f.buffer);
  let from = new Uint32Array(n), to = new Uint32Array(n);
  for (let i = 0; i < n; i++) f[i] = row[0] * xyz[3 * i] + row[1] * xyz[3 * i + 1] + row[2] * xyz[3 * i + 2];
  for (let i = 0; i < n; i++) {
    key[i] = ~(key[i] ^ (key[i] >> 31 | 0x80000000));
    from[i] = n - 1 - i;
  }
  for (const shift of [0, 11, 22]) {
    const count = new Uint32Array(2049);
    for (let i = 0; i < n; i++) count[1 + (key[i] >>> shift & 2047)]++;
    for (let i = 0; i < 2048; i++) count[i + 1] += count[i];
    for (let i = 0; i < n; i++) to[count[key[from[i]] >>> shift & 2047]++] = from[i];
    [from, to] = [to, from];
  }
  return from;
}

// Many Gaussians are sorted beside the page: the worker keeps the positions and is sent directions.
function sorterOf(xyz, done) {
  const code = sortByDepth + ';let xyz;onmessage=e=>{if(e.data.xyz)xyz=e.data.xyz;' +
    'else{const o=sortByDepth(xyz,e.data);postMessage(o,[o.buffer])}}';
  try {
    const worker = new Worker(URL.createObjectURL(new Blob([code], {type: 'text/javascript'})));
    let busy = false, next = null;
    worker.postMessage({xyz});
    worker.onmessage = e => {
      busy = false;
      done(e.data);
      if (next) { busy = true; worker.postMessage(next); next = null; }
    };
    return row => {
      if (busy) next = row;
      else { busy = true; worker.postMessage(row); }
    };
  } catch {
    return null;
  }
}

// --- WebGL ------------------------------------------------------------------------------------------

const splatVertex = `#version 300 es
precision highp float;
uniform highp sampler2D data;
uniform mat4 view;
uniform vec2 size;
uniform float focal;
in vec2 corner;
in uint index;
flat out vec3 conic;
flat out vec4 colour;
out vec2 offset;
void main() {
  int at = 3 * (int(index) % ${ROW}), row = int(index) / ${ROW};
  vec4 a = texelFetch(data, ivec2(at, row), 0), b = texelFetch(data, ivec2(at + 1, row), 0),
       c = texelFetch(data, ivec2(at + 2, row), 0);
  vec3 t = (view * vec4(a.xyz, 1)).xyz;
  float cut = 2. * log(a.w * 255.);
  gl_Position = vec4(0, 0, 2, 1);
  if (cut <= 0. || t.z <= .2) return;
  mat3 C = mat3(b.x, b.y, b.z, b.y, b.w, c.x, b.z, c.x, c.y), W = transpose(mat3(view));
  vec2 edge = .65 * size / focal, slope = clamp(t.xy / t.z, -edge, edge);
  float j = focal / t.z;
  vec3 m0 = j * (W[0] - slope.x * W[2]), m1 = j * (W[1] - slope.y * W[2]);
  float xx = dot(m0, C * m0) + .3, xy = dot(m0, C * m1), yy = dot(m1, C * m1) + .3;
  float det = xx * yy - xy * xy, mid = .5 * (xx + yy), far = length(vec2(.5 * (xx - yy), xy));
  if (!(det > 0.)) return;
  vec2 axis = abs(xy) > 1e-9 * mid ? normalize(vec2(xy, mid + far - xx)) : xx >= yy ? vec2(1, 0) : vec2(0, 1);
  offset = 1.01 * (corner.x * sqrt(cut * (mid + far)) * axis +
                   corner.y * sqrt(cut * max(mid - far, 0.)) * vec2(-axis.y, axis.x));
  conic = vec3(yy, -xy, xx) / det;
  uint rgb = uint(c.z);
  colour = vec4(vec3(rgb & 255u, rgb >> 8 & 255u, rgb >> 16) / 255., a.w);
  vec2 p = 2. * (t.xy / t.z * focal + offset) / size;
  gl_Position = vec4(p.x, -p.y, 0, 1);
}`;

const splatFragment = `#version 300 es
precision highp float;
flat in vec3 conic;
flat in vec4 colour;
in vec2 offset;
out vec4 result;
void main() {
  float power = conic.x * offset.x * offset.x + conic.z * offset.y * offset.y + 2. * conic.y * offset.x * offset.y;
  float alpha = min(.99, colour.a * exp(-.5 * power));
  if (alpha < 1. / 255.) discard;
  result = vec4(colour.rgb * alpha, alpha);
}`;

const copyVertex = `#version 300 es
in vec2 corner;
void main() { gl_Position = vec4(corner, 0, 1); }`;

const copyFragment = `#version 300 es
precision highp float;
uniform highp sampler2D data;
out vec4 result;
void main() { result = texelFetch(data, ivec2(gl_FragCoord.xy), 0); }`;

const meshVertex = `#version 300 es
precision highp float;
uniform mat4 view;
uniform vec3 lo, extent;
uniform vec2 size, uvLo, uvExtent;
uniform float focal;
in vec3 position, normal;
in vec4 colour;
in vec2 uv;
out vec3 n, world;
out vec4 c;
out vec2 at;
vec3 linear(vec3 s) { return mix(s / 12.92, pow((s + .055) / 1.055, vec3(2.4)), step(.04045, s)); }
void main() {
  world = lo + extent * position;
  n = normal;
  c = vec4(linear(colour.rgb), colour.a);
  at = uvLo + uvExtent * uv;
  vec3 t = (view * vec4(world, 1)).xyz;
  gl_Position = vec4(2. * focal * t.x / size.x, -2. * focal * t.y / size.y, (t.z * 100.01 - 2.) / 99.99, t.z);
}`;

// Light comes from above and from the upper left in front, fixed to the object; both sides are seen.
const meshFragment = `#version 300 es
precision highp float;
uniform sampler2D picture;
uniform vec4 factor;
uniform float cutoff;
uniform vec3 eye;
uniform bool textured, flatNormal, lit;
in vec3 n, world;
in vec4 c;
in vec2 at;
out vec4 result;
vec3 srgb(vec3 x) { return mix(12.92 * x, 1.055 * pow(x, vec3(1. / 2.4)) - .055, step(.0031308, x)); }
void main() {
  vec4 base = c * factor;
  if (textured) base *= texture(picture, at);
  if (base.a < cutoff) discard;
  vec3 m = flatNormal ? cross(dFdx(world), dFdy(world)) : n;
  m = normalize(dot(m, eye - world) < 0. ? -m : m);
  float shade = .62 + .26 * m.y + .45 * max(0., dot(m, normalize(vec3(-.5, .7, .6))));
  vec3 seen = srgb(clamp(lit ? base.rgb * shade : base.rgb, 0., 1.));
  result = vec4(seen * base.a, base.a);
}`;

function programOf(vertex, fragment) {
  const p = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const s = gl.createShader(type);
    gl.shaderSource(s, source);
    gl.compileShader(s);
    gl.attachShader(p, s);
  }
  gl.linkProgram(p);
  if (!gl.getProgramParameter(p, gl.LINK_STATUS) && !gl.isContextLost())
    throw new Error(gl.getProgramInfoLog(p) || p && gl.getAttachedShaders(p).map(s => gl.getShaderInfoLog(s)).join());
  const u = name => gl.getUniformLocation(p, name);
  return {p, u, a: name => gl.getAttribLocation(p, name)};
}

function bufferOf(kind, data) {
  const b = gl.createBuffer();
  gl.bindBuffer(kind, b);
  gl.bufferData(kind, data, gl.STATIC_DRAW);
  return b;
}

function attribute(where, buffer, n, type, normalised, offset) {
  if (where < 0) return;
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.enableVertexAttribArray(where);
  gl.vertexAttribPointer(where, n, type, normalised, 0, offset);
}

function loadSplats(o) {
  const s = o.splats, at = programs.splat;
  o.texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, o.texture);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA32F, 3 * ROW, s.texels.length / (12 * ROW), 0, gl.RGBA, gl.FLOAT, s.texels);
  for (const p of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, p, gl.NEAREST);
  o.array = gl.createVertexArray();
  gl.bindVertexArray(o.array);
  attribute(at.a('corner'), programs.corners, 2, gl.FLOAT, false, 0);
  o.order = bufferOf(gl.ARRAY_BUFFER, new Uint32Array(s.n));
  gl.enableVertexAttribArray(at.a('index'));
  gl.vertexAttribIPointer(at.a('index'), 1, gl.UNSIGNED_INT, 0, 0);
  gl.vertexAttribDivisor(at.a('index'), 1);
  gl.bindVertexArray(null);
  o.row = null;
}

// Where the picture's pixels come only later, it is drawn once more then.
function textureOf(block) {
  const t = gl.createTexture(), image = new Image(), mine = gl;
  gl.bindTexture(gl.TEXTURE_2D, t);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.SRGB8_ALPHA8, 1, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array([255, 255, 255, 255]));
  image.onload = () => {
    if (mine !== gl) return;
    gl.bindTexture(gl.TEXTURE_2D, t);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.SRGB8_ALPHA8, gl.RGBA, gl.UNSIGNED_BYTE, image);
    gl.generateMipmap(gl.TEXTURE_2D);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
    draw();
  };
  image.src = 'data:image/png;base64,' + block.textContent.trim();
  return t;
}

function loadMesh(o, i) {
  const d = o.data, n = +d.n, at = programs.mesh, b = bufferOf(gl.ARRAY_BUFFER, new Uint8Array(o.raw, 0, 17 * n));
  o.array = gl.createVertexArray();
  gl.bindVertexArray(o.array);
  attribute(at.a('position'), b, 3, gl.UNSIGNED_SHORT, true, 0);
  attribute(at.a('uv'), b, 2, gl.UNSIGNED_SHORT, true, 6 * n);
  attribute(at.a('colour'), b, 4, gl.UNSIGNED_BYTE, true, 10 * n);
  attribute(at.a('normal'), b, 3, gl.BYTE, true, 14 * n);
  bufferOf(gl.ELEMENT_ARRAY_BUFFER, new Uint32Array(o.raw.slice(4 * Math.ceil(17 * n / 4))));
  gl.bindVertexArray(null);
  o.pictures = [...document.querySelectorAll('script.texture[data-object="' + i + '"]')].map(textureOf);
  o.draws = (d.draws || '').split(';').filter(s => s).map(numbers);
}

function load(i) {
  if (!objects[i]) {
    const d = blocks[i].dataset, raw = bytesOf(blocks[i]);
    objects[i] = {data: d, raw};
    if (d.kind === 'splats') objects[i].splats = splatsOf(d, raw);
  }
  const o = objects[i];
  if (o.gl !== gl) {
    o.gl = gl;
    if (o.splats) loadSplats(o); else loadMesh(o, i);
  }
  return o;
}

// Splats are added up in half floats where that can be drawn to, since 8 bits lose faint layers.
function targetOf(width, height) {
  if (target && target.width === width && target.height === height) return target;
  if (target) { gl.deleteTexture(target.texture); gl.deleteFramebuffer(target.frame); }
  const fine = gl.getExtension('EXT_color_buffer_float');
  target = {width, height, texture: gl.createTexture(), frame: gl.createFramebuffer()};
  gl.bindTexture(gl.TEXTURE_2D, target.texture);
  gl.texStorage2D(gl.TEXTURE_2D, 1, fine ? gl.RGBA16F : gl.RGBA8, width, height);
  for (const p of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, p, gl.NEAREST);
  gl.bindFramebuffer(gl.FRAMEBUFFER, target.frame);
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, target.texture, 0);
  return target;
}

// --- drawing ------------------------------------------------------------------------------------------

// World to camera (x right, y down, z forward), by columns; the eye stands about the origin.
function view() {
  const a = camera.azimuth * Math.PI / 180, e = camera.elevation * Math.PI / 180;
  const d = camera.distance;
  const back = [Math.cos(e) * Math.sin(a), Math.sin(e), Math.cos(e) * Math.cos(a)];
  const right = [Math.cos(a), 0, -Math.sin(a)];
  const down = [Math.sin(e) * Math.sin(a), -Math.cos(e), Math.sin(e) * Math.cos(a)];
  const eye = back.map((b, k) => d * b - camera.x * right[k] + camera.y * down[k]);
  const rows = [right, down, back.map(x => -x)], m = new Float32Array(16);
  rows.forEach((r, i) => {
    for (let k = 0; k < 3; k++) m[4 * k + i] = r[k];
    m[12 + i] = -(r[0] * eye[0] + r[1] * eye[1] + r[2] * eye[2]);
  });
  m[15] = 1;
  return {m, eye, forward: rows[2]};
}

function sortSplats(o, row) {
  if (o.row && row.every((x, k) => x === o.row[k])) return;
  o.row = row;
  const put = order => {
    if (o.gl !== gl) return;
    gl.bindBuffer(gl.ARRAY_BUFFER, o.order);
    gl.bufferData(gl.ARRAY_BUFFER, order, gl.DYNAMIC_DRAW);
  };
  if (o.splats.n > SORT_IN_FRAME && o.sorter === undefined)
    o.sorter = sorterOf(o.splats.xyz, order => { put(order); o.sorted = true; draw(); });
  if (o.sorter && !o.sorted) put(sortByDepth(o.splats.xyz, row));
  if (o.sorter) o.sorter(row);
  else put(sortByDepth(o.splats.xyz, row));
}

function drawSplats(o, v, [x, y, w, h], focal) {
  const t = targetOf(canvas.width, canvas.height), s = programs.splat;
  sortSplats(o, v.forward);
  gl.bindFramebuffer(gl.FRAMEBUFFER, t.frame);
  gl.clear(gl.COLOR_BUFFER_BIT);
  gl.disable(gl.DEPTH_TEST);
  gl.useProgram(s.p);
  gl.uniformMatrix4fv(s.u('view'), false, v.m);
  gl.uniform2f(s.u('size'), w, h);
  gl.uniform1f(s.u('focal'), focal);
  gl.bindTexture(gl.TEXTURE_2D, o.texture);
  gl.bindVertexArray(o.array);
  gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, o.splats.n);
  gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  gl.useProgram(programs.copy.p);
  gl.bindTexture(gl.TEXTURE_2D, t.texture);
  gl.bindVertexArray(programs.square);
  gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  gl.bindVertexArray(null);
}

// A draw is first, count, picture (-1 = none), factor rgba, cutoff, flat normal, blended.
function drawMesh(o, v, [x, y, w, h], focal) {
  const p = programs.mesh, d = o.data, f3 = (n, a) => gl.uniform3f(p.u(n), ...a), f2 = (n, a) => gl.uniform2f(p.u(n), ...a);
  gl.useProgram(p.p);
  gl.enable(gl.DEPTH_TEST);
  gl.uniformMatrix4fv(p.u('view'), false, v.m);
  f3('lo', numbers(d.lo));
  f3('extent', numbers(d.size));
  f2('uvLo', numbers(d.uv).slice(0, 2));
  f2('uvExtent', numbers(d.uv).slice(2));
  f3('eye', v.eye);
  gl.uniform2f(p.u('size'), w, h);
  gl.uniform1f(p.u('focal'), focal);
  gl.uniform1i(p.u('lit'), light.value !== 'flat');
  gl.bindVertexArray(o.array);
  for (const blended of [0, 1]) {
    gl.depthMask(!blended);
    for (const [first, count, picture, r, g, b, a, cutoff, flat, blend] of o.draws) {
      if (blend !== blended) continue;
      gl.uniform4f(p.u('factor'), r, g, b, a);
      gl.uniform1f(p.u('cutoff'), cutoff);
      gl.uniform1i(p.u('flatNormal'), flat);
      gl.uniform1i(p.u('textured'), picture >= 0);
      gl.bindTexture(gl.TEXTURE_2D, picture >= 0 ? o.pictures[picture] : null);
      gl.drawElements(gl.TRIANGLES, count, gl.UNSIGNED_INT, 4 * first);
    }
  }
  gl.depthMask(true);
  gl.bindVertexArray(null);
}

function paint() {
  wanted = false;
  if (!gl || gl.isContextLost()) return;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  gl.disable(gl.SCISSOR_TEST);
  gl.clearColor(0, 0, 0, 0);
  gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  gl.enable(gl.SCISSOR_TEST);
  const both = shown.filter(i => i >= 0), w = Math.floor(canvas.width / both.length);
  both.forEach((i, k) => {
    const area = [k * w, 0, w, canvas.height], o = load(i), v = view();
    gl.viewport(...area);
    gl.scissor(...area);
    const focal = Math.min(w, canvas.height) / (2 * Math.tan(FOV / 2));
    (o.splats ? drawSplats : drawMesh)(o, v, area, focal);
  });
}

function draw() {
  if (wanted) return;
  wanted = true;
  requestAnimationFrame(() => {
    if (spinning) camera.azimuth = (camera.azimuth + .5) % 360;
    paint();
    if (spinning) draw();
  });
}

function open() {
  gl = canvas.getContext('webgl2', {antialias: true, alpha: true, premultipliedAlpha: true});
  if (!gl) return false;
  programs = {splat: programOf(splatVertex, splatFragment), copy: programOf(copyVertex, copyFragment),
              mesh: programOf(meshVertex, meshFragment),
              corners: bufferOf(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1])),
              square: gl.createVertexArray()};
  gl.bindVertexArray(programs.square);
  attribute(programs.copy.a('corner'), programs.corners, 2, gl.FLOAT, false, 0);
  gl.bindVertexArray(null);
  target = null;
  return true;
}

// --- what the user does ---------------------------------------------------------------------------------

function tell() {
  const names = shown.filter(i => i >= 0).map(i => {
    const d = blocks[i].dataset;
    return choice.options[i].textContent + ', ' + (+d.n).toLocaleString() + (d.kind === 'splats' ? ' Gaussians' : ' vertices') +
      (d.about ? ': ' + d.about : '');
  });
  note.textContent = names.join('  |  ');
  canvas.setAttribute('aria-label', 'Orbit view of ' + names.join(' and ') + '. Arrow keys turn it.');
}

function show(i, j) {
  shown = [i, j];
  choice.value = i;
  beside.value = j;
  picks.forEach((p, k) => p.setAttribute('aria-pressed', k === i || k === j));
  const picture = picks[i] && picks[i].querySelector('img');
  if (picture) { still.src = picture.src; still.alt = picture.alt; }
  tell();
  draw();
}

function turn(right, up) {
  camera.azimuth = (camera.azimuth - right) % 360;
  camera.elevation = Math.max(-90, Math.min(90, camera.elevation + up));
  draw();
}

function zoom(factor) {
  camera.distance = Math.max(.3, Math.min(30, camera.distance * factor));
  draw();
}

function move(x, y) {
  camera.x += x;
  camera.y += y;
  draw();
}

function spin(on) {
  spinning = on;
  control('spin').setAttribute('aria-pressed', on);
  draw();
}

function fill(on) {
  box.classList.toggle('full', on);
  document.body.classList.toggle('covered', on);
  control('full').setAttribute('aria-pressed', on);
  draw();
}

const step = by => show((shown[0] + by + blocks.length) % blocks.length, shown[1]);
const acts = {reset: () => { camera = start(); spin(false); }, spin: () => spin(!spinning),
              full: () => fill(!box.classList.contains('full'))};

function key(e) {
  const pan = e.shiftKey ? .05 * camera.distance : 0;
  const done = {
    ArrowLeft: () => pan ? move(-pan, 0) : turn(-5, 0), ArrowRight: () => pan ? move(pan, 0) : turn(5, 0),
    ArrowUp: () => pan ? move(0, pan) : turn(0, -5), ArrowDown: () => pan ? move(0, -pan) : turn(0, 5),
    '+': () => zoom(1 / 1.1), '=': () => zoom(1 / 1.1), '-': () => zoom(1.1), Home: acts.reset, '0': acts.reset,
    ' ': acts.spin, f: acts.full, PageDown: () => step(1), PageUp: () => step(-1), ']': () => step(1), '[': () => step(-1),
    Escape: () => fill(false)
  }[e.key];
  if (!done || e.ctrlKey || e.altKey || e.metaKey) return;
  e.preventDefault();
  done();
}

// One pointer turns, or moves with Shift or another button; two move and zoom.
const fingers = new Map();
function drag(e) {
  const was = fingers.get(e.pointerId);
  if (!was) return;
  const dx = e.clientX - was.x, dy = e.clientY - was.y, unit = camera.distance / canvas.clientHeight;
  if (fingers.size === 1 && !e.shiftKey && !(e.buttons & 6)) turn(dx * .4, dy * .4);
  else move(dx * unit / fingers.size, -dy * unit / fingers.size);
  if (fingers.size === 2) {
    const [other] = [...fingers].filter(([id]) => id !== e.pointerId).map(([, p]) => p);
    const before = Math.hypot(was.x - other.x, was.y - other.y), now = Math.hypot(e.clientX - other.x, e.clientY - other.y);
    if (before > 0 && now > 0) zoom(before / now);
  }
  fingers.set(e.pointerId, {x: e.clientX, y: e.clientY});
}

function listen() {
  canvas.addEventListener('pointerdown', e => {
    canvas.focus({preventScroll: true});
    canvas.setPointerCapture(e.pointerId);
    fingers.set(e.pointerId, {x: e.clientX, y: e.clientY});
  });
  canvas.addEventListener('pointermove', drag);
  for (const end of ['pointerup', 'pointercancel']) canvas.addEventListener(end, e => fingers.delete(e.pointerId));
  canvas.addEventListener('contextmenu', e => e.preventDefault());
  canvas.addEventListener('dblclick', acts.reset);
  // A page that scrolls under the pointer is not zoomed by accident: the canvas has to be chosen first.
  canvas.addEventListener('wheel', e => {
    if (document.activeElement !== canvas && !e.ctrlKey) return;
    e.preventDefault();
    zoom(Math.exp(Math.max(-200, Math.min(200, e.deltaY * (e.deltaMode ? 30 : 1))) * .0015));
  }, {passive: false});
  canvas.addEventListener('keydown', key);
  for (const name in acts) control(name).addEventListener('click', acts[name]);
  light.addEventListener('change', draw);
  ground.addEventListener('change', () => { canvas.dataset.ground = ground.value; });
  new ResizeObserver(paint).observe(canvas); // before the frame is shown, so that it never is stretched
  canvas.addEventListener('webglcontextlost', e => { e.preventDefault(); gl = null; box.classList.add('stills'); });
  canvas.addEventListener('webglcontextrestored', () => { if (open()) { box.classList.remove('stills'); draw(); } });
}

// #object=0&beside=1&azimuth=30&elevation=20&distance=2.7&light=flat&ground=white&full&bare: a view to link to.
function follow() {
  const asked = new URLSearchParams(location.hash.slice(1)), at = name => +asked.get(name);
  for (const name of ['azimuth', 'elevation', 'distance'])
    if (asked.has(name) && Number.isFinite(at(name))) camera[name] = at(name);
  for (const [name, list] of [['light', light], ['ground', ground]])
    if ([...list.options].some(o => o.value === asked.get(name))) list.value = asked.get(name);
  canvas.dataset.ground = ground.value;
  const there = name => asked.has(name) && Number.isInteger(at(name)) && at(name) >= 0 && at(name) < blocks.length;
  if (asked.has('full')) fill(true);
  box.classList.toggle('bare', asked.has('bare'));
  show(there('object') ? at('object') : Math.max(0, shown[0]), there('beside') ? at('beside') : shown[1]);
}

// An item of a table or list whose object is here gets a button that shows it.
function link() {
  const first = new Map();
  blocks.forEach((b, i) => { if (!first.has(b.dataset.name)) first.set(b.dataset.name, i); });
  document.querySelectorAll('[data-uid]').forEach(e => {
    const i = first.get(e.dataset.uid);
    if (i === undefined) return;
    const b = document.createElement('button'), p = picks[i].querySelector('img'), other = +blocks[i].dataset.other;
    b.type = 'button';
    b.className = 'open';
    b.title = 'show ' + e.dataset.uid;
    if (p && e.dataset.thumb) {
      const t = document.createElement('img');
      t.src = p.src;
      t.alt = '';
      b.append(t);
    }
    b.append(...e.childNodes);
    b.addEventListener('click', () => { show(i, Number.isNaN(other) ? -1 : other); box.scrollIntoView(); canvas.focus({preventScroll: true}); });
    e.append(b);
  });
}

choice.addEventListener('change', () => show(+choice.value, shown[1]));
beside.addEventListener('change', () => show(shown[0], +beside.value));
picks.forEach((p, i) => p.addEventListener('click', () => show(i, -1)));
link();
let drawable = false;
try { drawable = open(); } catch (e) { console.error(e); gl = null; }
box.classList.toggle('stills', !drawable);
if (drawable) listen();
follow();
addEventListener('hashchange', follow);
})();
