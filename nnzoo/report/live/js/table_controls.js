// Controls of a table row: a number has a field and a slider, a category a select box, a date a field.

CONTROLS.table = function (model, show, view) {
  return model.input.steps ? stepControls(model, show, view) : rowControls(model, show, view);
};

const MAX_FIELDS = 120;

function rowControls(model, show, view) {
  const columns = model.input.columns, cells = columns.map(firstCell);
  const changed = () => show(cells.slice());
  const fields = columns.slice(0, MAX_FIELDS).map((column, at) =>
    cellField(model.input, column, column.name, (text) => { cells[at] = text; changed(); }));
  const set = (row) => {
    row.forEach((cell, at) => { cells[at] = cell; });
    fields.forEach((field, at) => field.set(cells[at]));
    changed();
  };
  const parts = [sampleSelect(model, (sample) => set(sample.raw)), element("div", { class: "live-fields" },
    ...fields.map((field, at) => labelled(columns[at].name, field.control, ...field.more)))];
  if (columns.length > MAX_FIELDS) {
    parts.push(element("p", { class: "caption" },
      `The first ${MAX_FIELDS} of ${columns.length} columns can be edited; the others keep the values of the sample.`));
  }
  if (typeof inputMap === "function") parts.push(inputMap(model, view, cells, set));
  set(model.samples.length ? model.samples[0].raw : cells);
  return parts.filter((part) => part);
}

function firstCell(column) {
  if (column.kind === "number") return cellOfNumber(column, column.required && column.low !== undefined ? (column.low + column.high) / 2 : column.fill);
  return column.kind === "category" ? column.categories[0] : column.kind === "boolean" ? (column.fill ? "true" : "false") : "";
}

// A number as a cell in the format of its column.
function cellOfNumber(column, value) {
  const text = String(column.whole ? Math.round(value) : Number(value.toPrecision(5)));
  const unit = column.form.unit;
  return (column.form.decimal === "," ? text.replace(".", ",") : text) + (unit ? (unit === "%" ? unit : ` ${unit}`) : "");
}

// The control of a cell: { control, more, set }. `change` receives the cell as text.
function cellField(input, column, name, change) {
  if (column.kind === "category" || column.kind === "boolean") return choiceField(input, column, change);
  const empty = column.required ? "" : column.kind === "number" && !input.isSeries ? `missing: ${shown(column.fill)} is used` : "missing";
  const control = element("input", {
    type: "text", autocomplete: "off", placeholder: empty, title: column.hint || null,
    inputmode: column.kind === "number" ? "decimal" : null,
  });
  const more = [];
  let slide = () => {};
  if (column.kind === "number" && column.high > column.low && !input.steps) {
    // A power of ten, so that the slider gives round numbers.
    const step = column.whole ? 1 : 10 ** Math.floor(Math.log10((column.high - column.low) / 50));
    const [min, max] = [Math.floor(column.low / step) * step, Math.ceil(column.high / step) * step];
    const slider = element("input", { type: "range", min, max, step, "aria-label": `${name}, slider` });
    slider.addEventListener("input", () => {
      control.value = cellOfNumber(column, Number(slider.value));
      change(control.value);
    });
    slide = (text) => {
      const plain = plainNumber(column.form, text.trim());
      if (plain !== null) slider.value = plain;
    };
    more.push(slider);
  }
  control.addEventListener("input", () => { slide(control.value); change(control.value); });
  return { control, more, set: (text) => { control.value = text; slide(text); } };
}

function choiceField(input, column, change) {
  const cells = column.kind === "boolean" ? ["true", "false"] : column.categories.slice();
  const names = cells.slice();
  if (column.kind === "category") { cells.push(input.other); names.push(input.other); }
  cells.push("");
  names.push("(missing)");
  const control = options(element("select", {}), names);
  control.addEventListener("change", () => change(cells[Number(control.value)]));
  return { control, more: [], set: (text) => { control.value = Math.max(0, cells.indexOf(text)); } };
}
