// A Gaussian mixture in the plane whose noisy density, score and posterior are exact at every noise level.
//
// The arithmetic of toy/mixture.py and toy/geometry.py for what the page needs: classes N(m_y, λ_y² Id) in d = 2, each
// with a width λ_y of its own. Noise of level σ makes them N(m_y, (λ_y² + σ²) Id). No drawing here, and no state but
// the work space of a mixture; tests/explorer holds every function against Python.

// Make a mixture of classes [{x, y, width, weight}]; weights need not sum to 1.
function makeMixture(classes) {
  const K = classes.length;
  const total = classes.reduce((sum, each) => sum + each.weight, 0);
  const column = (of) => Float64Array.from(classes, of);
  const mixture = { K, mx: column((c) => c.x), my: column((c) => c.y), width: column((c) => c.width) };
  mixture.weights = column((c) => c.weight / total);
  mixture.cx = mixture.mx.reduce((sum, m, k) => sum + mixture.weights[k] * m, 0); // m, the mean of the mixture
  mixture.cy = mixture.my.reduce((sum, m, k) => sum + mixture.weights[k] * m, 0);
  mixture.sigma = -1; // the noise level that v and logScale are of
  mixture.v = new Float64Array(K); // λ_y² + σ²
  mixture.logScale = new Float64Array(K); // log π_y − log 2πv, what does not depend on x
  mixture.joint = new Float64Array(K); // log π_y p_{σ,y}(x) of the point that was looked at last
  return mixture;
}

// What depends on σ alone is computed once for all points of a step.
function setNoise(mixture, sigma) {
  if (mixture.sigma === sigma) return;
  mixture.sigma = sigma;
  for (let k = 0; k < mixture.K; k++) {
    const v = mixture.width[k] * mixture.width[k] + sigma * sigma;
    mixture.v[k] = v;
    mixture.logScale[k] = Math.log(mixture.weights[k]) - Math.log(2 * Math.PI * v);
  }
}

// Return log p_σ(x), and leave log π_y p_{σ,y}(x) of every class in mixture.joint.
function logProb(mixture, x, y, sigma) {
  setNoise(mixture, sigma);
  const { K, mx, my, v, logScale, joint } = mixture;
  let highest = -Infinity;
  for (let k = 0; k < K; k++) {
    const dx = x - mx[k],
      dy = y - my[k];
    joint[k] = logScale[k] - (dx * dx + dy * dy) / (2 * v[k]);
    if (joint[k] > highest) highest = joint[k];
  }
  let sum = 0;
  for (let k = 0; k < K; k++) sum += Math.exp(joint[k] - highest);
  return highest + Math.log(sum);
}

// Return p_σ(y|x) of every class, by Bayes' rule.
function posterior(mixture, x, y, sigma) {
  const logP = logProb(mixture, x, y, sigma);
  return Array.from(mixture.joint, (joint) => Math.exp(joint - logP));
}

// Return the class that is likeliest at x.
function likeliest(mixture, x, y, sigma) {
  logProb(mixture, x, y, sigma);
  return mixture.joint.indexOf(Math.max(...mixture.joint));
}

// Write ∇log p_σ(x) = Σ_y p_σ(y|x) (m_y − x)/(λ_y² + σ²) into out.
function mixtureScore(mixture, x, y, sigma, out) {
  const logP = logProb(mixture, x, y, sigma);
  let sx = 0,
    sy = 0;
  for (let k = 0; k < mixture.K; k++) {
    const share = Math.exp(mixture.joint[k] - logP) / mixture.v[k];
    sx += share * (mixture.mx[k] - x);
    sy += share * (mixture.my[k] - y);
  }
  out[0] = sx;
  out[1] = sy;
}

// Write ∇log p_{σ,y}(x), the score of one class, into out.
function classScore(mixture, target, x, y, sigma, out) {
  setNoise(mixture, sigma);
  out[0] = (mixture.mx[target] - x) / mixture.v[target];
  out[1] = (mixture.my[target] - y) / mixture.v[target];
}

