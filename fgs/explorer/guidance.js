// The ways to guide, as in toy/methods.py: each gives s, σ² times the score that a trajectory follows at x.
//
// `how` holds what they depend on: beta, h, omega, constant, release (σ_c of the linear gain). A forcing adds
// σ²K_σ(m_y − x) to the mixture's s (Section 3 of the paper); K is its gain.

const STRENGTH = 3; // c of K = c/(λ² + σ²), toy/gains.py
const TINY = 1e-9;
const NEAREST = 1 / 32; // least |t| that the posterior gain divides by
const ESCAPE = 0.5;

const RULES = {
  exact: {
    label: "exact conditional",
    colour: "exact",
    about: "the score of the class itself, ∇log p_σ(x|y): the answer",
  },
  forcing: {
    label: "forcing, linear gain",
    colour: "forcing",
    about: "the mixture's score plus K(m_y − x), K = 3/(λ² + σ²), let go at σ_c",
  },
  forcing_posterior: {
    label: "forcing, posterior gain",
    colour: "forcing_posterior",
    about: "the same with a K that follows p(y|x): it uses the likelihood",
  },
  forcing_constant: {
    label: "forcing, constant gain",
    colour: "forcing",
    about: "the same with one K all the way, never let go",
  },
  cfg: { label: "classifier-free, ω", colour: "cfg4", about: "(1 + ω) · the class's score − ω · the mixture's" },
  classifier: {
    label: "classifier",
    colour: "classifier",
    about: "the mixture's score plus ∇log p_σ(y|x): Bayes' rule, so the same as the exact one",
  },
  mixture: {
    label: "none: the mixture",
    colour: "mixture",
    about: "no guidance; points have the colours of the classes that they are in",
  },
};

const other = new Float64Array(2); // work space

// Write s of the rule at x into out.
function guide(rule, mixture, target, x, y, sigma, how, out) {
  const square = sigma * sigma;
  if (rule === "exact") {
    classScore(mixture, target, x, y, sigma, out);
  } else if (rule === "cfg") {
    mixtureScore(mixture, x, y, sigma, other);
    classScore(mixture, target, x, y, sigma, out);
    out[0] = (1 + how.omega) * out[0] - how.omega * other[0];
    out[1] = (1 + how.omega) * out[1] - how.omega * other[1];
  } else if (rule === "classifier") {
    likelihoodGradient(mixture, target, x, y, sigma, out);
    mixtureScore(mixture, x, y, sigma, other);
    out[0] += other[0];
    out[1] += other[1];
  } else {
    mixtureScore(mixture, x, y, sigma, out);
    if (rule !== "mixture") {
      const K = gain(rule, mixture, target, x, y, sigma, how);
      const strongest = 0.5 / how.h / square; // a step goes hσ²K of the way to m_y: this keeps it from overshooting
      const pull = Math.max(-strongest, Math.min(strongest, K));
      out[0] += pull * (mixture.mx[target] - x);
      out[1] += pull * (mixture.my[target] - y);
    }
  }
  out[0] *= square;
  out[1] *= square;
}

// Write ∇log p_σ(y|x), the score of the class minus that of the mixture, into out (Eq. 4).
function likelihoodGradient(mixture, target, x, y, sigma, out) {
  mixtureScore(mixture, x, y, sigma, other);
  classScore(mixture, target, x, y, sigma, out);
  out[0] -= other[0];
  out[1] -= other[1];
}

// Return K_σ of a forcing, in inverse squared units of x.
function gain(rule, mixture, target, x, y, sigma, how) {
  const width = mixture.width[target];
  if (rule === "forcing_constant") return how.constant / (width * width);
  if (rule === "forcing_posterior") return posteriorGain(mixture, target, x, y, sigma);
  return sigma > how.release ? STRENGTH / (width * width + sigma * sigma) : 0;
}

// Return K = (1 − p_σ(y|x)) / ((λ² + σ²)t); t is how far x has gone from m_y to the mean m̄ of its rivals at x.
function posteriorGain(mixture, target, x, y, sigma) {
  if (mixture.K === 1) return 0;
  const logP = logProb(mixture, x, y, sigma);
  const joint = mixture.joint;
  let highest = -Infinity;
  for (let k = 0; k < mixture.K; k++) if (k !== target && joint[k] > highest) highest = joint[k];
  let sum = 0,
    rx = 0,
    ry = 0;
  for (let k = 0; k < mixture.K; k++) {
    if (k === target) continue;
    const share = Math.exp(joint[k] - highest);
    sum += share;
    rx += share * mixture.mx[k];
    ry += share * mixture.my[k];
  }
  const ax = rx / sum - mixture.mx[target],
    ay = ry / sum - mixture.my[target];
  const doubt = Math.exp(highest + Math.log(sum) - logP); // 1 − p(y|x), summed over the rivals: no digits are lost
  let t = ((x - mixture.mx[target]) * ax + (y - mixture.my[target]) * ay) / Math.max(ax * ax + ay * ay, 2.3e-308);
  t = t < 0 ? Math.min(t, -NEAREST) : Math.max(t, NEAREST);
  return doubt / (mixture.v[target] * t);
}

// Return σ_c at which to end a linear forcing: where narrowness and leaking together cost least (lesson 6).
function releaseLevel(mixture, target, beta) {
  if (mixture.K === 1) return Infinity;
  const width = mixture.width[target];
  const others = distancesTo(mixture, target)
    .map((D, k) => [D / width, k])
    .filter(([, k]) => k !== target);
  const highest = Math.log10(Math.max(1, Math.min(...others.map(([D]) => D)) / 3));
  let best = Infinity,
    level = 0;
  for (let i = 0; i < 200; i++) {
    const released = 10 ** (highest + ((-1 - highest) * i) / 199);
    const cost = releaseCost(mixture, target, beta, released, others);
    if (cost < best) [best, level] = [cost, released];
  }
  return width * level;
}

function releaseCost(mixture, target, beta, released, others) {
  const kept = Math.max((1 - beta) / (1 + STRENGTH - beta), TINY); // V/v while forced
  const first = 1 + released * released;
  const path = Array.from({ length: 100 }, (_, j) => {
    const v = 1 + (released * 10 ** ((-2 * j) / 99)) ** 2;
    return [v, v * (1 - (1 - kept) * (v / first) ** (1 / beta - 1)), (1 / beta - 1) * Math.log(first / v)];
  });
  const [vEnd, varianceEnd] = path[99];
  let cost = Math.sqrt(2 / Math.PI) * (1 - Math.sqrt(varianceEnd / vEnd)); // W1 of a class that stayed too narrow
  for (const [D, k] of others) {
    const odds = Math.log(mixture.weights[target] / mixture.weights[k]);
    let before = 0,
      leaked = 0;
    path.forEach(([v, variance, L], j) => {
      const border = Math.max(0, (D / 2 + (v * odds) / D) / Math.sqrt(variance)); // where p(y|x) = p(k|x), in sd
      const escape = (ESCAPE * border * Math.exp(-(border * border) / 2)) / Math.sqrt(2 * Math.PI);
      if (j) leaked += ((before + escape) / 2) * ((L - path[j - 1][2]) / 2);
      before = escape;
    });
    cost += D * leaked;
  }
  return cost;
}
