// Random Fourier features of the RBF kernel: z = sqrt(2 / D) cos(W x + b).
LAYERS.random_features = function (layer, input) {
  const count = layer.phases.length, size = input.data.length;
  return tensor([count], Float64Array.from({ length: count }, (_, k) => {
    let angle = layer.phases[k];
    for (let i = 0; i < size; i++) angle += layer.frequencies[k * size + i] * input.data[i];
    return Math.cos(angle) * Math.sqrt(2 / count);
  }));
};
