// The preprocessing that was fitted on the training samples, in the precision of training: float64, then float32.

// Normalizes a raw tensor, then applies PCA or ZCA. `scale` has shift and scale per column or channel, or is empty.
function scaleInput(scale, raw) {
  const isImage = raw.shape.length === 3, inner = isImage ? raw.shape[1] * raw.shape[2] : 1;
  const columnOf = (i) => (isImage ? Math.floor(i / inner) : i % raw.shape[raw.shape.length - 1]);
  if (isImage && !scale.mean) return scaleImage(scale, raw, columnOf);
  let data = scale.bytes ? raw.data.map((x) => Math.fround(x / 255)) : raw.data;
  if (scale.shift) data = data.map((x, i) => (x - scale.shift[columnOf(i)]) / scale.scale[columnOf(i)]);
  let shape = raw.shape;
  if (scale.mean) {
    const rows = isImage ? 1 : data.length / shape[shape.length - 1];
    data = project(data, rows, decodeDoubles(scale.mean), decodeDoubles(scale.matrix));
    const size = data.length / rows;
    shape = data.length === raw.data.length ? shape : isImage ? [size] : [...shape.slice(0, -1), size];
  }
  const steps = raw.valid === undefined ? Infinity : raw.valid * (data.length / shape[0]);
  return tensor(shape, data.map((x, i) => (i < steps ? Math.fround(x) : 0)), raw);
}

// Images are scaled in float32: pixels are bytes, or numbers as they were read.
function scaleImage(scale, raw, channelOf) {
  const smallest = 1.1754943508222875e-38;
  return tensor(raw.shape, raw.data.map((value, i) => {
    const pixel = Math.fround(scale.bytes ? value / 255 : value);
    if (!scale.shift) return pixel;
    const size = Math.max(smallest, Math.fround(scale.scale[channelOf(i)]));
    return Math.fround(Math.fround(pixel - Math.fround(scale.shift[channelOf(i)])) / size);
  }));
}

// (x - mean) M for each row.
function project(data, rows, mean, matrix) {
  const size = mean.length, count = matrix.length / size, output = new Float64Array(rows * count);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < size; i++) {
      const x = data[row * size + i] - mean[i];
      for (let k = 0; k < count; k++) output[row * count + k] += x * matrix[i * count + k];
    }
  }
  return output;
}
