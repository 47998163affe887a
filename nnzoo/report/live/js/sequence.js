// Layers at the start of networks on tokens and sequences.

// One vector per token: (steps) -> (steps, dim).
LAYERS.embedding = function (layer, input) {
  const output = new Float64Array(input.data.length * layer.dim);
  input.data.forEach((token, step) => {
    const known = input.valid === undefined || step < input.valid ? token : 0;
    output.set(layer.weight.subarray(known * layer.dim, (known + 1) * layer.dim), step * layer.dim);
  });
  return tensor([input.data.length, layer.dim], output, input);
};

// (steps, features) -> (features, steps): convolutions slide along the last axis.
LAYERS.channels_first = function (layer, input) {
  const [steps, size] = input.shape, output = new Float64Array(input.data.length);
  input.data.forEach((x, i) => { output[(i % size) * steps + Math.floor(i / size)] = x; });
  return tensor([size, steps], output, input);
};

// A forecast of changes: the network reads the window relative to its last step, and the last values are added again.
LAYERS.relative = function (layer, input, seen) {
  const [steps, size] = input.shape, last = input.data.slice((steps - 1) * size);
  const window = input.data.map((x, i) => Math.fround(x - last[i % size] * layer.relative[i % size]));
  const changes = computeLayers(layer.layers, tensor(input.shape, window, input), seen), outputs = layer.bias.length;
  return tensor([outputs], changes.data.map((change, m) => {
    let value = change + layer.bias[m];
    for (let f = 0; f < size; f++) value += last[f] * layer.weight[f * outputs + m];
    return value;
  }));
};
