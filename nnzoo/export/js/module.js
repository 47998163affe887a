// load(model), with the content of the JSON file, returns { predict, samples }. `predict` takes raw input: a list of
// cells as in the CSV file, for a sequence a list of rows, a text, or the list of the values of an image. It returns
// { probabilities, label }, { probabilities, labels }, or { values }; { steps } with one of them per step; `problems` says
// why the input can't be read. `samples` are some raw inputs of the run.
function load(model) {
  const bound = loadModel(model), Numbers = model.input.bytes ? Uint8Array : Float32Array;
  const size = model.input.kind === "image" ? model.input.shape.reduce((product, n) => product * n, 1) : 0;
  const decoded = (raw) => (size && typeof raw === "string" ? Array.from(new Numbers(decodeBytes(raw), 0, size)) : raw);
  const predict = (raw) => {
    const { tensor, layers, ...found } = answerTo(bound, decoded(raw));
    return found;
  };
  return { predict, samples: model.samples.map(({ label, raw }) => ({ label, raw: decoded(raw) })) };
}
if (typeof module === "object" && module.exports) module.exports = { load };
else globalThis.nnzoo = { load };
