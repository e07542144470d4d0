// A run: two rules from the same start with the same noise, and what the page needs to show any moment of it.
//
// It is computed ahead of what is shown, a few milliseconds at a time, so that no setting stops the page. Of all steps
// at most FRAMES are kept, evenly.

const FRAMES = 360;
const FARTHEST = 1e4; // a point this far away does not come back
const JUDGED = 500; // points that the live energy distance takes: it costs their square

// Begin a run of the settings {classes, target, rules, omega, constant, beta, h, sigma0, sigmaInf, N, seed}.
function beginRun(settings) {
  const mixture = makeMixture(settings.classes);
  const { target, beta, h, N } = settings;
  const [auto0, autoInf] = noiseRange(mixture, h);
  const sigma0 = settings.sigma0 || auto0;
  const sigmaInf = Math.min(settings.sigmaInf || autoInf, 0.9 * sigma0);
  const normal = normals(settings.seed);
  const start = drawStart(mixture, target, N, beta, sigma0, normal);
  const release = settings.rules.includes("forcing") ? releaseLevel(mixture, target, beta) : 0;
  const how = { beta, h, omega: settings.omega, constant: settings.constant, release };
  const steps = plannedSteps(beta, h, sigma0, sigmaInf);
  const run = {
    mixture,
    target,
    rules: settings.rules,
    how,
    sigma0,
    sigmaInf,
    N,
    normal,
    steps,
    step: 0,
    sigma: sigma0,
  };
  run.every = Math.ceil(steps / FRAMES);
  run.parting = partingLevel(mixture);
  run.points = [start, start.slice()];
  run.noise = new Float64Array(2 * N);
  run.sigmas = [];
  run.frames = [[], []]; // by rule, Float32Array(2N) each
  run.done = false;
  run.failed = [false, false]; // by rule: its points run away
  keepFrame(run);
  return run;
}

function keepFrame(run) {
  run.sigmas.push(run.sigma);
  run.frames.forEach((frames, side) => {
    frames.push(Float32Array.from(run.points[side]));
    run.failed[side] ||= !frames.at(-1).every((place) => Math.abs(place) < FARTHEST);
  });
}

// Make one step of both rules; the noise is drawn once for both.
function stepRun(run) {
  for (let i = 0; i < run.noise.length; i++) run.noise[i] = run.how.beta < 1 ? run.normal() : 0;
  let next = run.sigma;
  run.points.forEach((points, side) => {
    next = sisaStep(points, run.rules[side], run.mixture, run.target, run.sigma, run.how, run.noise);
  });
  run.sigma = next;
  run.step++;
  run.done = run.sigma < run.sigmaInf;
  if (run.done || run.step % run.every === 0) keepFrame(run);
}

// Go on for some milliseconds; return whether anything was added.
function advanceRun(run, milliseconds) {
  if (run.done) return false;
  const end = performance.now() + milliseconds;
  do stepRun(run);
  while (!run.done && performance.now() < end);
  return true;
}

// Return the number of the kept frame whose σ is nearest to a share of the way from σ_0 to σ_∞ in log σ.
function frameAt(run, share) {
  const sigma = run.sigma0 * (run.sigmaInf / run.sigma0) ** share;
  let low = 0,
    high = run.sigmas.length - 1; // σ falls
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (run.sigmas[middle] > sigma) low = middle;
    else high = middle;
  }
  return run.sigmas[low] / sigma < sigma / run.sigmas[high] ? low : high;
}

// Return how far on the way a noise level is, 0 at σ_0 and 1 at σ_∞, in log σ: the place on the σ axis.
function shareOf(run, sigma) {
  return Math.log(run.sigma0 / sigma) / Math.log(run.sigma0 / run.sigmaInf);
}

// Return the live numbers of one rule at a frame; `judge` is made for the run once.
function measureFrame(run, judge, side, frame, withEnergy) {
  const points = Float64Array.from(run.frames[side][frame]);
  const found = measure(run.mixture, run.target, run.sigmaInf, points);
  if (withEnergy) found.energy = energyOverFloor(judge, points);
  return found;
}
