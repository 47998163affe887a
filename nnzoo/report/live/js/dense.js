// Fully connected layers, batch norm and flattening.

// y = W x + b for each row of the last axis, with one row of W per output unit.
LAYERS.linear = function (layer, input) {
  const numIn = layer.in, numOut = layer.out, rows = input.data.length / numIn;
  const output = new Float64Array(rows * numOut);
  for (let row = 0; row < rows; row++) {
    for (let unit = 0; unit < numOut; unit++) {
      let sum = 0;
      for (let i = 0; i < numIn; i++) sum += layer.weight[unit * numIn + i] * input.data[row * numIn + i];
      output[row * numOut + unit] = layer.bias ? sum + layer.bias[unit] : sum;
    }
  }
  return tensor([...input.shape.slice(0, -1), numOut], output, input);
};

// Batch norm after training: the statistics are fixed, so that each channel has one factor and one offset.
LAYERS.batch_norm = function (layer, input) {
  const inner = input.data.length / input.shape[0];
  return tensor(input.shape, input.data.map((x, i) => {
    const channel = Math.floor(i / inner);
    return x * layer.factor[channel] + layer.offset[channel];
  }), input);
};

// All values as one vector. Values past the end of a sequence, whose steps are the last axis, are 0.
LAYERS.flatten = function (layer, input) {
  const data = input.valid === undefined || input.shape.length !== 2 ? input.data : withoutPadding(input, 0);
  return tensor([data.length], data);
};

// Replaces the values of (channels, steps) past the end of a sequence.
function withoutPadding(input, filler) {
  const steps = input.shape[1];
  return input.data.map((x, i) => (i % steps < input.valid ? x : filler));
}
