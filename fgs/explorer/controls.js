// The controls of the mixture tab: made once, and shown anew whenever the state changes.

const $ = (id) => document.getElementById(id);
const colourOf = (rule) => DATA.colours[RULES[rule].colour];

// Write text with what stands after an underscore as a subscript: σ_S, p_σ.
function setText(element, text) {
  const parts = text.split(/_([0∞Sσyc])/);
  element.replaceChildren(...parts.map((part, k) => (k % 2 ? make("sub", {}, part) : part)));
}

// Make an element with attributes and children.

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function buildPanels() {
  ["a", "b"].forEach((name, side) => {
    const where = side ? "second" : "first";
    const select = make("select", { id: `rule-${name}`, title: "How the points of this panel are guided" });
    for (const [rule, { label }] of Object.entries(RULES)) select.append(make("option", { value: rule }, label));
    select.addEventListener("change", () => {
      const rules = [...tab.state.rules];
      rules[side] = select.value;
      change({ rules }, { play: tab.playing || !tab.follow });
    });
    const about =
      "Points on their way from noise to samples, with fading tails, over the mixture; the class " +
      "guided to has black rings.";
    const keys = "Arrow keys move the mean of the class guided to, 1 to 8 choose the class, space plays.";
    const plane = make("canvas", {
      class: "plane",
      id: `plane-${name}`,
      tabindex: 0,
      role: "img",
      "aria-label": `${about} ${keys}`,
    });
    const marginal = make("canvas", {
      class: "marginal",
      id: `marginal-${name}`,
      role: "img",
      "aria-label": "Histogram of the points along u, in widths λ of the class, with the true curve in black",
    });
    const label = make("label", { class: "hidden", for: `rule-${name}` }, `Guidance of the ${where} panel`);
    const head = make("div", { class: "head" }, make("span", { class: "swatch", id: `swatch-${name}` }), label, select);
    $("panels").append(
      make("div", { class: "panel" }, head, plane, marginal, make("p", { class: "note", id: `about-${name}` })),
    );
    tab.planes.push(plane);
    tab.marginals.push(marginal);
    watchPointer(plane);
    const cells = ["hit", "mean", "sd", "energy"].map((measure) => make("td", { id: `${measure}-${name}` }, "–"));
    $("numbers").tBodies[0].append(make("tr", {}, make("th", { scope: "row", id: `row-${name}` }), ...cells));
  });
}

// Where a value lies on a slider, from 0 to 1000, and back.
function toSlider({ low, high, log }, value) {
  return 1000 * (log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low));
}
function fromSlider({ low, high, log, step, whole }, place) {
  const value = log ? low * (high / low) ** (place / 1000) : low + ((high - low) * place) / 1000;
  return whole ? Math.round(value) : step ? Math.round(value / step) * step : rounded(value);
}

function buildSliders() {
  for (const [name, slider] of Object.entries(SLIDERS)) {
    const input = make("input", { type: "range", id: name, min: 0, max: 1000, step: 5, title: slider.about });
    input.addEventListener("input", () => change({ [name]: rounded(fromSlider(slider, Number(input.value))) }));
    const label = make("label", { for: name, title: slider.about });
    setText(label, slider.label);
    $(slider.group).append(
      make("div", { class: "control" }, label, input, make("output", { for: name, id: `${name}-value` })),
    );
  }
  const auto = make("input", {
    type: "checkbox",
    id: "auto",
    title: "Choose σ_0 and σ_∞ by the size of the mixture and of its narrowest class",
  });
  auto.addEventListener("change", () =>
    change(
      auto.checked
        ? { sigma0: 0, sigmaInf: 0 }
        : { sigma0: rounded(tab.run.sigma0), sigmaInf: rounded(tab.run.sigmaInf) },
    ),
  );
  const label = make("label", { for: "auto" });
  setText(label, "σ_0 and σ_∞ from the mixture");
  $("sampler").append(make("div", { class: "control check" }, auto, label));
  const labels = { field: "background", trails: "trajectories", zoom: "view" };
  const titles = {
    field:
      "Behind the points, at the noise level that is shown: the density of the mixture, or arrows of " +
      "the score that is followed",
    trails: "How much of the way that points came is drawn",
    zoom: "Which part of the plane is shown",
  };
  for (const [name, choices] of Object.entries(CHOICES)) {
    const select = make("select", { id: name, title: titles[name] });
    for (const [value, text] of Object.entries(choices)) select.append(make("option", { value }, text));
    select.addEventListener("change", () => change({ [name]: select.value }));
    $("picture").append(make("div", { class: "control" }, make("label", { for: name }, labels[name]), select));
  }
}

