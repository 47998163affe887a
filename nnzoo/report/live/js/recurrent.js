// Recurrent layers: the same weights at every step of a sequence (steps, features). Padding is left out, not computed.

// The rows of an image (channels, height, width) as steps of channels * width values.
LAYERS.image_rows = function (layer, input) {
  const [channels, height, width] = input.shape, output = new Float64Array(input.data.length);
  input.data.forEach((x, i) => {
    const channel = Math.floor(i / (height * width)), row = Math.floor(i / width) % height;
    output[(row * channels + channel) * width + (i % width)] = x;
  });
  return tensor([height, channels * width], output);
};

// W v + b, added to `sums`.
function addProduct(weight, vector, bias, sums) {
  const size = vector.length;
  for (let unit = 0; unit < sums.length; unit++) {
    let sum = bias[unit];
    for (let i = 0; i < size; i++) sum += weight[unit * size + i] * vector[i];
    sums[unit] += sum;
  }
  return sums;
}

// The gates are rows of the weights: those of the first gate, then those of the next one.
const CELLS = {
  // h = tanh(W x + U h + b)
  rnn(layer, weights, x, { h }) {
    const sums = addProduct(weights.input, x, weights.inputBias, new Float64Array(layer.hidden));
    addProduct(weights.state, h, weights.stateBias, sums);
    return { h: sums.map((sum) => (layer.relu ? Math.max(0, sum) : Math.tanh(sum))) };
  },
  // i, f, g, o; c = f * c + i * g; h = o * tanh(c)
  lstm(layer, weights, x, { h, c }) {
    const n = layer.hidden, sums = addProduct(weights.input, x, weights.inputBias, new Float64Array(4 * n));
    addProduct(weights.state, h, weights.stateBias, sums);
    const cell = c.map((old, k) => logistic(sums[n + k]) * old + logistic(sums[k]) * Math.tanh(sums[2 * n + k]));
    return { c: cell, h: cell.map((value, k) => logistic(sums[3 * n + k]) * Math.tanh(value)) };
  },
  // r, z, n; the reset gate r multiplies U h after the product, as in PyTorch; h = (1 - z) * n + z * h
  gru(layer, weights, x, { h }) {
    const n = layer.hidden, fromInput = addProduct(weights.input, x, weights.inputBias, new Float64Array(3 * n));
    const fromState = addProduct(weights.state, h, weights.stateBias, new Float64Array(3 * n));
    return {
      h: h.map((old, k) => {
        const reset = logistic(fromInput[k] + fromState[k]);
        const keep = logistic(fromInput[n + k] + fromState[n + k]);
        return (1 - keep) * Math.tanh(fromInput[2 * n + k] + reset * fromState[2 * n + k]) + keep * old;
      }),
    };
  },
};

function logistic(x) {
  return 1 / (1 + Math.exp(-x));
}

// The state after each step, (steps, hidden); with two directions, those of the backward one follow in each row.
LAYERS.recurrent = function (layer, input) {
  const steps = input.valid === undefined ? input.shape[0] : input.valid, size = input.shape[1], n = layer.hidden;
  const width = n * layer.directions.length, output = new Float64Array(steps * width);
  layer.directions.forEach((weights, direction) => {
    let state = { h: new Float64Array(n), c: new Float64Array(n) };
    for (let number = 0; number < steps; number++) {
      const step = direction ? steps - 1 - number : number;
      state = CELLS[layer.cell](layer, weights, input.data.subarray(step * size, (step + 1) * size), state);
      output.set(state.h, step * width + direction * n);
    }
  });
  return tensor([steps, width], output);
};

// One vector for the output layer: the last state of each direction, or the mean or the maximum over the steps.
LAYERS.pool_steps = function (layer, input) {
  const [steps, width] = input.shape, row = (step) => input.data.subarray(step * width, (step + 1) * width);
  const output = new Float64Array(width);
  for (let k = 0; k < width; k++) {
    if (layer.of === "last") {
      output[k] = row(layer.bidirectional && k >= width / 2 ? 0 : steps - 1)[k];
      continue;
    }
    output[k] = layer.of === "max" ? -Infinity : 0;
    for (let step = 0; step < steps; step++) {
      output[k] = layer.of === "max" ? Math.max(output[k], row(step)[k]) : output[k] + row(step)[k] / steps;
    }
  }
  return tensor([width], output);
};

// The output layer at every step: (steps, hidden) -> (steps, outputs).
LAYERS.each_step = function (layer, input) {
  const [steps, width] = input.shape;
  const rows = Array.from({ length: steps }, (_, step) =>
    computeLayers(layer.layers, tensor([width], input.data.slice(step * width, (step + 1) * width))).data);
  const size = rows[0].length, output = new Float64Array(steps * size);
  rows.forEach((row, step) => output.set(row, step * size));
  return tensor([steps, size], output);
};
