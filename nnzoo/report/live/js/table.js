// Cells as they are typed in a CSV file -> features, by the formats that were found in the training rows.

// Raw input is one row, a list of cells, or for a sequence a list of rows. Columns without a value get their fill value.
READERS.table = function (input, raw) {
  const rows = input.steps ? raw : [raw], problems = [], warnings = [];
  const read = rows.map((row, step) => input.columns.map((column, at) => {
    const cell = cleanCell(input, String(row[at]));
    const value = cell === null ? null : COLUMNS[column.kind].read(column, cell, input);
    const place = input.steps ? `step ${step + 1}, ${column.name}` : column.name;
    if (cell === null && column.required) problems.push({ column: at, step, text: `${place} needs a value.` });
    if (value && value.problem) problems.push({ column: at, step, text: `${place}: '${cell}' ${value.problem}.` });
    if (value && value.warning) warnings.push({ column: at, step, text: `${place}: '${cell}' ${value.warning}.` });
    return value;
  }));
  if (input.steps && input.isSeries) fillWithLast(input, read, problems);
  if (problems.length) return { problems, warnings };
  const features = read.map((values) => values.flatMap((value, at) => featuresOf(input.columns[at], value)));
  const size = features[0].length, data = new Float64Array((input.steps || 1) * size);
  features.forEach((row, step) => data.set(row, step * size));
  const made = tensor(input.steps ? [input.steps, size] : [size], data);
  if (input.steps) made.valid = rows.length;
  return { tensor: made, problems, warnings };
};

// Missing values of a series become the last value before them in the window.
function fillWithLast(input, read, problems) {
  input.columns.forEach((column, at) => {
    if (column.kind !== "number") return;
    let last = null;
    read.forEach((values, step) => {
      if (values[at] === null && last === null) {
        problems.push({ column: at, step, text: `step ${step + 1}, ${column.name} needs a value: no step before it has one.` });
      } else if (values[at] === null) values[at] = last;
      last = values[at];
    });
  });
}

// Strips and replaces a cell; null if it stands for a missing value.
function cleanCell(input, text) {
  let cell = input.strip ? text.trim() : text;
  const found = input.replace.find(([from]) => from === cell) ||
    input.replace.find(([from]) => /^[^.]*$/.test(from) && sameNumber(input.plain, cell, from, true));
  if (found) cell = found[1];
  return input.missing.some((each) => each === cell || sameNumber(input.plain, cell, each, false)) ? null : cell;
}

// Whether a cell is the same number as a listed one, such as -999 and -999.0.
function sameNumber(form, cell, listed, onlyIntegers) {
  if (!/^[+-]?[\d.,]+(?:[eE][+-]?\d+)?$/.test(cell)) return false;
  const other = plainNumber(form, listed), mine = plainNumber(form, cell);
  if (other === null || mine === null) return false;
  const key = canonicalNumber(other);
  return !(onlyIntegers && /e-/.test(key)) && canonicalNumber(mine) === key;
}

// The features of a column, from the value of its reader or from null for a missing value.
function featuresOf(column, value) {
  const own = value === null ? COLUMNS[column.kind].fill(column) : value.features;
  return column.indicator ? [...own, value === null ? 1 : 0] : own;
}

const COLUMNS = {
  number: {
    read(column, cell, input) {
      const text = plainNumber(column.form, cell), word = column.form.words ? booleanOf(input.plain, cell) : -1;
      const value = text !== null ? Number(text) : word >= 0 ? word : NaN;
      if (!Number.isFinite(value)) return { problem: "is not a number in the format of the column" };
      return Math.abs(value) > 1e100 ? { problem: "is too large" } : { features: [value] };
    },
    fill: (column) => [column.fill],
  },
  boolean: {
    read(column, cell, input) {
      const value = booleanOf(input.plain, cell);
      return value < 0 ? { problem: "is neither true nor false" } : { features: [value] };
    },
    fill: (column) => [column.fill],
  },
  category: {
    read(column, cell, input) {
      column.keys = column.keys || column.categories.map((name) => categoryKey(column.form, input.plain, name));
      const known = column.keys.indexOf(categoryKey(column.form, input.plain, cell));
      const features = column.categories.map((_, i) => (i === known ? 1 : 0));
      if (column.other) features.push(known < 0 ? 1 : 0);
      return known < 0 && !column.other ? { features, warning: "is a category that no training row has" } : { features };
    },
    fill: (column) => new Array(column.categories.length + (column.other ? 1 : 0)).fill(0),
  },
  date: {
    read(column, cell) {
      const parts = dateParts(column, cell);
      if (!parts) return { problem: `is not a date in the format of the column (${column.hint})` };
      return { features: column.parts.map((part) => parts[part]) };
    },
    fill: (column) => column.fill,
  },
};

// Equal categories have the same key: the same text, or the same number in any spelling.
function categoryKey(form, plain, cell) {
  if (form.kind === "boolean") {
    const value = booleanOf(plain, cell);
    return value < 0 ? `text ${cell}` : `boolean ${value}`;
  }
  const isHexadecimal = form.kind === "text" && /^\d+[eE]\d+$/.test(cell);
  const number = isHexadecimal ? null : plainNumber(form.kind === "text" ? plain : form, cell);
  return number === null ? `text ${cell}` : `number ${canonicalNumber(number)}`;
}

// 1 for true, 0 for false, -1 for other cells.
function booleanOf(plain, cell) {
  const number = plainNumber(plain, cell);
  if (number !== null && (Number(number) === 0 || Number(number) === 1)) return Number(number);
  const word = cell.toLowerCase();
  if (["true", "t", "yes", "y", "on"].includes(word)) return 1;
  return ["false", "f", "no", "n", "off"].includes(word) ? 0 : -1;
}

// A number in the format of a column, such as "1.234,5 kg", as plain digits; null if the cell has another format.
function plainNumber(form, cell) {
  form.regex = form.regex || new RegExp(form.pattern);
  const text = cell.replace(/[\u00a0\u2007\u2009\u202f]/g, " ").replace(/[\u2212\u2012\u2013\ufe63\uff0d]/g, "-")
    .replace(/[\u2019\u2018\u02bc\u00b4`]/g, "'");
  const found = form.regex.exec(text);
  if (!found) return null;
  const { open, a, b, magnitude, close } = found.groups;
  let body = found.groups.body;
  if ((open === "(") !== (close === ")") || (a && b) || (!form.padded && /^0\d+$/.test(body))) return null;
  for (const sign of form.separators) body = body.split(sign).join("");
  if (form.decimal === ",") body = body.split(",").join(".");
  const power = form.magnitudes ? form.magnitudes[magnitude] : 0;
  return (open === "(" || a === "-" || b === "-" ? "-" : "") + body + (power ? `e${power}` : "");
}

// One spelling for equal numbers, exactly: 1, 1.0, +1 and 1e0 become "1e0".
function canonicalNumber(text) {
  const [, sign, whole, fraction, exponent] = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(text);
  const digits = (whole + fraction).replace(/^0+/, ""), kept = digits.replace(/0+$/, "");
  if (!kept) return "0";
  return `${sign === "-" ? "-" : ""}${kept}e${Number(exponent || 0) - fraction.length + digits.length - kept.length}`;
}
