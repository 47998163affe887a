// Activations: functions of single values, and softmax and maxout, which read several.

function elementwise(name, compute) {
  LAYERS[name] = (layer, input) => tensor(input.shape, input.data.map((x) => compute(x, layer)), input);
}

elementwise("relu", (x) => Math.max(0, x));
elementwise("leaky_relu", (x, { slope }) => (x > 0 ? x : slope * x));
elementwise("elu", (x, { alpha }) => (x > 0 ? x : alpha * Math.expm1(x)));
elementwise("selu", (x) => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * Math.expm1(x)));
elementwise("silu", (x) => x * sigmoid(x));
elementwise("sigmoid", sigmoid);
elementwise("tanh", (x, { bound, slope }) => bound * Math.tanh(slope * x));
elementwise("softplus", (x, { beta, threshold }) => (beta * x > threshold ? x : Math.log1p(Math.exp(beta * x)) / beta));
elementwise("hardtanh", (x, { low, high }) => Math.min(high, Math.max(low, x)));
elementwise("step", (x) => (x > 0 ? 1 : 0));
elementwise("gelu", (x, { approximate }) =>
  approximate === "tanh"
    ? 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
    : 0.5 * x * (1 + erf(x / Math.SQRT2)));

function sigmoid(x) {
  return 1 / (1 + Math.exp(-x));
}

// The error function: its Taylor series near 0, and a continued fraction for the rest.
function erf(x) {
  const size = Math.abs(x);
  if (size > 6) return Math.sign(x);
  if (size < 2.5) {
    let term = x, sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= -x * x / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (size + fraction);
  return Math.sign(x) * (1 - Math.exp(-size * size) / Math.sqrt(Math.PI) / (size + fraction));
}

// One slope for negative values, or one per channel.
LAYERS.prelu = function (layer, input) {
  const inner = input.data.length / layer.slopes.length;
  return tensor(input.shape, input.data.map((x, i) => (x > 0 ? x : layer.slopes[Math.floor(i / inner)] * x)), input);
};

// The largest of `pieces` neighbouring channels.
LAYERS.maxout = function (layer, input) {
  const pieces = layer.pieces, units = input.shape[0] / pieces, inner = input.data.length / input.shape[0];
  const output = new Float64Array(units * inner).fill(-Infinity);
  input.data.forEach((x, i) => {
    const at = Math.floor(i / inner / pieces) * inner + (i % inner);
    output[at] = Math.max(output[at], x);
  });
  return tensor([units, ...input.shape.slice(1)], output, input);
};

LAYERS.softmax = (layer, input) => alongAxis(layer, input, (values) => softmax(values));
LAYERS.log_softmax = (layer, input) => alongAxis(layer, input, (values) => softmax(values).map(Math.log));

function softmax(values) {
  const largest = Math.max(...values), powers = values.map((x) => Math.exp(x - largest));
  const total = powers.reduce((sum, x) => sum + x, 0);
  return powers.map((x) => x / total);
}

// Applies a function of vectors along one axis.
function alongAxis(layer, input, compute) {
  const axis = layer.axis < 0 ? input.shape.length + layer.axis : layer.axis;
  const size = input.shape[axis], inner = sizeOf(input.shape.slice(axis + 1));
  const output = new Float64Array(input.data.length);
  for (let start = 0; start < input.data.length; start += size * inner) {
    for (let offset = start; offset < start + inner; offset++) {
      const values = Array.from({ length: size }, (_, i) => input.data[offset + i * inner]);
      compute(values).forEach((x, i) => { output[offset + i * inner] = x; });
    }
  }
  return tensor(input.shape, output, input);
}
