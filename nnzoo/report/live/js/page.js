// The part of the page in which a person tries the network: controls, the answer, and the activations of each layer.

// CONTROLS build what a person enters: (model, show, view) -> elements. They call show(raw) at the start and after each
// change. view.listeners are called with each answer, and view.last is the last one.
const CONTROLS = {};
const NEGATIVE = [194, 80, 10], ZERO = [247, 247, 247], POSITIVE = [33, 102, 172];
const CLASS_COLORS = [[37, 99, 235], [217, 119, 6], [5, 150, 105], [147, 51, 234], [220, 38, 38], [8, 145, 178], [190, 24, 93]];
const MAX_BARS = 12, MAX_MAPS = 64, MAX_ROWS = 200;
let count = 0;

// An element with attributes and children. Texts become text nodes, so that no text is ever read as HTML.
function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

// A label beside its control.
function labelled(text, control, ...more) {
  control.id = control.id || `live-${++count}`;
  return element("div", { class: "live-field" }, element("label", { for: control.id }, isolated(text)), control, ...more);
}

// A text from data, cut and isolated from the direction of the text around it.
function isolated(text, limit) {
  const shown = String(text).replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
  return element("bdi", {}, shown.length > (limit || 60) ? `${shown.slice(0, (limit || 60) - 1)}…` : shown);
}

// Keeps receiving the moves of a pointer that leaves an element. A pointer may have ended before its event is handled.
function keepPointer(target, event) {
  try { target.setPointerCapture(event.pointerId); } catch (error) { if (error.name !== "NotFoundError") throw error; }
}

function options(select, names) {
  names.forEach((name, i) => select.append(element("option", { value: i }, isolated(name, 80).textContent)));
  return select;
}

// A select box with the samples of the run; null without samples. `empty` is the name of a first choice without a sample.
function sampleSelect(model, choose, empty) {
  const samples = model.samples.map((sample) => sample.label);
  if (!samples.length) return null;
  const shift = empty ? 1 : 0;
  const select = options(element("select", {}), empty ? [empty, ...samples] : samples);
  select.addEventListener("change", () => choose(model.samples[Number(select.value) - shift]));
  return labelled(model.samplesFrom, select);
}

function shown(value) {
  return Number.isInteger(value) && Math.abs(value) < 1e15 ? String(value) : String(Number(value.toPrecision(5)));
}

function percent(share) {
  return `${(100 * share).toFixed(share > 0.9995 && share < 1 ? 3 : 1)} %`;
}

function start(root) {
  const model = loadModel(JSON.parse(root.querySelector("script").textContent));
  const answer = element("p", { class: "live-answer", role: "status", "aria-live": "polite" });
  const notes = element("ul", { class: "live-notes", role: "status" }), bars = element("div", {});
  const layers = element("details", { open: true, class: "live-layers" }, element("summary", {}, "Activations of each layer"));
  let pending = null, waiting = null;
  const view = { last: null, listeners: [] };
  const compute = () => {
    pending = null;
    const found = answerTo(model, waiting);
    showNotes(notes, found);
    view.last = found;
    if (found.problems.length) { answer.textContent = "No answer: see below."; return; }
    showAnswer(model, found, answer, bars);
    showLayers(layers, found.layers);
    view.listeners.forEach((listener) => listener(found, waiting));
  };
  // Changes that follow each other quickly are computed once.
  const show = (raw) => {
    waiting = raw;
    if (pending === null) pending = setTimeout(compute, 15);
  };
  const controls = element("div", { class: "live-controls" }), results = element("div", { class: "live-results" });
  controls.append(...CONTROLS[model.input.kind](model, show, view));
  results.append(answer, notes, bars, layers);
  root.append(element("div", { class: "live-columns" }, controls, results));
}

function showNotes(list, { problems, warnings }) {
  list.replaceChildren(...[...problems, ...warnings].slice(0, 8).map(({ text }) => element("li", {}, isolated(text, 300))));
}

function showAnswer(model, found, answer, bars) {
  if (model.per === "step") { showSteps(model, found, answer, bars); return; }
  if (model.task === "regression") {
    answer.replaceChildren(isolated(model.targets[0]), `: ${shown(found.values[0])}${found.values.length > 1 ? ", …" : ""}`);
    const rows = found.values.length > 1 ? found.values.map((value, i) => [model.targets[i], null, shown(value)]) : [];
    bars.replaceChildren(...(rows.length ? [barTable("Predicted values", rows.slice(0, MAX_ROWS))] : []));
    return;
  }
  const chosen = found.labels ? model.classes.filter((_, i) => found.labels[i]) : [model.classes[found.label]];
  const sure = found.labels || !found.probabilities ? "" : ` (${percent(found.probabilities[found.label])})`;
  const names = chosen.flatMap((name, i) => (i ? [", ", isolated(name)] : [isolated(name)]));
  answer.replaceChildren(isolated(model.question || "Prediction"), ": ", ...(names.length ? names : ["none"]), sure);
  bars.replaceChildren(...(found.probabilities ? [probabilityTable(model.classes, found.probabilities)] : []));
}

// All classes in their order, or the likeliest of many.
function probabilityTable(classes, probabilities, what) {
  const rows = probabilities.map((share, i) => [classes[i], share, percent(share)]);
  if (rows.length > MAX_BARS) rows.sort((one, other) => other[1] - one[1]);
  const title = rows.length > MAX_BARS ? `Probabilities of the ${MAX_BARS} likeliest ${what || "classes"}` : "Probabilities";
  return barTable(title, rows.slice(0, MAX_BARS));
}

