// Drawing on canvases: the plane with its trajectories, and the marginal along u. Nothing is computed here that counts.

const TAIL = 12; // frames that a tail is long
const BANDS = 4; // shades of a tail
const PATHS = 8; // trajectories that are drawn from the start on (Fig. 1, left)
const CELLS = 56; // of the density, a side
const ARROWS = 15; // of the score field, a side

// Fit the pixels of a canvas to its size on the screen; return its context, in units of CSS pixels.
function fitCanvas(canvas) {
  const ratio = Math.min(2, window.devicePixelRatio || 1);
  const width = canvas.clientWidth,
    height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { context, width, height };
}

// Return what part of the plane is shown: all means with room about them, or the class guided to from nearby.
function camera(mixture, target, zoom) {
  if (zoom === "class") return { x: mixture.mx[target], y: mixture.my[target], half: 6 * mixture.width[target] };
  const far = Array.from(mixture.mx, (x, k) => Math.max(Math.abs(x), Math.abs(mixture.my[k])) + 3 * mixture.width[k]);
  return { x: 0, y: 0, half: 1.15 * Math.max(0.7, ...far) };
}

// Return the place on a canvas of a point in the plane, and back.
function onCanvas(view, size, x, y) {
  const scale = size / 2 / view.half;
  return [size / 2 + (x - view.x) * scale, size / 2 - (y - view.y) * scale];
}
function inPlane(view, size, px, py) {
  const scale = size / 2 / view.half;
  return [view.x + (px - size / 2) / scale, view.y - (py - size / 2) / scale];
}

// Draw one panel: the run, which of its two rules, the frame, what the state asks for, and the part of the plane.
function drawPlane(canvas, run, side, frame, state, view) {
  const { context, width: size } = fitCanvas(canvas);
  const sigma = run.sigmas[frame];
  context.clearRect(0, 0, size, size);
  if (state.field === "density") drawDensity(context, size, view, run, sigma);
  if (state.field === "score") drawField(context, size, view, run, side, sigma);
  drawClasses(context, size, view, run);
  const atEnd = run.done && frame === run.sigmas.length - 1;
  const groups = groupsOf(run, side, frame);
  for (const { colour, members } of groups) {
    context.strokeStyle = context.fillStyle = colour;
    if (state.trails === "paths")
      drawPaths(
        context,
        size,
        view,
        run.frames[side],
        frame,
        members.filter((i) => i < PATHS),
      );
    if (!atEnd && state.trails !== "none") drawTails(context, size, view, run.frames[side], frame, members);
    drawHeads(context, size, view, run.frames[side][frame], members, atEnd ? 1.6 : 1.9);
  }
  drawTarget(context, size, view, run);
  if (run.failed[side]) tell(context, size, "it does not converge: use a smaller h, or guide less");
}

// Points have the colour of the rule, or without guidance that of the class they are in.
function groupsOf(run, side, frame) {
  const rule = run.rules[side],
    all = Array.from({ length: run.N }, (_, i) => i);
  if (rule !== "mixture") return [{ colour: DATA.colours[RULES[rule].colour], members: all }];
  const points = run.frames[side][frame],
    groups = DATA.classColours.map((colour) => ({ colour, members: [] }));
  for (const i of all) {
    groups[likeliest(run.mixture, points[2 * i], points[2 * i + 1], run.sigmas[frame])]?.members.push(i);
  }
  return groups;
}

const cells = { canvas: null, image: null };

// Shade p_σ of the mixture, by its root, so that rare classes show.
function drawDensity(context, size, view, run, sigma) {
  if (!cells.canvas) {
    cells.canvas = document.createElement("canvas");
    cells.canvas.width = cells.canvas.height = CELLS;
    cells.image = cells.canvas.getContext("2d").createImageData(CELLS, CELLS);
  }
  const logs = new Float64Array(CELLS * CELLS);
  let highest = -Infinity;
  for (let i = 0; i < logs.length; i++) {
    const [x, y] = inPlane(view, CELLS, (i % CELLS) + 0.5, Math.floor(i / CELLS) + 0.5);
    logs[i] = logProb(run.mixture, x, y, sigma);
    highest = Math.max(highest, logs[i]);
  }
  for (let i = 0; i < logs.length; i++) {
    cells.image.data.set([70, 78, 92, 110 * Math.exp((logs[i] - highest) / 2)], 4 * i);
  }
  cells.canvas.getContext("2d").putImageData(cells.image, 0, 0);
  context.imageSmoothingEnabled = true;
  context.drawImage(cells.canvas, 0, 0, size, size);
}

