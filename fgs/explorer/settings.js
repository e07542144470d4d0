// What can be set, within which limits, how it is written into the address, and the settings to begin with.

const two = (apart, weights = [1, 1]) =>
  [-1, 1].map((side, k) => ({ x: (side * apart) / 2, y: 0, width: 0.1, weight: weights[k] }));

const DEFAULTS = {
  classes: [
    { x: -0.75, y: -0.35, width: 0.1, weight: 1 },
    { x: 0.7, y: -0.45, width: 0.12, weight: 1 },
    { x: 0.05, y: 0.75, width: 0.1, weight: 1 },
  ],
  target: 1,
  rules: ["mixture", "exact"],
  omega: 4,
  constant: 1,
  beta: 0.3,
  h: 0.03,
  sigma0: 0,
  sigmaInf: 0, // 0: of the mixture
  N: 500,
  seed: 1,
  field: "density",
  trails: "paths",
  zoom: "plane",
};

const PRESETS = {
  narrow: {
    name: "CFG is too narrow at β = 1",
    story:
      "Two classes, 14λ apart, no noise injected on the way. Classifier-free guidance with ω = 4 puts " +
      "every point into the right class, and yet samples another density: about half as wide as the " +
      "class, and pushed out, away from the other. The exact score on the same start does not (lesson " +
      "7).",
    set: { classes: two(1.4), target: 1, rules: ["exact", "cfg"], beta: 1, h: 0.05, N: 1000 },
  },
  repaired: {
    name: "Noise repairs it",
    story:
      "The same guidance at β = 0.1: nearly all noise that a step takes away is put back. Errors made " +
      "on the way are forgotten, and where classes lie far apart the end is the class. Move the means " +
      "together to 4λ (0.4 apart), and it is not (lesson 7).",
    set: { classes: two(1.4), target: 1, rules: ["exact", "cfg"], beta: 0.1, h: 0.05, N: 1000, trails: "tails" },
  },
  linear: {
    name: "Linear forcing needs 10λ",
    story:
      "A pull K(m_y − x) that depends on σ alone, between classes 4λ apart: held long, it leaves the " +
      "class too narrow; let go early, points leak to the other class. A gain that follows p(y|x) has " +
      "no such trouble. Drag the means to 10λ (1.0 apart), and the linear one is right too (lesson 6).",
    set: {
      classes: two(0.4),
      target: 1,
      rules: ["forcing", "forcing_posterior"],
      beta: 0.1,
      h: 0.05,
      N: 1000,
      trails: "tails",
      zoom: "plane",
    },
  },
  rare: {
    name: "A rare class",
    story:
      "Class 2 has a weight of 5 %. Unguided, about one point in twenty finds it, and the mixture's " +
      "score pulls towards the other. Forced by its mean while the noise joins the classes, and then " +
      "let go, the points sample it as they would a common one.",
    set: {
      classes: two(1.2, [0.95, 0.05]),
      target: 1,
      rules: ["mixture", "forcing"],
      beta: 0.1,
      h: 0.05,
      N: 1000,
      trails: "tails",
    },
  },
};

// The sliders: where they stand, limits, and plain words. `log` ones go by ratios.
const SLIDERS = {
  omega: {
    group: "guidance",
    label: "ω",
    low: 0,
    high: 8,
    step: 0.1,
    about: "How much classifier-free guidance exaggerates: 0 is the exact conditional score",
  },
  constant: {
    group: "guidance",
    label: "constant gain Kλ²",
    low: 0.05,
    high: 10,
    log: true,
    about: "The gain K of “forcing, constant gain”, times λ² of the class",
  },
  beta: {
    group: "sampler",
    label: "noise control β",
    low: 0.03,
    high: 1,
    log: true,
    about: "How much of the noise that a step takes away stays away: 1 injects none, towards 0 nearly all is put back",
  },
  h: {
    group: "sampler",
    label: "step h",
    low: 0.01,
    high: 0.5,
    log: true,
    about: "The share of the way to the denoised point that a step goes",
  },
  sigma0: {
    group: "sampler",
    label: "start σ_0",
    low: 0.3,
    high: 5,
    log: true,
    about: "The noise level of the start: it must drown the mixture",
  },
  sigmaInf: {
    group: "sampler",
    label: "end σ_∞",
    low: 0.003,
    high: 0.2,
    log: true,
    about: "The noise level to stop at: well under λ, the width of a class",
  },
  N: {
    group: "picture",
    label: "trajectories N",
    low: 20,
    high: 4000,
    log: true,
    whole: true,
    about: "How many points: more make the numbers surer and the page slower",
  },
};
const LIMITS = { x: [-3, 3], y: [-3, 3], width: [0.03, 0.6], weight: [0.02, 1] }; // of a class
const CHOICES = {
  field: { density: "density", score: "score", none: "nothing" },
  trails: { paths: "tails, and some paths", tails: "tails", none: "none" },
  zoom: { plane: "the plane", class: "the class, close up" },
};
const MOST = 8; // classes

