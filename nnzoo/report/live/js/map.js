// The answer over one or two inputs, with the point of the entered values, which can be dragged.

const CURVE_POINTS = 160, MAP_SIZE = 300;

// Returns the map, or null for other numbers of inputs. `set` receives the cells of a new point.
function inputMap(model, view, cells, set) {
  const columns = model.input.columns;
  const fits = columns.length <= 2 && columns.every((column) => column.kind === "number" && !column.indicator && column.high > column.low);
  if (!fits || model.per !== "sample") return null;
  const ranges = columns.map(({ low, high }) => [low - 0.1 * (high - low), high + 0.1 * (high - low)]);
  const answerAt = (point) => answerOf(model, { tensor: tensor([point.length], Float64Array.from(point)), problems: [], warnings: [] });
  const back = element("canvas", { "aria-hidden": "true" }), point = element("span", { class: "live-point", tabindex: "0", role: "img" });
  const box = element("div", { class: "live-map" }, back, point);
  const draw = columns.length === 2 ? () => drawRegions(model, back, ranges, answerAt) : () => drawCurve(model, back, ranges[0], answerAt);
  draw();
  const values = () => columns.map((column, at) => Number(plainNumber(column.form, cells[at].trim()) || NaN));
  view.listeners.push(() => {
    const shares = values().map((value, at) => (value - ranges[at][0]) / (ranges[at][1] - ranges[at][0]));
    point.style.left = `${100 * Math.max(0, Math.min(1, shares[0]))}%`;
    point.style.top = columns.length === 2 ? `${100 - 100 * Math.max(0, Math.min(1, shares[1]))}%` : "50%";
    point.setAttribute("aria-label", `Point at ${columns.map((column, at) => `${column.name} ${cells[at]}`).join(", ")}; arrow keys move it`);
  });
  const move = (place) => set(place.map((value, at) => cellOfNumber(columns[at], value)));
  const drag = (event) => {
    if (!event.buttons) return;
    const area = box.getBoundingClientRect();
    const shares = [(event.clientX - area.left) / area.width, 1 - (event.clientY - area.top) / area.height];
    move(columns.map((_, at) => ranges[at][0] + Math.max(0, Math.min(1, shares[at])) * (ranges[at][1] - ranges[at][0])));
  };
  box.addEventListener("pointerdown", (event) => { keepPointer(box, event); drag(event); event.preventDefault(); });
  box.addEventListener("pointermove", drag);
  const keys = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  point.addEventListener("keydown", (event) => {
    const step = keys[event.key];
    if (!step) return;
    event.preventDefault();
    move(values().map((value, at) => value + (step[at] * (ranges[at][1] - ranges[at][0])) / 50));
  });
  const text = columns.length === 2
    ? `Drag the point: ${columns[0].name} runs to the right, ${columns[1].name} upward.` : `Drag the point along ${columns[0].name}.`;
  return element("div", {}, box, element("p", { class: "caption" }, isolated(text, 200)));
}

// The color of the likeliest class, paler where it is less likely; for values, blue is above 0 and orange below.
function drawRegions(model, canvas, ranges, answerAt) {
  const found = [], cells = model.weights.length > 100000 ? 20 : 48; // a large network takes longer
  for (let y = 0; y < cells; y++) {
    for (let x = 0; x < cells; x++) {
      found.push(answerAt([(x + 0.5) / cells, 1 - (y + 0.5) / cells].map((share, at) => ranges[at][0] + share * (ranges[at][1] - ranges[at][0]))));
    }
  }
  const largest = Math.max(...found.map((each) => Math.abs((each.values || [0])[0]))) || 1;
  paint(canvas, cells, cells, (x, y) => y * cells + x, MAP_SIZE, (at) => {
    const each = found[at];
    if (each.values) return diverging(each.values[0] / largest);
    if (each.labels) return diverging(each.probabilities ? 2 * each.probabilities[0] - 1 : 2 * each.labels[0] - 1);
    const classes = model.classes.length, best = each.probabilities ? each.probabilities[each.label] : 1;
    const share = 0.12 + 0.53 * Math.max(0, (best - 1 / classes) / (1 - 1 / classes));
    return CLASS_COLORS[each.label % CLASS_COLORS.length].map((color) => 255 + share * (color - 255));
  });
}

// The values or the probabilities over one input.
function drawCurve(model, canvas, range, answerAt) {
  canvas.width = 2 * MAP_SIZE;
  canvas.height = 300;
  canvas.style.width = `${MAP_SIZE}px`;
  const xs = Array.from({ length: CURVE_POINTS }, (_, i) => range[0] + ((range[1] - range[0]) * i) / (CURVE_POINTS - 1));
  const rows = xs.map((x) => { const each = answerAt([x]); return each.values || each.probabilities || [each.label]; });
  const all = rows.flat(), low = Math.min(...all), high = Math.max(...all), pen = canvas.getContext("2d");
  for (let k = 0; k < Math.min(8, rows[0].length); k++) {
    pen.strokeStyle = `rgb(${CLASS_COLORS[k % CLASS_COLORS.length].join(",")})`;
    pen.lineWidth = 4;
    pen.beginPath();
    rows.forEach((row, i) => pen.lineTo((i / (CURVE_POINTS - 1)) * canvas.width, 285 - (270 * (row[k] - low)) / (high - low || 1)));
    pen.stroke();
  }
}