// Draw where the rule pushes, as arrows of s: how far x is from where it would be denoised to, at most a cell.
function drawField(context, size, view, run, side, sigma) {
  const cell = size / ARROWS,
    s = new Float64Array(2),
    scale = size / 2 / view.half;
  context.strokeStyle = "#6b7280";
  context.lineWidth = 1;
  context.beginPath();
  for (let i = 0; i < ARROWS * ARROWS; i++) {
    const px = ((i % ARROWS) + 0.5) * cell,
      py = (Math.floor(i / ARROWS) + 0.5) * cell;
    const [x, y] = inPlane(view, size, px, py);
    guide(run.rules[side], run.mixture, run.target, x, y, sigma, run.how, s);
    const length = Math.hypot(s[0], s[1]) * scale;
    if (!(length > 0.5)) continue;
    const shown = (0.85 * cell * length) / (length + cell); // long arrows grow slowly
    const dx = (s[0] * scale * shown) / length,
      dy = (-s[1] * scale * shown) / length;
    context.moveTo(px, py);
    context.lineTo(px + dx, py + dy);
    context.moveTo(px + 0.7 * dx - 0.18 * dy, py + 0.7 * dy + 0.18 * dx);
    context.lineTo(px + dx, py + dy);
    context.lineTo(px + 0.7 * dx + 0.18 * dy, py + 0.7 * dy - 0.18 * dx);
  }
  context.stroke();
}

function ring(context, size, view, mixture, k, widths) {
  const [px, py] = onCanvas(view, size, mixture.mx[k], mixture.my[k]);
  context.beginPath();
  context.arc(px, py, (widths * mixture.width[k] * size) / 2 / view.half, 0, 2 * Math.PI);
  context.stroke();
}

// Every class: its rings at λ and 2λ in its colour.
function drawClasses(context, size, view, run) {
  for (let k = 0; k < run.mixture.K; k++) {
    context.strokeStyle = DATA.classColours[k];
    context.lineWidth = 1.5;
    ring(context, size, view, run.mixture, k, 1);
    ring(context, size, view, run.mixture, k, 2);
  }
}

// The true class, over the points: black rings at λ and 2λ; and the numbers of all classes beside their means.
function drawTarget(context, size, view, run) {
  const { mixture, target } = run;
  context.strokeStyle = DATA.truth;
  context.lineWidth = 2;
  ring(context, size, view, mixture, target, 1);
  ring(context, size, view, mixture, target, 2);
  drawAxis(context, size, view, mixture, target);
  context.font = "600 13px system-ui, sans-serif";
  context.textAlign = "center";
  context.lineJoin = "round";
  for (let k = 0; k < mixture.K; k++) {
    const [px, py] = onCanvas(view, size, mixture.mx[k], mixture.my[k]);
    const below = py + (2 * mixture.width[k] * size) / 2 / view.half + 15;
    context.strokeStyle = "#fff";
    context.lineWidth = 3;
    context.strokeText(`${k + 1}`, px, below);
    context.fillStyle = DATA.truth;
    context.fillText(`${k + 1}`, px, below);
  }
}