// The rows of the classes are made anew only where their number changes, so that a control keeps the focus.
function buildClasses() {
  const holder = $("classes");
  holder.replaceChildren();
  tab.state.classes.forEach((each, k) => {
    const radio = make("input", { type: "radio", name: "target", id: `target-${k}`, title: `Guide to class ${k + 1}` });
    radio.addEventListener("change", () => change({ target: k }));
    const swatch = make("span", { class: "swatch", style: `background: ${DATA.classColours[k]}` });
    const row = make(
      "div",
      { class: "class", role: "group", "aria-label": `Class ${k + 1}` },
      make("label", { class: "target", for: `target-${k}` }, `${k + 1}`, radio, swatch),
    );
    const titles = {
      x: "Mean, across",
      y: "Mean, upwards",
      width: "Width λ: the standard deviation of the class",
      weight: "Weight: how common the class is beside the others",
    };
    for (const name of ["x", "y", "width", "weight"]) {
      const number = name.length === 1,
        [low, high] = LIMITS[name];
      const input = make("input", {
        type: number ? "number" : "range",
        id: `${name}-${k}`,
        min: low,
        max: high,
        step: number ? 0.05 : 0.01,
        title: titles[name],
      });
      input.addEventListener("input", () => {
        const value = parseFloat(input.value);
        if (!Number.isFinite(value)) return;
        const classes = copyOf(tab.state).classes;
        classes[k][name] = rounded(clamp(value, LIMITS[name]));
        change({ classes }, { play: false });
      });
      row.append(make("label", { for: `${name}-${k}` }, make("span", { id: `${name}-${k}-label` }, name), input));
    }
    holder.append(row);
  });
}

// Make all controls show the state.
function showControls() {
  const { state } = tab;
  if ($("classes").children.length !== state.classes.length) buildClasses();
  const total = state.classes.reduce((sum, each) => sum + each.weight, 0);
  state.classes.forEach((each, k) => {
    $(`target-${k}`).checked = k === state.target;
    for (const name of ["x", "y", "width", "weight"]) {
      const input = $(`${name}-${k}`);
      if (document.activeElement !== input || input.type === "range") input.value = each[name];
    }
    $(`width-${k}-label`).textContent = `λ ${each.width.toFixed(2)}`;
    $(`weight-${k}-label`).textContent = `π ${((100 * each.weight) / total).toFixed(0)} %`;
  });
  $("add").disabled = state.classes.length >= MOST;
  $("remove").disabled = state.classes.length <= 1;
  const auto = noiseRange(makeMixture(state.classes), state.h);
  for (const [name, slider] of Object.entries(SLIDERS)) {
    const value = state[name] || { sigma0: auto[0], sigmaInf: auto[1] }[name] || state[name];
    $(name).value = toSlider(slider, value);
    $(`${name}-value`).textContent = slider.whole ? value : Number(value.toPrecision(3));
    $(name).setAttribute("aria-valuetext", `${Number(value.toPrecision(3))}`);
  }
  $("auto").checked = !state.sigma0 && !state.sigmaInf;
  $("omega").disabled = !state.rules.includes("cfg");
  $("constant").disabled = !state.rules.includes("forcing_constant");
  for (const name of Object.keys(CHOICES)) $(name).value = state[name];
  ["a", "b"].forEach((name, side) => {
    const rule = state.rules[side];
    $(`rule-${name}`).value = rule;
    setText($(`about-${name}`), RULES[rule].about);
    $(`swatch-${name}`).style.background = colourOf(rule);
    const label = rule === "cfg" ? `classifier-free, ω = ${state.omega}` : RULES[rule].label;
    $(`row-${name}`).replaceChildren(make("span", { class: "swatch", style: `background: ${colourOf(rule)}` }), label);
  });
  const rows = Math.min(JUDGED, state.N);
  $("measured").textContent =
    `Against class ${state.target + 1} itself, at every moment; u, the arrow, points from the ` +
    `nearest other class outwards. The distance is the energy distance of the first ${rows} points, ` +
    "its floor that of as many true samples; true samples themselves have .6 to 1.8, nine times in " +
    "ten.";
}

function showNumbers(side, found) {
  const name = "ab"[side],
    signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);
  $(`hit-${name}`).textContent = found.hit.toFixed(3);
  $(`mean-${name}`).textContent = signed(found.mean);
  $(`sd-${name}`).textContent = found.sd.toFixed(2);
  if ("energy" in found)
    $(`energy-${name}`).textContent =
      found.energy < 100 ? found.energy.toFixed(1) : Math.round(found.energy).toLocaleString("en");
}

function addClass() {
  const classes = copyOf(tab.state).classes,
    angle = 2.4 * classes.length; // the golden angle: no two on one place
  classes.push({
    x: rounded(0.95 * Math.cos(angle)),
    y: rounded(0.95 * Math.sin(angle)),
    width: 0.1,
    weight: classes[0].weight,
  });
  change({ classes }, { play: false });
}

function removeClass() {
  const classes = copyOf(tab.state).classes.slice(0, -1);
  change({ classes, target: Math.min(tab.state.target, classes.length - 1) }, { play: false });
}

function buildMixtureTab() {
  buildPanels();
  buildSliders();
  for (const [name, { name: text, story }] of Object.entries(PRESETS)) {
    const button = make("button", { id: `preset-${name}`, title: story }, text);
    button.addEventListener("click", () => startPreset(name));
    $("presets").append(button);
  }
  const listen = (id, kind, act) => $(id).addEventListener(kind, act);
  listen("play", "click", play);
  listen("step", "click", () => goTo(Math.floor(tab.head) + 1));
  listen("end", "click", () => {
    goTo(Infinity);
    tab.follow = true;
  });
  listen("again", "click", () => change({ seed: tab.state.seed + 1 }));
  listen("scrub", "input", () => goTo(frameAt(tab.run, Number($("scrub").value) / 1000)));
  listen("add", "click", addClass);
  listen("remove", "click", removeClass);
  window.addEventListener("resize", () => (tab.dirty = true));
}
