// From what a person enters to the answer of the network, as `nnzoo predict` computes it.

// READERS convert raw input to a tensor: (input, raw) -> { tensor, problems, .. }. Each file with a kind of input adds one.
const READERS = {};

function loadModel(model) {
  return Object.assign({}, model, { layers: bindWeights(model.layers, decodeFloats(model.weights)) });
}

// Returns { problems } if the input can't be read, else the answer with the outputs of all layers.
function answerTo(model, raw) {
  const read = READERS[model.input.kind](model.input, raw);
  return read.problems.length ? read : answerOf(model, read);
}

// The same for an input that was read already.
function answerOf(model, read) {
  const level = model.far ? moveNear(model, read.tensor) : null;
  const input = read.isTokens ? read.tensor : scaleInput(model.scale, read.tensor);
  if (!model.takesLengths) delete input.valid;
  const layers = [];
  let outputs = computeLayers(model.layers, input, layers).data;
  if (level) outputs = outputs.map((x, m) => x + level[m]);
  const size = model.numOutputs, steps = [];
  for (let start = 0; start < outputs.length; start += size) {
    steps.push(decode(model, Array.from(outputs.subarray(start, start + size))));
  }
  return Object.assign(read, model.per === "step" ? { steps, layers } : Object.assign({ layers }, steps[0]));
}

// Outputs -> { probabilities, label } for classes, { labels } for several labels, or { values } in the unit of the target.
function decode(model, outputs) {
  if (model.task === "regression") {
    const { shift, scale } = model.target;
    return { outputs, values: outputs.map((x, i) => (shift ? x * scale[i] + shift[i] : x)) };
  }
  const probabilities = model.reads === "margins" ? null : probabilitiesOf(model, outputs);
  const threshold = model.reads === "probabilities" || model.reads === "values" ? 0.5 : 0;
  if (model.task === "multilabel") return { outputs, probabilities, labels: outputs.map((x) => (x > threshold ? 1 : 0)) };
  let label = outputs.indexOf(Math.max(...outputs));
  if (outputs.length === 1) label = outputs[0] > threshold ? 1 : 0;
  if (model.cutoff !== null) label = probabilities[1] >= model.cutoff ? 1 : 0;
  return { outputs, probabilities, label };
}

function probabilitiesOf(model, outputs) {
  let positive;
  if (model.reads === "logits") {
    const largest = Math.max(...outputs), powers = outputs.map((x) => Math.exp(x - largest));
    positive = powers.map((x) => x / powers.reduce((sum, y) => sum + y, 0));
  } else if (model.reads === "log_probabilities") positive = outputs.map(Math.exp);
  else if (model.reads === "log_odds") positive = outputs.map((x) => 1 / (1 + Math.exp(-x)));
  else positive = outputs.map((x) => Math.min(1, Math.max(0, x)));
  if (model.task === "multilabel") return positive;
  if (outputs.length === 1) return [1 - positive[0], positive[0]];
  const total = positive.reduce((sum, x) => sum + x, 0);
  return positive.map((x) => (total > 0 ? x / total : 1 / outputs.length));
}

// A forecast of changes is the same at every level, so that a window far from the training rows is moved near them first.
// Changes the tensor, and returns what is then added to the outputs; null if the window is near.
function moveNear(model, raw) {
  const [steps, size] = raw.shape, { columns, shift, scale, targetScale } = model.far;
  const away = new Float64Array(size);
  for (const column of columns) away[column] = raw.data[(steps - 1) * size + column] - shift[column];
  if (!columns.some((column) => Math.abs(away[column]) > model.far.distance * scale[column])) return null;
  raw.data = raw.data.map((x, i) => x - away[i % size]);
  return columns.map((column, m) => away[column] / targetScale[m]);
}