// The direction u in which the class is measured, from 2λ to 3λ on either side; the arrow points outwards.
function drawAxis(context, size, view, mixture, target) {
  const [ux, uy] = classAxis(mixture, target),
    width = mixture.width[target];
  const at = (along, aside) =>
    onCanvas(
      view,
      size,
      mixture.mx[target] + width * (along * ux - aside * uy),
      mixture.my[target] + width * (along * uy + aside * ux),
    );
  context.beginPath();
  context.moveTo(...at(-3, 0));
  context.lineTo(...at(-2, 0));
  context.moveTo(...at(2, 0));
  context.lineTo(...at(3, 0));
  context.moveTo(...at(2.7, 0.25));
  context.lineTo(...at(3, 0));
  context.lineTo(...at(2.7, -0.25));
  context.stroke();
}

function drawHeads(context, size, view, points, members, radius) {
  context.globalAlpha = 0.85;
  context.beginPath();
  for (const i of members) {
    const [px, py] = onCanvas(view, size, points[2 * i], points[2 * i + 1]);
    context.rect(px - radius, py - radius, 2 * radius, 2 * radius);
  }
  context.fill();
  context.globalAlpha = 1;
}

// Tails fade: from the oldest band to the newest, one stroke for all points.
function drawTails(context, size, view, frames, frame, members) {
  context.lineWidth = 1;
  for (let band = 0; band < BANDS; band++) {
    const from = Math.max(0, frame - TAIL + (band * TAIL) / BANDS),
      to = Math.max(0, frame - TAIL + ((band + 1) * TAIL) / BANDS);
    if (to === from) continue;
    context.globalAlpha = 0.05 + (0.3 * band) / BANDS;
    strokePaths(context, size, view, frames, from, to, members, 1);
  }
  context.globalAlpha = 1;
}

function drawPaths(context, size, view, frames, frame, members) {
  context.lineWidth = 1;
  context.globalAlpha = 0.45;
  strokePaths(context, size, view, frames, 0, frame, members, 2);
  context.globalAlpha = 1;
}

function strokePaths(context, size, view, frames, from, to, members, stride) {
  const scale = size / 2 / view.half,
    left = size / 2 - view.x * scale,
    top = size / 2 + view.y * scale;
  context.beginPath();
  for (const i of members) {
    context.moveTo(left + frames[from][2 * i] * scale, top - frames[from][2 * i + 1] * scale);
    for (let f = from + stride; f < to + stride; f += stride) {
      const points = frames[Math.min(f, to)];
      context.lineTo(left + points[2 * i] * scale, top - points[2 * i + 1] * scale);
    }
  }
  context.stroke();
}

function tell(context, size, text) {
  context.fillStyle = "#000";
  context.textAlign = "center";
  context.fillText(text, size / 2, 24);
}

// Draw the histogram of the points along u, in λ from the mean of the class, and the class itself in black.
function drawMarginal(canvas, along, colour) {
  const { context, width, height } = fitCanvas(canvas);
  const bins = 48,
    reach = 6,
    base = height - 18,
    counts = new Float64Array(bins);
  for (const a of along) {
    const bin = Math.floor(((a + reach) / (2 * reach)) * bins);
    if (bin >= 0 && bin < bins) counts[bin]++;
  }
  const at = (a) => ((a + reach) / (2 * reach)) * width;
  const up = (density) => base - Math.min(base - 2, density * base); // a class of half the width still fits
  context.clearRect(0, 0, width, height);
  context.fillStyle = colour;
  context.globalAlpha = 0.55;
  counts.forEach((count, k) => {
    const top = up((count / along.length / (2 * reach)) * bins);
    context.fillRect((k * width) / bins, top, width / bins - 0.5, base - top);
  });
  context.globalAlpha = 1;
  context.strokeStyle = DATA.truth;
  context.lineWidth = 1.6;
  context.beginPath();
  for (let px = 0; px <= width; px += 2) {
    const a = (px / width) * 2 * reach - reach;
    context.lineTo(px, up(Math.exp((-a * a) / 2) / Math.sqrt(2 * Math.PI)));
  }
  context.stroke();
  context.fillStyle = "#595959";
  context.font = "11px system-ui, sans-serif";
  for (const a of [-4, -2, 0, 2, 4]) {
    context.textAlign = "center";
    context.fillText(a === 4 ? "4 λ" : `${a}`.replace("-", "−"), at(a), height - 4);
  }
}
