// The strip of samples between two classes of the feature tab (Fig. 8), made when the page was written.

// Return the places in `ends` of the pair with a strip whose φ is nearest to the two classes: least sum of squares.
function nearestPair(a, b) {
  const { distances, ends } = map.data;
  let best = null,
    nearest = Infinity;
  for (let i = 0; i < ends.length; i++) {
    for (let j = 0; j < ends.length; j++) {
      const far = distances[a][i] ** 2 + distances[b][j] ** 2;
      if (i !== j && far < nearest) [best, nearest] = [[i, j], far];
    }
  }
  return best;
}

function drawStrip() {
  const [a, b] = map.picked,
    { data } = map,
    text = $("strip-text"),
    canvas = $("strip-canvas");
  canvas.hidden = a < 0 || b < 0 || a === b || !data.strips;
  if (canvas.hidden) {
    text.textContent =
      a === b && a >= 0
        ? "Choose two different classes."
        : data.strips
          ? "Choose two classes."
          : "The model knows one class: there is nothing between.";
    return;
  }
  if ($("features").hidden || !map.strips.complete) return;
  const [i, j] = nearestPair(a, b),
    [low, high] = i < j ? [i, j] : [j, i];
  const first = ((high * (high - 1)) / 2 + low) * data.alphas; // pairs lie as (0, 1), (0, 2), (1, 2), (0, 3), …
  const gap = 4,
    size = Math.min(128, (canvas.parentElement.clientWidth - gap * (data.alphas - 1)) / data.alphas);
  canvas.style.width = `${size * data.alphas + gap * (data.alphas - 1)}px`;
  canvas.style.height = `${size}px`;
  const { context, width, height } = fitCanvas(canvas);
  context.clearRect(0, 0, width, height);
  for (let k = 0; k < data.alphas; k++) {
    drawThumb(context, map.strips, first + (i < j ? k : data.alphas - 1 - k), k * (size + gap), 0, size);
  }
  const [from, to] = [data.ends[i], data.ends[j]].map((k) => data.names[k]);
  const what =
    `Samples along the line from φ of ${from} (left) to φ of ${to} (right), all from the same noise ` + "(Fig. 8).";
  const away = (k, end) => (data.distances[k][end] / 10).toFixed(1);
  const instead =
    `There is no strip between ${data.names[a]} and ${data.names[b]}. This is the nearest pair that ` +
    `has one: ‖φ − φ'‖ is ${away(a, i)} and ${away(b, j)} to its ends, which are ` +
    `${away(data.ends[i], j)} apart. `;
  text.textContent = (data.ends[i] === a && data.ends[j] === b ? "" : instead) + what;
  canvas.setAttribute("aria-label", what);
}
