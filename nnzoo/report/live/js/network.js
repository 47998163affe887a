// Computes a trained network: a list of layers, each of which turns one tensor into the next.
//
// A tensor is { shape: [3, 28, 28], data: Float64Array }, with the last axis the fastest. A tensor of a sequence also has
// `valid`, the number of steps before its padding, and its steps are the axis `stepAxis`. Every layer is a pure function
// (layer, input) -> output, registered in LAYERS under its kind by the file that defines it.
const LAYERS = {};

function tensor(shape, data, like) {
  const made = { shape, data };
  if (like && like.valid !== undefined) made.valid = like.valid;
  return made;
}

function sizeOf(shape) {
  return shape.reduce((product, size) => product * size, 1);
}

// Decodes base64 to bytes. The page needs no library for it, and tests no browser.
function decodeBase64(text) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const codes = new Uint8Array(128);
  for (let i = 0; i < 64; i++) codes[alphabet.charCodeAt(i)] = i;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  for (let i = 0, at = 0; i < text.length; i += 4) {
    const group =
      (codes[text.charCodeAt(i)] << 18) | (codes[text.charCodeAt(i + 1)] << 12) |
      (codes[text.charCodeAt(i + 2)] << 6) | codes[text.charCodeAt(i + 3)];
    for (let shift = 16; shift >= 0 && at < bytes.length; shift -= 8) bytes[at++] = (group >> shift) & 255;
  }
  return bytes;
}

function decodeFloats(text) {
  return new Float32Array(decodeBase64(text).buffer);
}

function decodeDoubles(text) {
  return new Float64Array(decodeBase64(text).buffer);
}

// Replaces the places of the weights of each layer by the weights themselves.
function bindWeights(layers, floats) {
  return layers.map((layer) => {
    const bound = Object.assign({}, layer);
    for (const [name, [start, count]] of Object.entries(layer.weights || {})) {
      bound[name] = floats.subarray(start, start + count);
    }
    if (layer.layers) bound.layers = bindWeights(layer.layers, floats);
    if (layer.directions) bound.directions = bindWeights(layer.directions, floats);
    return bound;
  });
}

// Computes the layers one after the other. `seen` receives title, kind and output of each layer that has a title.
function computeLayers(layers, input, seen) {
  let value = input;
  for (const layer of layers) {
    value = LAYERS[layer.kind](layer, value, seen);
    if (seen && layer.title) seen.push({ title: layer.title, kind: layer.kind, tensor: value });
  }
  return value;
}
