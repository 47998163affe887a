// Convolutions and pooling over images (channels, height, width) and over sequences (channels, steps).

// A sequence is treated as an image with one row, so that both have the same code.
function asImage(input) {
  return input.shape.length === 3 ? input : { shape: [input.shape[0], 1, input.shape[1]], data: input.data };
}

// The settings of a window along both axes.
function windowOf(layer) {
  const both = (values, single) => (values.length === 2 ? values : [single, values[0]]);
  return {
    kernel: both(layer.kernel, 1),
    stride: both(layer.stride, 1),
    padding: both(layer.padding, [0, 0]),
    dilation: both(layer.dilation || layer.kernel.map(() => 1), 1),
  };
}

// The number of positions of a window along an axis.
function positions(window, axis, size) {
  const { kernel, stride, padding, dilation } = window;
  const reach = dilation[axis] * (kernel[axis] - 1) + 1;
  return Math.floor((size + padding[axis][0] + padding[axis][1] - reach) / stride[axis]) + 1;
}

// The input without the padding of a sequence, and the shape of the output.
function slide(layer, input, channels) {
  const window = windowOf(layer), filler = layer.filler === null ? -Infinity : 0;
  const filled = input.valid === undefined ? input : { shape: input.shape, data: withoutPadding(input, filler) };
  const image = asImage(filled), [, height, width] = image.shape;
  const shape = [channels, positions(window, 0, height), positions(window, 1, width)];
  const output = tensor(input.shape.length === 3 ? shape : [channels, shape[2]], new Float64Array(sizeOf(shape)));
  if (input.valid !== undefined) output.valid = Math.max(1, positions(window, 1, input.valid));
  return { window, image, shape, output };
}

// Calls visit(value or undefined for padding, index in the window) for the window at a position of a channel.
function visitWindow({ window, image }, channel, row, column, visit) {
  const { kernel, stride, padding, dilation } = window, [, height, width] = image.shape;
  for (let i = 0; i < kernel[0]; i++) {
    const y = row * stride[0] - padding[0][0] + i * dilation[0];
    for (let j = 0; j < kernel[1]; j++) {
      const x = column * stride[1] - padding[1][0] + j * dilation[1];
      const inside = y >= 0 && y < height && x >= 0 && x < width;
      visit(inside ? image.data[(channel * height + y) * width + x] : undefined, i * kernel[1] + j);
    }
  }
}

LAYERS.conv = function (layer, input) {
  const sliding = slide(layer, input, layer.out), { window, image, shape, output } = sliding;
  const [, height, width] = image.shape, [kernelHeight, kernelWidth] = window.kernel;
  const perGroup = layer.in / layer.groups, outPerGroup = layer.out / layer.groups, [, rows, columns] = shape;
  const area = kernelHeight * kernelWidth;
  for (let filter = 0; filter < layer.out; filter++) {
    const firstChannel = Math.floor(filter / outPerGroup) * perGroup;
    const sums = output.data.subarray(filter * rows * columns, (filter + 1) * rows * columns);
    if (layer.bias) sums.fill(layer.bias[filter]);
    for (let channel = 0; channel < perGroup; channel++) {
      for (let k = 0; k < area; k++) {
        // One weight at a time, over all positions: the inner loop has no branches.
        const weight = layer.weight[(filter * perGroup + channel) * area + k];
        const top = Math.floor(k / kernelWidth) * window.dilation[0] - window.padding[0][0];
        const left = (k % kernelWidth) * window.dilation[1] - window.padding[1][0];
        for (let row = 0; row < rows; row++) {
          const y = row * window.stride[0] + top;
          if (y < 0 || y >= height) continue;
          const line = ((firstChannel + channel) * height + y) * width + left;
          const first = Math.max(0, Math.ceil(-left / window.stride[1]));
          const last = Math.min(columns - 1, Math.floor((width - 1 - left) / window.stride[1]));
          for (let column = first; column <= last; column++) {
            sums[row * columns + column] += weight * image.data[line + column * window.stride[1]];
          }
        }
      }
    }
  }
  return output;
};

// The average counts the zeros of the padding, as in PyTorch.
LAYERS.pool = function (layer, input) {
  const sliding = slide(layer, input, input.shape[0]), { window, shape, output } = sliding;
  const [channels, rows, columns] = shape, area = window.kernel[0] * window.kernel[1];
  for (let channel = 0; channel < channels; channel++) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        let found = layer.of === "max" ? -Infinity : 0;
        visitWindow(sliding, channel, row, column, (value) => {
          if (value !== undefined) found = layer.of === "max" ? Math.max(found, value) : found + value / area;
        });
        output.data[(channel * rows + row) * columns + column] = found;
      }
    }
  }
  return output;
};

// One value per channel.
LAYERS.global_pool = function (layer, input) {
  const isMax = layer.of === "max", channels = input.shape[0], inner = input.data.length / channels;
  const data = input.valid === undefined ? input.data : withoutPadding(input, isMax ? -Infinity : 0);
  const count = input.valid === undefined ? inner : input.valid;
  const output = new Float64Array(channels);
  for (let channel = 0; channel < channels; channel++) {
    const values = data.subarray(channel * inner, (channel + 1) * inner);
    output[channel] = isMax
      ? values.reduce((largest, x) => Math.max(largest, x), -Infinity)
      : values.reduce((sum, x) => sum + x, 0) / count;
  }
  const pooled = tensor([channels, ...input.shape.slice(1).map(() => 1)], output);
  if (input.valid !== undefined) pooled.valid = 1;
  return pooled;
};
