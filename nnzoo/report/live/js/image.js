// Images: pixels -> a tensor, image files -> pixels, and strokes of a pen -> pixels.

// Raw input is a list of (channels, height, width) values in the unit of the training images.
READERS.image = function (input, raw) {
  return { tensor: tensor(input.shape, Float64Array.from(raw)), problems: [], warnings: [] };
};

// RGBA bytes of an image file -> raw values, converted and resized like Pillow does for `nnzoo predict`: transparent
// pixels on white, gray by ITU-R 601, then bilinear with antialiasing. `low` and `high` are the values of black and white.
function pixelsOfFile(input, rgba, width, height, invert) {
  const [channels, rows, columns] = input.shape, count = width * height;
  const planes = Array.from({ length: channels }, () => new Uint8Array(count));
  for (let i = 0; i < count; i++) {
    const alpha = rgba[4 * i + 3] / 255;
    const [r, g, b] = [0, 1, 2].map((k) => Math.round(rgba[4 * i + k] * alpha + 255 * (1 - alpha)));
    if (channels === 1) planes[0][i] = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
    else [r, g, b].forEach((value, k) => { planes[k][i] = value; });
  }
  const resized = planes.flatMap((plane) => Array.from(resizeBytes(plane, width, height, columns, rows)));
  return resized.map((byte) => {
    const share = (invert ? 255 - byte : byte) / 255;
    return input.bytes ? Math.round(share * 255) : input.low + share * (input.high - input.low);
  });
}

// Pillow's bilinear filter: first along rows, then along columns, rounded to bytes after each.
function resizeBytes(plane, width, height, newWidth, newHeight) {
  const wide = newWidth === width ? plane : resizeRows(plane, width, height, newWidth);
  if (newHeight === height) return wide;
  const turned = transpose(wide, newWidth, height);
  return transpose(resizeRows(turned, height, newWidth, newHeight), newHeight, newWidth);
}

function transpose(plane, width, height) {
  const turned = new Uint8Array(plane.length);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) turned[x * height + y] = plane[y * width + x];
  return turned;
}

function resizeRows(plane, width, height, newWidth) {
  const ratio = width / newWidth, reach = Math.max(1, ratio), output = new Uint8Array(newWidth * height);
  for (let column = 0; column < newWidth; column++) {
    const center = (column + 0.5) * ratio;
    const first = Math.max(0, Math.trunc(center - reach + 0.5)), end = Math.min(width, Math.trunc(center + reach + 0.5));
    const weights = [];
    for (let x = first; x < end; x++) weights.push(Math.max(0, 1 - Math.abs((x - center + 0.5) / reach)));
    const total = weights.reduce((sum, w) => sum + w, 0);
    const fixed = weights.map((w) => Math.round((w / total) * 4194304)); // 22 bits, as in Pillow
    for (let y = 0; y < height; y++) {
      let sum = 2097152;
      for (let k = 0; k < fixed.length; k++) sum += plane[y * width + first + k] * fixed[k];
      output[y * newWidth + column] = Math.min(255, Math.max(0, Math.floor(sum / 4194304)));
    }
  }
  return output;
}

// How much of each pixel strokes cover, (height, width) from 0 to 1. A stroke is a list of [x, y] in pixels.
function coverage(strokes, width, height, thickness) {
  const covered = new Float64Array(width * height), radius = thickness / 2;
  for (const stroke of strokes) {
    for (let i = 0; i < stroke.length; i++) {
      const [ax, ay] = stroke[Math.max(0, i - 1)], [bx, by] = stroke[i], reach = radius + 1;
      const top = Math.max(0, Math.floor(Math.min(ay, by) - reach)), bottom = Math.min(height, Math.ceil(Math.max(ay, by) + reach));
      const left = Math.max(0, Math.floor(Math.min(ax, bx) - reach)), right = Math.min(width, Math.ceil(Math.max(ax, bx) + reach));
      const dx = bx - ax, dy = by - ay, squared = dx * dx + dy * dy;
      for (let y = top; y < bottom; y++) {
        for (let x = left; x < right; x++) {
          const px = x + 0.5 - ax, py = y + 0.5 - ay;
          const along = squared ? Math.min(1, Math.max(0, (px * dx + py * dy) / squared)) : 0;
          const distance = Math.hypot(px - along * dx, py - along * dy);
          const share = Math.min(1, Math.max(0, radius + 0.5 - distance));
          covered[y * width + x] = Math.max(covered[y * width + x], share);
        }
      }
    }
  }
  return covered;
}

// Scales and moves strokes so that the drawing is as large as the training images and in the same place.
function fitStrokes(strokes, ink, width, height) {
  const points = strokes.flat(), half = ink.thickness / 2;
  if (!points.length) return strokes;
  const range = (axis) => [Math.min(...points.map((p) => p[axis])), Math.max(...points.map((p) => p[axis]))];
  const [left, right] = range(0), [top, bottom] = range(1);
  const room = (extent, size) => Math.max(0.5, extent - ink.thickness) / Math.max(size, 1e-9);
  const factor = Math.min(8, room(ink.height, bottom - top), room(ink.width, right - left));
  const place = (cx, cy) => strokes.map((stroke) => stroke.map(([x, y]) =>
    [(x - (left + right) / 2) * factor + cx, (y - (top + bottom) / 2) * factor + cy]));
  const placed = place(ink.x, ink.y);
  if (!ink.byMass) return placed;
  const covered = coverage(placed, width, height, 2 * half);
  let mass = 0, x = 0, y = 0;
  covered.forEach((share, i) => {
    mass += share;
    x += share * ((i % width) + 0.5);
    y += share * (Math.floor(i / width) + 0.5);
  });
  return mass ? place(2 * ink.x - x / mass, 2 * ink.y - y / mass) : placed;
}
