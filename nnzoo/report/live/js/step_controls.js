// Controls of a sequence: a chart whose points can be dragged, and a table with a field for every value.

function stepControls(model, show) {
  const columns = model.input.columns, body = element("tbody", {}), chart = stepChart(model, () => refresh(true));
  let rows = [], fields = [];
  const refresh = (fromChart) => {
    if (fromChart) fields.forEach((row, step) => row.forEach((field, at) => field.set(rows[step][at])));
    else chart.draw(rows);
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
  set(model.samples.length ? model.samples[0].raw
    : Array.from({ length: model.input.steps }, () => columns.map(firstCell)));
  return [sampleSelect(model, (sample) => set(sample.raw)), chart.element, element("div",
    { class: "scroll long", tabindex: "0", role: "group", "aria-label": "Values of each step" },
    element("table", { class: "live-steps" }, head, body))].filter((part) => part);
}

// A line through the values of one column. Dragging with the mouse or a finger sets the value of the nearest step.
function stepChart(model, changed) {
  const numbers = model.input.columns.map((column, at) => [column, at]).filter(([column]) => column.kind === "number");
  const box = element("div", {});
  if (!numbers.length) return { element: box, draw: () => {} };
  const canvas = element("canvas", { width: 600, height: 170, class: "live-chart", role: "img",
    "aria-label": "The values over the steps; the table has a field for each" });
  const select = options(element("select", {}), numbers.map(([column]) => column.name));
  let rows = [], range = [0, 1];
  const valueAt = (row, [column, at]) => Number(plainNumber(column.form, row[at].trim()) || NaN);
  const draw = (given) => {
    rows = given;
    const chosen = numbers[Number(select.value)], values = rows.map((row) => valueAt(row, chosen));
    const known = values.filter((value) => Number.isFinite(value)).concat(chosen[0].low === undefined ? [] : [chosen[0].low, chosen[0].high]);
    range = known.length ? [Math.min(...known), Math.max(...known)] : [0, 1];
    if (range[0] === range[1]) range = [range[0] - 1, range[1] + 1];
    const pen = canvas.getContext("2d"), style = getComputedStyle(canvas);
    pen.clearRect(0, 0, 600, 170);
    pen.strokeStyle = pen.fillStyle = style.color;
    pen.beginPath();
    values.forEach((value, step) => pen.lineTo(xOf(step), yOf(value)));
    pen.stroke();
    values.forEach((value, step) => pen.fillRect(xOf(step) - 2, yOf(value) - 2, 4, 4));
  };
  const xOf = (step) => (rows.length > 1 ? 8 + (584 * step) / (rows.length - 1) : 300);
  const yOf = (value) => 162 - (154 * (value - range[0])) / (range[1] - range[0]);
  const drag = (event) => {
    if (!event.buttons) return;
    const area = canvas.getBoundingClientRect(), chosen = numbers[Number(select.value)];
    const x = ((event.clientX - area.left) / area.width) * 600, y = ((event.clientY - area.top) / area.height) * 170;
    const step = Math.max(0, Math.min(rows.length - 1, Math.round(((x - 8) / 584) * (rows.length - 1))));
    const share = Math.max(0, Math.min(1, (162 - y) / 154));
    rows[step][chosen[1]] = cellOfNumber(chosen[0], range[0] + share * (range[1] - range[0]));
    const kept = range;
    draw(rows);
    range = kept;
    changed();
  };
  canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); drag(event); });
  canvas.addEventListener("pointermove", drag);
  select.addEventListener("change", () => draw(rows));
  if (numbers.length > 1) box.append(labelled("Column in the chart", select));
  box.append(canvas, element("p", { class: "caption" }, "Drag a point up or down to change its value."));
  return { element: box, draw };
}
