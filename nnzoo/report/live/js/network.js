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

// Decodes base 85 as bytes: five characters are the digits of four bytes. encoding.py has the same characters.
function decodeBytes(text) {
  const codes = new Uint8Array(127);
  for (let code = 33, digit = 0; digit < 85; code++) if (!'"\\<>&'.includes(String.fromCharCode(code))) codes[code] = digit++;
  const words = new Uint32Array(text.length / 5);
  for (let i = 0; i < words.length; i++) {
    let word = 0;
    for (let k = 0; k < 5; k++) word = word * 85 + codes[text.charCodeAt(5 * i + k)];
    words[i] = word;
  }
  return words.buffer;
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
