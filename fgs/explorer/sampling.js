// Random numbers, SISA on the known schedule (fgs/sampling.py), and the measures (fgs/measures/distances.py).
//
// Points are interleaved in one typed array: x_0, y_0, x_1, y_1, …

// A seeded generator of standard normal numbers: sfc32, which is small and passes the usual tests, and Box-Muller.
function normals(seed) {
  let a = 0x9e3779b9,
    b = 0x243f6a88,
    c = 0xb7e15162,
    counter = seed >>> 0;
  const uniform = () => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return ((sum >>> 0) + 0.5) / 4294967296; // in (0, 1)
  };
  for (let k = 0; k < 16; k++) uniform();
  let waiting = NaN;
  return () => {
    if (waiting === waiting) {
      const value = waiting;
      waiting = NaN;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(uniform())),
      angle = 2 * Math.PI * uniform();
    waiting = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}

// Draw n points of N((cx, cy), sd² Id).
function gaussian(n, cx, cy, sd, normal) {
  const points = new Float64Array(2 * n);
  for (let i = 0; i < n; i++) {
    points[2 * i] = cx + sd * normal();
    points[2 * i + 1] = cy + sd * normal();
  }
  return points;
}

// Draw n points of p_{σ,y}.
function drawClass(mixture, target, n, sigma, normal) {
  return gaussian(n, mixture.mx[target], mixture.my[target], Math.hypot(mixture.width[target], sigma), normal);
}

// Draw the start: N(m, σ_0² Id) as in the paper; at β = 1, which never forgets it, the noisy class itself.
function drawStart(mixture, target, n, beta, sigma0, normal) {
  if (beta === 1) return drawClass(mixture, target, n, sigma0, normal);
  return gaussian(n, mixture.cx, mixture.cy, sigma0, normal);
}

// Count the steps of the known schedule, σ ← (1 − βh)σ until σ < σ_∞.
function plannedSteps(beta, h, sigma0, sigmaInf) {
  return Math.floor(Math.log(sigmaInf / sigma0) / Math.log(1 - beta * h)) + 1;
}

const moved = new Float64Array(2); // work space

// Make one step of SISA in place, x ← x + hs + γz, and return the next σ (Algorithms 1 and 3).
function sisaStep(points, rule, mixture, target, sigma, how, noise) {
  const { h, beta } = how;
  const gamma = sigma * Math.sqrt((1 - beta * h) ** 2 - (1 - h) ** 2);
  for (let i = 0; i < points.length; i += 2) {
    guide(rule, mixture, target, points[i], points[i + 1], sigma, how, moved);
    points[i] += h * moved[0];
    points[i + 1] += h * moved[1];
    if (beta < 1) {
      points[i] += gamma * noise[i];
      points[i + 1] += gamma * noise[i + 1];
    }
  }
  return (1 - beta * h) * sigma;
}

// Return E‖X − Y‖ over all pairs.
function meanDistance(a, b) {
  let total = 0;
  for (let i = 0; i < a.length; i += 2) {
    const x = a[i],
      y = a[i + 1];
    for (let j = 0; j < b.length; j += 2) {
      const dx = x - b[j],
        dy = y - b[j + 1];
      total += Math.sqrt(dx * dx + dy * dy);
    }
  }
  return (4 * total) / (a.length * b.length);
}

// True samples of the class, as noisy as the sampler leaves its own, and the distance between two sets: the floor.
function makeJudge(mixture, target, sigmaInf, rows, seed) {
  const normal = normals(seed);
  const sets = Array.from({ length: 4 }, () => drawClass(mixture, target, rows, sigmaInf, normal));
  const within = sets.reduce((sum, each) => sum + meanDistance(each, each), 0) / sets.length;
  let across = 0;
  sets.forEach((a, i) => sets.slice(0, i).forEach((b) => (across += meanDistance(a, b) / 6)));
  return { mixture, target, sigmaInf, rows, sets, within, floor: 2 * (across - within) };
}

// Return the energy distance of the first points to the class ÷ the floor: about 1 is as good as true samples.
function energyOverFloor(judge, points) {
  const first = points.subarray(0, 2 * judge.rows);
  const across = judge.sets.reduce((sum, each) => sum + meanDistance(first, each), 0) / judge.sets.length;
  return (2 * across - meanDistance(first, first) - judge.within) / judge.floor;
}

// Return the share in the class by the posterior at σ_∞, and mean error and sd along u in units of λ.
function measure(mixture, target, sigmaInf, points) {
  const [ux, uy] = classAxis(mixture, target),
    n = points.length / 2;
  let hits = 0,
    sum = 0;
  const along = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const x = points[2 * i],
      y = points[2 * i + 1];
    hits += likeliest(mixture, x, y, sigmaInf) === target;
    along[i] = ((x - mixture.mx[target]) * ux + (y - mixture.my[target]) * uy) / mixture.width[target];
    sum += along[i];
  }
  const mean = sum / n;
  const squares = along.reduce((total, a) => total + (a - mean) ** 2, 0);
  return { hit: hits / n, mean, sd: Math.sqrt(squares / (n - 1)), along };
}
