// Controls of a sequence: a chart whose points can be dragged, and a table with a field for every value.

function stepControls(model, show, view) {
  const columns = model.input.columns, body = element("tbody", {}), chart = stepChart(model, view, () => refresh(true));
  let rows = [], fields = [];
  const refresh = (fromChart) => {
    if (fromChart) fields.forEach((row, step) => row.forEach((field, at) => field.set(rows[step][at])));
    show(rows.map((row) => row.slice()));
  };
  const set = (raw) => {
    rows = raw.map((row) => row.slice());
    fields = rows.map((row, step) => columns.map((column, at) => {
      const name = `step ${step + 1}, ${column.name}`;
      const field = cellField(model.input, column, name, (text) => { row[at] = text; refresh(false); });
      field.control.setAttribute("aria-label", name);
      field.set(row[at]);
      return field;
    }));
    body.replaceChildren(...fields.map((row, step) => element("tr", {}, element("th", { scope: "row" }, String(step + 1)),
      ...row.map((field) => element("td", {}, field.control)))));
    refresh(false);
  };
  const head = element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "step"),
    ...columns.map((column) => element("th", { scope: "col" }, isolated(column.name, 30)))));
  view.listeners.push((found) => chart.draw(rows, found));
  set(model.samples.length ? model.samples[0].raw
    : Array.from({ length: model.input.steps }, () => columns.map(firstCell)));
  return [sampleSelect(model, (sample) => set(sample.raw)), chart.element, element("div",
    { class: "scroll long", tabindex: "0", role: "group", "aria-label": "Values of each step" },
    element("table", { class: "live-steps" }, head, body))].filter((part) => part);
}

// A line through the values of one column. Dragging with the mouse or a finger sets the value of the nearest step.
function stepChart(model, view, changed) {
  const numbers = model.input.columns.map((column, at) => [column, at]).filter(([column]) => column.kind === "number");
  const box = element("div", {});
  if (!numbers.length) return { element: box, draw: () => {} };
  const canvas = element("canvas", { width: 600, height: 170, class: "live-chart", role: "img",
    "aria-label": "The values over the steps; the table has a field for each" });
  const select = options(element("select", {}), numbers.map(([column]) => column.name));
  let rows = [], range = [0, 1], forecast = [], isDragging = false;
  const valueAt = (row, [column, at]) => Number(plainNumber(column.form, row[at].trim()) || NaN);
  const draw = (given, found) => {
    rows = given;
    const chosen = numbers[Number(select.value)], values = rows.map((row) => valueAt(row, chosen));
    if (found) forecast = forecastOf(model, found, chosen[0].name);
    if (!isDragging) range = rangeOf(chosen[0], [...values, ...forecast]);
    const pen = canvas.getContext("2d"), points = [...values, ...forecast], style = getComputedStyle(canvas);
    pen.clearRect(0, 0, 600, 170);
    pen.strokeStyle = pen.fillStyle = style.color || "#2563eb";
    pen.setLineDash([]);
    pen.beginPath();
    values.forEach((value, step) => pen.lineTo(xOf(step), yOf(value)));
    pen.stroke();
    pen.setLineDash([4, 4]);
    pen.beginPath();
    points.forEach((value, step) => { if (step >= values.length - 1) pen.lineTo(xOf(step), yOf(value)); });
    pen.stroke();
    pen.setLineDash([]);
    points.forEach((value, step) => (step < values.length
      ? pen.fillRect(xOf(step) - 3, yOf(value) - 3, 6, 6) : pen.strokeRect(xOf(step) - 3, yOf(value) - 3, 6, 6)));
  };
  const last = () => Math.max(1, rows.length + forecast.length - 1), xOf = (step) => 8 + (584 * step) / last();
  const yOf = (value) => 162 - (154 * (value - range[0])) / (range[1] - range[0]);
  const drag = (event) => {
    if (!event.buttons) return;
    const area = canvas.getBoundingClientRect(), chosen = numbers[Number(select.value)];
    const x = ((event.clientX - area.left) / area.width) * 600, y = ((event.clientY - area.top) / area.height) * 170;
    const step = Math.max(0, Math.min(rows.length - 1, Math.round(((x - 8) / 584) * last())));
    const share = Math.max(0, Math.min(1, (162 - y) / 154));
    rows[step][chosen[1]] = cellOfNumber(chosen[0], range[0] + share * (range[1] - range[0]));
    changed();
  };
  canvas.addEventListener("pointerdown", (event) => {
    isDragging = true; // the axis stays while a point is dragged
    keepPointer(canvas, event);
    drag(event);
  });
  canvas.addEventListener("pointerup", () => { isDragging = false; draw(rows); });
  canvas.addEventListener("pointermove", drag);
  select.addEventListener("change", () => draw(rows, view.last));
  if (numbers.length > 1) box.append(labelled("Column in the chart", select));
  box.append(canvas, element("p", { class: "caption" }, 
    model.input.isSeries ? "Drag a point up or down to change its value. The dashed line is the forecast." : "Drag a point up or down to change its value."));
  return { element: box, draw };
}

// The forecast of a column: the outputs are named "column+1", "column+2", ..
function forecastOf(model, found, name) {
  if (!model.input.isSeries || !found.values) return [];
  return found.values.filter((_, i) => model.targets[i].replace(/\+\d+$/, "") === name);
}

function rangeOf(column, values) {
  const known = values.filter((value) => Number.isFinite(value)).concat(column.low === undefined ? [] : [column.low, column.high]);
  const [low, high] = known.length ? [Math.min(...known), Math.max(...known)] : [0, 1];
  return low === high ? [low - 1, high + 1] : [low, high];
}
