// Controls of an image: draw with mouse, finger or keyboard, choose or drop a file, or start from a sample.

CONTROLS.image = function (model, show) {
  const input = model.input, [channels, height, width] = input.shape, plane = width * height, ink = input.ink;
  const zoom = Math.max(1, Math.floor(280 / Math.max(width, height)));
  const canvas = element("canvas", { width, height, tabindex: "0", class: "live-draw",
    role: "application", "aria-label": "Drawing area: draw with the mouse or a finger; arrow keys move a pen, space lowers or lifts it" });
  canvas.style.width = `${width * zoom}px`;
  const ground = ink ? ink.background : input.low, penValue = ink ? ink.ink : input.high;
  const pen = element("input", { type: "range", min: 0.25, max: Math.max(3, height / 5), step: 0.05, value: ink ? ink.thickness : Math.max(1, height / 14) });
  const color = element("input", { type: "color", value: "#ffffff" }), fit = element("input", { type: "checkbox", checked: true });
  let base = new Float64Array(channels * plane).fill(ground), strokes = [], isBlank = true;
  const pixels = () => (strokes.length ? drawn(base) : base);
  const drawn = (under) => {
    const fits = ink && fit.checked && isBlank;
    const placed = fits ? fitStrokes(strokes, Object.assign({}, ink, { thickness: Number(pen.value) }), width, height) : strokes;
    const covered = coverage(placed, width, height, Number(pen.value));
    const values = channels === 1 ? [penValue] : [1, 3, 5].map((at) =>
      input.low + (parseInt(color.value.slice(at, at + 2), 16) / 255) * (input.high - input.low));
    return under.map((value, i) => {
      const mixed = value + covered[i % plane] * (values[Math.floor(i / plane)] - value);
      return input.bytes ? Math.round(mixed) : mixed;
    });
  };
  const changed = () => {
    const raw = pixels();
    paint(canvas, width, height, (x, y) => y * width + x, width * zoom, (at) => {
      const grays = Array.from({ length: channels }, (_, c) => (255 * (raw[c * plane + at] - input.low)) / (input.high - input.low));
      return channels === 3 ? grays : [0, 1, 2].map(() => grays.reduce((sum, x) => sum + x, 0) / channels);
    });
    show(raw);
  };
  const setBase = (values, blank) => { base = Float64Array.from(values); strokes = []; isBlank = blank; changed(); };
  const choose = (sample) => (sample ? setBase(pixelsOfSample(input, sample.raw), false) : setBase(new Float64Array(channels * plane).fill(ground), true));
  const samples = sampleSelect(model, choose, input.drawable ? "an empty image" : null);
  const clear = () => { if (samples) samples.querySelector("select").value = 0; choose(null); };
  if (input.drawable) listenToPen(canvas, width, height, (next) => { strokes = next(strokes); changed(); });
  [pen, color, fit].forEach((control) => control.addEventListener("input", changed));
  const parts = [samples, canvas];
  if (input.drawable) {
    parts.push(element("p", {}, element("button", { type: "button", onclick: clear }, "Clear")), labelled("Pen", pen));
    if (channels === 3) parts.push(labelled("Color", color));
    if (ink) parts.push(element("p", {}, element("label", {}, fit, " Fit a drawing to the size and place of the training images")));
    parts.push(...fileControls(input, canvas, (values) => setBase(values, false)));
  } else {
    parts.push(element("p", { class: "caption" }, `Drawing and image files need 1 or 3 channels; these images have ${channels}.`));
  }
  if (model.samples.length) {
    if (samples) samples.querySelector("select").value = input.drawable ? 1 : 0;
    choose(model.samples[0]);
  } else clear();
  return parts.filter((part) => part);
};

function pixelsOfSample(input, text) {
  const bytes = decodeBase64(text);
  return input.bytes ? bytes : new Float32Array(bytes.buffer);
}

// Strokes by mouse, finger or keyboard. `change` receives a function from the old strokes to the new ones.
function listenToPen(canvas, width, height, change) {
  const place = (event) => {
    const area = canvas.getBoundingClientRect();
    return [((event.clientX - area.left) / area.width) * width, ((event.clientY - area.top) / area.height) * height];
  };
  const extend = (point) => change((strokes) => [...strokes.slice(0, -1), [...strokes[strokes.length - 1], point]]);
  canvas.addEventListener("pointerdown", (event) => {
    keepPointer(canvas, event);
    change((strokes) => [...strokes, [place(event)]]);
  });
  canvas.addEventListener("pointermove", (event) => { if (event.buttons) extend(place(event)); });
  let at = [width / 2, height / 2], isDown = false;
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.addEventListener("keydown", (event) => {
    const move = moves[event.key];
    if (!move && event.key !== " ") return;
    event.preventDefault();
    if (!move) {
      isDown = !isDown;
      if (isDown) change((strokes) => [...strokes, [at]]);
      return;
    }
    const step = Math.max(0.5, width / 28);
    at = [Math.max(0, Math.min(width, at[0] + step * move[0])), Math.max(0, Math.min(height, at[1] + step * move[1]))];
    if (isDown) extend(at);
  });
}

function fileControls(input, canvas, set) {
  const invert = element("input", { type: "checkbox" }), file = element("input", { type: "file", accept: "image/*" });
  const status = element("span", { class: "caption", role: "status" });
  let last = null;
  const read = (chosen) => {
    last = chosen;
    if (!chosen) return;
    createImageBitmap(chosen).then((bitmap) => {
      const { width, height } = bitmap, full = element("canvas", { width, height }), pen = full.getContext("2d");
      pen.fillStyle = "#fff";
      pen.fillRect(0, 0, width, height);
      pen.drawImage(bitmap, 0, 0);
      set(pixelsOfFile(input, pen.getImageData(0, 0, width, height).data, width, height, invert.checked));
      status.textContent = "";
    }).catch(() => { status.textContent = "This file can't be read as an image."; });
  };
  file.addEventListener("change", () => read(file.files[0]));
  invert.addEventListener("change", () => read(last));
  canvas.addEventListener("dragover", (event) => event.preventDefault());
  canvas.addEventListener("drop", (event) => { event.preventDefault(); read(event.dataTransfer.files[0]); });
  return [element("details", {}, element("summary", {}, "Use an image file"),
    labelled("Image file, or drop one on the image", file, status),
    element("p", {}, element("label", {}, invert, " Invert the brightness of a file")),
    element("p", { class: "caption" }, "A file is resized and converted like nnzoo predict does. Your browser decodes it, so that JPEG files and color profiles may differ by a few levels."),
  )];
}