const clamp = (value, [low, high]) => Math.min(high, Math.max(low, value));
const rounded = (value) => Number(value.toPrecision(4));
const copyOf = (settings) => ({
  ...settings,
  rules: [...settings.rules],
  classes: settings.classes.map((each) => ({ ...each })),
});

// Write settings as the fragment of an address, but for what is as by default.
function toFragment(settings) {
  const parts = new URLSearchParams();
  parts.set("c", settings.classes.map((c) => [c.x, c.y, c.width, c.weight].map(rounded).join(",")).join(";"));
  parts.set("y", settings.target + 1);
  parts.set("a", settings.rules[0]);
  parts.set("b", settings.rules[1]);
  if (settings.seed !== DEFAULTS.seed) parts.set("seed", settings.seed);
  for (const name of Object.keys(SLIDERS))
    if (settings[name] !== DEFAULTS[name]) parts.set(name, rounded(settings[name]));
  for (const name of Object.keys(CHOICES)) if (settings[name] !== DEFAULTS[name]) parts.set(name, settings[name]);
  return "#" + parts.toString().replaceAll("%2C", ",").replaceAll("%3B", ";");
}

// Return the preset that a fragment names, as #preset=narrow, if it names one.
function presetIn(fragment) {
  const name = new URLSearchParams(fragment.replace(/^#/, "")).get("preset");
  return Object.hasOwn(PRESETS, name) ? PRESETS[name] : null;
}

// Read settings from a fragment; what is missing or makes no sense is as by default.
function fromFragment(fragment) {
  const parts = new URLSearchParams(fragment.replace(/^#/, "")),
    settings = copyOf(DEFAULTS);
  const preset = presetIn(fragment);
  if (preset) Object.assign(settings, copyOf({ ...settings, ...preset.set }));
  const classes = (parts.get("c") || "")
    .split(";")
    .map((text) => text.split(",").map(parseFloat))
    .filter((four) => four.length === 4 && four.every(Number.isFinite));
  if (classes.length) {
    const names = Object.keys(LIMITS);
    settings.classes = classes
      .slice(0, MOST)
      .map((four) => Object.fromEntries(names.map((name, k) => [name, clamp(four[k], LIMITS[name])])));
  }
  const target = parseInt(parts.get("y") || settings.target + 1, 10) - 1;
  settings.target = clamp(target || 0, [0, settings.classes.length - 1]);
  ["a", "b"].forEach((name, side) => {
    if (Object.hasOwn(RULES, parts.get(name))) settings.rules[side] = parts.get(name);
  });
  for (const [name, { low, high, whole }] of Object.entries(SLIDERS)) {
    const value = parseFloat(parts.get(name));
    if (value > 0 || (name === "omega" && value === 0))
      settings[name] = clamp(whole ? Math.round(value) : value, [low, high]);
  }
  const seed = parseInt(parts.get("seed"), 10);
  if (seed >= 0) settings.seed = seed;
  for (const [name, choices] of Object.entries(CHOICES))
    if (Object.hasOwn(choices, parts.get(name))) settings[name] = parts.get(name);
  return settings;
}