function barTable(title, rows) {
  return element("table", { class: "live-bars" }, element("caption", {}, title), element("tbody", {},
    ...rows.map(([name, share, text]) => {
      const bar = element("span", { class: "live-bar", "aria-hidden": "true" });
      if (share !== null) bar.style.width = `${100 * Math.max(0, Math.min(1, share))}%`;
      return element("tr", {}, element("th", { scope: "row", class: String(name).length > 20 ? "long" : null }, isolated(name)),
        share === null ? "" : element("td", { class: "live-track" }, bar), element("td", { class: "n" }, text));
    })));
}

// The answer at every step; for a language model, the symbols that may follow.
function showSteps(model, found, answer, bars) {
  const last = found.steps[found.steps.length - 1];
  if (model.input.isLanguage) {
    const name = isolated(nameOfSymbol(model.classes[last.label]));
    answer.replaceChildren("Likeliest next symbol: ", name, ` (${percent(last.probabilities[last.label])})`);
    bars.replaceChildren(probabilityTable(model.classes.map(nameOfSymbol), last.probabilities, "symbols"));
    return;
  }
  answer.textContent = `An answer at each of ${found.steps.length} steps`;
  bars.replaceChildren(barTable("Answers", found.steps.slice(0, MAX_ROWS).map((step, i) => {
    if (step.values) return [`step ${i + 1}`, null, step.values.map(shown).join(", ")];
    const share = step.probabilities ? step.probabilities[step.label] : null;
    return [`step ${i + 1}: ${model.classes[step.label]}`, share, share === null ? "" : percent(share)];
  })));
}

function nameOfSymbol(symbol) {
  return { " ": "space", "\n": "line break", "\t": "tab" }[symbol] || symbol;
}

function showLayers(details, layers) {
  const known = details.querySelectorAll("figure");
  layers.forEach((layer, i) => {
    let figure = known[i];
    if (!figure) {
      figure = element("figure", {}, element("canvas", { role: "img" }), element("figcaption", {}));
      details.append(figure);
    }
    const canvas = figure.querySelector("canvas"), { data, shape } = withoutPaddedSteps(layer);
    const low = data.reduce((least, x) => Math.min(least, x), Infinity), high = data.reduce((most, x) => Math.max(most, x), -Infinity);
    const size = data.length === 1 ? "1 value," : `${shape.join(" × ")} values from`;
    const text = `${layer.title}: ${size} ${data.length === 1 ? shown(low) : `${shown(low)} to ${shown(high)}`}`;
    drawTensor(canvas, shape, data, isOfSteps(layer), Math.max(Math.abs(low), Math.abs(high)) || 1);
    canvas.setAttribute("aria-label", text);
    figure.querySelector("figcaption").replaceChildren(isolated(text, 120));
  });
}

// Whether the first axis of an output is that of the steps.
function isOfSteps(layer) {
  return ["recurrent", "embedding", "each_step"].includes(layer.kind);
}

// The output without the steps past the end of a sequence.
function withoutPaddedSteps(layer) {
  const { shape, data, valid } = layer.tensor;
  if (valid === undefined || shape.length !== 2) return layer.tensor;
  if (isOfSteps(layer)) return { shape: [valid, shape[1]], data: data.subarray(0, valid * shape[1]) };
  return { shape: [shape[0], Math.min(valid, shape[1])], data: data.filter((_, i) => i % shape[1] < valid) };
}

// Blue is positive, orange is negative, white is 0. Maps of channels are side by side, steps run to the right.
function drawTensor(canvas, shape, data, isSteps, scale) {
  if (shape.length === 3 && shape[1] * shape[2] > 1) {
    const [channels, height, width] = shape, maps = Math.min(channels, MAX_MAPS), across = Math.min(maps, 16);
    const down = Math.ceil(maps / across);
    paint(canvas, across * (width + 1) - 1, down * (height + 1) - 1, (x, y) => {
      const column = x % (width + 1), row = y % (height + 1);
      const channel = Math.floor(y / (height + 1)) * across + Math.floor(x / (width + 1));
      return column === width || row === height || channel >= maps ? null : data[(channel * height + row) * width + column] / scale;
    }, 8 * width * across);
  } else if (shape.length === 2 && shape[0] * shape[1] > Math.max(...shape)) {
    const [rows, columns] = isSteps ? [shape[1], shape[0]] : shape;
    paint(canvas, columns, rows, (x, y) => data[isSteps ? x * rows + y : y * columns + x] / scale, 14 * columns);
  } else {
    const across = data.length <= 32 ? data.length : Math.ceil(2 * Math.sqrt(data.length));
    paint(canvas, across, Math.ceil(data.length / across), (x, y) => {
      const at = y * across + x;
      return at < data.length ? data[at] / scale : null;
    }, 18 * across);
  }
}

// Paints a canvas cell by cell; null leaves a cell empty.
function paint(canvas, width, height, shareAt, cssWidth, colorOf) {
  canvas.width = width;
  canvas.height = height;
  canvas.style.width = `${Math.min(cssWidth, 640)}px`;
  const drawing = canvas.getContext("2d"), image = drawing.createImageData(width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const share = shareAt(x, y);
      if (share === null) continue;
      image.data.set([...(colorOf || diverging)(share), 255], 4 * (y * width + x));
    }
  }
  drawing.putImageData(image, 0, 0);
}

function diverging(share) {
  const toward = share < 0 ? NEGATIVE : POSITIVE, size = Math.min(1, Math.abs(share));
  return ZERO.map((zero, i) => zero + size * (toward[i] - zero));
}