// Return the distances |m_k − m_y| of all classes to one of them.
function distancesTo(mixture, target) {
  return Array.from(mixture.mx, (x, k) => Math.hypot(x - mixture.mx[target], mixture.my[k] - mixture.my[target]));
}

// Return the direction u in which a class is measured: from the nearest other mean, away from the mean of the mixture.
function classAxis(mixture, target) {
  let ux = 1,
    uy = 0;
  if (mixture.K > 1) {
    const distances = distancesTo(mixture, target);
    distances[target] = Infinity;
    const nearest = distances.indexOf(Math.min(...distances));
    const length = distances[nearest] || 1; // two classes of one mean: there is no direction, and nothing to divide by
    ux = (mixture.mx[nearest] - mixture.mx[target]) / length;
    uy = (mixture.my[nearest] - mixture.my[target]) / length;
  }
  const outward = ux * (mixture.mx[target] - mixture.cx) + uy * (mixture.my[target] - mixture.cy);
  return outward < 0 ? [-ux, -uy] : [ux, uy];
}

// Choose σ_0 and σ_∞: noise must drown the mixture at the start and show every class at the end (toy/geometry.py).
function noiseRange(mixture, h) {
  let xx = 0,
    xy = 0,
    yy = 0;
  for (let k = 0; k < mixture.K; k++) {
    const dx = mixture.mx[k] - mixture.cx,
      dy = mixture.my[k] - mixture.cy;
    const own = mixture.width[k] * mixture.width[k];
    xx += mixture.weights[k] * (dx * dx + own);
    yy += mixture.weights[k] * (dy * dy + own);
    xy += mixture.weights[k] * dx * dy;
  }
  const largest = (xx + yy) / 2 + Math.hypot((xx - yy) / 2, xy); // eigenvalue of the covariance of the mixture
  const narrowest = Math.min(...mixture.width);
  return [Math.max(1, 2 * Math.sqrt(largest)), narrowest * Math.min(0.2, Math.sqrt(h / 2))];
}

// Return σ_S, below which p_σ has more than one mode, so that trajectories part (Fig. 1; lesson 5); 0 if it never has.
//
// For two equal classes that is √(D²/4 − λ²). In general modes are found by climbing from every mean, by the fixed
// point of score = 0, x ← Σ_y a_y m_y / Σ_y a_y with a_y = p_σ(y|x)/(λ_y² + σ²), and σ_S by halving.
function partingLevel(mixture) {
  const spread = Math.max(...distancesTo(mixture, 0));
  let low = 1e-4,
    high = 2 * spread + low;
  if (mixture.K < 2 || !hasModes(mixture, low)) return 0;
  while (high / low > 1.0005) {
    const middle = Math.sqrt(high * low);
    if (hasModes(mixture, middle)) low = middle;
    else high = middle;
  }
  return Math.sqrt(high * low);
}

function hasModes(mixture, sigma) {
  const modes = Array.from(mixture.mx, (_, k) => climb(mixture, mixture.mx[k], mixture.my[k], sigma));
  const apart = 0.02 * Math.max(...distancesTo(mixture, 0)); // modes part like a root of σ_S − σ: at once
  return modes.some(([x, y]) => Math.hypot(x - modes[0][0], y - modes[0][1]) > apart);
}

function climb(mixture, x, y, sigma) {
  for (let step = 0; step < 400; step++) {
    const logP = logProb(mixture, x, y, sigma);
    let sum = 0,
      nx = 0,
      ny = 0;
    for (let k = 0; k < mixture.K; k++) {
      const a = Math.exp(mixture.joint[k] - logP) / mixture.v[k];
      sum += a;
      nx += a * mixture.mx[k];
      ny += a * mixture.my[k];
    }
    const moved = Math.hypot(nx / sum - x, ny / sum - y);
    x = nx / sum;
    y = ny / sum;
    if (moved < 1e-7) break;
  }
  return [x, y];
}
