// The mixture tab: its state, its loop of frames, and what pointers and keys do to it. Controls are in controls.js.

const SECONDS = 7; // that the way from noise to samples takes when it is played
const BUDGET = 7; // milliseconds of a frame that may go into computing ahead
const FEW = 150; // points of a run that stands in while settings change
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

const tab = {
  state: copyOf(DEFAULTS),
  run: null,
  judge: null,
  head: 0, // the frame that is shown, with a fraction while it plays
  playing: false,
  follow: false, // show the last frame that there is, while more are computed
  dirty: true,
  next: null, // the run of all points, while one of a few stands in for it
  nextAt: 0, // when it is begun: as soon as settings rest
  held: null, // the part of the plane that is shown, while a mean is dragged
  dragged: -1, // the class whose mean is being moved
  planes: [],
  marginals: [],
  measuredAt: 0,
};

// Compute anew, after a setting changed. What plays begins again; what stood at its end stays there, and since that
// should follow a slider or a finger at once, a run of a few points shows it until settings rest.
function restart({ play = tab.playing } = {}) {
  tab.playing = play && !calm.matches;
  tab.follow = !tab.playing;
  const few = tab.follow && tab.state.N > FEW;
  useRun(beginRun(few ? { ...tab.state, N: FEW } : tab.state));
  if (tab.follow) advanceRun(tab.run, 30);
  tab.next = null;
  tab.nextAt = few ? performance.now() + 200 : 0;
  tab.head = 0;
  drawTicks();
  rememberSoon();
}

function useRun(run) {
  Object.assign(tab, { run, judge: null, next: null, nextAt: 0, dirty: true, measuredAt: 0 });
}

// Have the run of all points, if it is not there yet, as far as it is computed: before it is played from its start.
function needAll() {
  if (tab.next || tab.nextAt) useRun(tab.next || beginRun(tab.state));
}

// Have it computed, while one of a few points stands in for it: before it is looked at moment by moment.
function wantAll() {
  if (tab.nextAt) [tab.next, tab.nextAt] = [beginRun(tab.state), 0];
}

// Compute ahead: the run that is shown, or the one that will take its place.
function goOn(now) {
  if (tab.nextAt && now > tab.nextAt && tab.dragged < 0) [tab.next, tab.nextAt] = [beginRun(tab.state), 0];
  if (advanceRun(tab.run, BUDGET)) tab.dirty ||= tab.follow;
  else if (tab.next && !advanceRun(tab.next, 2 * BUDGET)) useRun(tab.next);
}

// Apply a change to the state, and to what shows it.
function change(changes, options) {
  Object.assign(tab.state, changes);
  const onlyLook = Object.keys(changes).every((name) => name in CHOICES);
  showControls();
  if (!onlyLook) restart(options);
  tab.dirty = true;
  rememberSoon();
}

function startPreset(name) {
  const preset = PRESETS[name];
  setText($("story"), preset.story);
  change(copyOf({ ...DEFAULTS, ...preset.set }), { play: true });
}

let remembering = 0;
function rememberSoon() {
  clearTimeout(remembering);
  remembering = setTimeout(() => {
    if ($("mixture").hidden) return;
    try {
      history.replaceState(null, "", toFragment(tab.state));
    } catch {
      /* some browsers forbid it for a file */
    }
  }, 300);
}

// One frame: compute ahead, move the head, draw what changed, and measure now and then.
function frameOf(now) {
  requestAnimationFrame(frameOf);
  const passed = Math.min(0.1, (now - (tab.before || now)) / 1000);
  tab.before = now;
  if ($("mixture").hidden) return;
  goOn(now);
  const { run } = tab;
  const last = run.sigmas.length - 1,
    expected = Math.ceil(run.steps / run.every);
  if (tab.follow) tab.head = last;
  if (tab.playing) {
    tab.head = Math.min(last, tab.head + (passed * expected) / SECONDS);
    tab.dirty = true;
    if (run.done && tab.head >= last) stop();
  }
  if (!tab.dirty) return;
  tab.dirty = false;
  show(now);
}

function show(now) {
  const { run, state } = tab,
    frame = Math.floor(tab.head);
  const atRest = run.done && !tab.playing;
  const energetic = atRest || now - tab.measuredAt > 400; // the energy distance costs milliseconds
  if (energetic && !tab.judge)
    tab.judge = makeJudge(run.mixture, run.target, run.sigmaInf, Math.min(JUDGED, run.N), 12345);
  if (energetic) tab.measuredAt = now;
  for (const side of [0, 1]) {
    drawPlane(tab.planes[side], run, side, frame, state, shownPart());
    const found = measureFrame(run, tab.judge, side, frame, energetic);
    drawMarginal(tab.marginals[side], found.along, colourOf(run.rules[side]));
    showNumbers(side, found);
  }
  const sigma = run.sigmas[frame];
  const step = Math.min(frame * run.every, run.steps);
  $("now").textContent = `σ = ${sigma.toPrecision(3)}, step ${step} of ${run.steps}${run.done ? "" : " (computing)"}`;
  $("scrub").value = Math.round(1000 * Math.min(1, shareOf(run, sigma)));
  $("scrub").setAttribute("aria-valuetext", `σ = ${sigma.toPrecision(3)}`);
  $("play").textContent = tab.playing ? "Stop" : "Play";
  $("play").setAttribute("aria-pressed", tab.playing);
}

// Return the part of the plane that is shown; it stands still while a mean is dragged.
function shownPart() {
  return tab.held || camera(tab.run.mixture, tab.run.target, tab.state.zoom);
}

function stop() {
  tab.playing = false;
  tab.dirty = true;
}

function play() {
  const atEnd = tab.run.done && tab.head >= tab.run.sigmas.length - 1;
  tab.playing = !tab.playing;
  if (tab.playing && (atEnd || tab.follow)) {
    needAll();
    tab.head = 0;
  } else wantAll();
  tab.follow = false;
  tab.dirty = true;
}

function goTo(head) {
  wantAll();
  tab.playing = tab.follow = false;
  tab.head = Math.max(0, Math.min(tab.run.sigmas.length - 1, head));
  tab.dirty = true;
}

// Means are dragged on the canvases; a click guides to the class. `event` has the place, of a pointer or a touch.
function placeOf(canvas, event) {
  const box = canvas.getBoundingClientRect();
  return { view: shownPart(), size: box.width, px: event.clientX - box.left - 1, py: event.clientY - box.top - 1 };
}

function meanAt(canvas, event, reach) {
  const { view, size, px, py } = placeOf(canvas, event);
  let best = -1,
    nearest = Infinity;
  tab.state.classes.forEach((each, k) => {
    const [mx, my] = onCanvas(view, size, each.x, each.y);
    const radius = Math.max(reach, Math.min(60, (each.width * size) / view.half));
    const distance = Math.hypot(mx - px, my - py);
    if (distance < Math.min(radius, nearest)) [best, nearest] = [k, distance];
  });
  return best;
}

function watchPointer(canvas) {
  // on a touch screen the page scrolls as ever, unless the finger is on a mean
  canvas.addEventListener(
    "touchstart",
    (event) => {
      if (meanAt(canvas, event.touches[0], 24) >= 0) event.preventDefault();
    },
    { passive: false },
  );
  canvas.addEventListener("pointerdown", (event) => {
    const k = meanAt(canvas, event, event.pointerType === "touch" ? 24 : 14);
    if (k < 0) return;
    canvas.setPointerCapture(event.pointerId);
    [tab.dragged, tab.held] = [k, shownPart()];
    if (k !== tab.state.target) change({ target: k });
  });
  canvas.addEventListener("pointermove", (event) => {
    if (tab.dragged < 0) {
      canvas.style.cursor = meanAt(canvas, event, 14) >= 0 ? "grab" : "";
      return;
    }
    const { view, size, px, py } = placeOf(canvas, event);
    const [x, y] = inPlane(view, size, px, py);
    moveMean(tab.dragged, x, y);
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, () => ([tab.dragged, tab.held, tab.dirty] = [-1, null, true]));
  canvas.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 0.2 : 0.05,
      { x, y } = tab.state.classes[tab.state.target];
    const by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key];
    const k = parseInt(event.key, 10) - 1;
    if (by) moveMean(tab.state.target, x + by[0], y + by[1]);
    else if (k >= 0 && k < tab.state.classes.length) change({ target: k });
    else if (event.key === " ") play();
    else return;
    event.preventDefault();
  });
}

function moveMean(k, x, y) {
  const classes = copyOf(tab.state).classes;
  Object.assign(classes[k], { x: rounded(clamp(x, LIMITS.x)), y: rounded(clamp(y, LIMITS.y)) });
  change({ classes }, { play: false });
}

// Ticks of the σ axis, and the mark of σ_S on it.
function drawTicks() {
  const { run } = tab,
    holder = $("ticks");
  holder.replaceChildren();
  const put = (kind, sigma, text) => {
    const place = shareOf(run, sigma);
    if (place < -1e-9 || place > 1 + 1e-9) return;
    const span = Object.assign(document.createElement("span"), { className: kind });
    setText(span, text);
    span.style.left = `${100 * clamp(place, [0, 1])}%`;
    holder.append(span);
  };
  for (const sigma of [5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005]) put("tick", sigma, `${sigma}`);
  put("mark", run.parting, "σ_S");
  if (run.rules.includes("forcing")) put("mark", run.how.release, "σ_c");
  const where =
    run.parting > 0
      ? `Trajectories of the mixture part below σ_S = ${run.parting.toPrecision(3)}, where its density ` +
        "first has two modes (Fig. 1; lesson 5)."
      : "The density has one mode at every σ: trajectories do not part.";
  const linear =
    run.rules.includes("forcing") && Number.isFinite(run.how.release)
      ? ` The linear forcing lets go at σ_c = ${run.how.release.toPrecision(3)}.`
      : "";
  const start =
    run.how.beta === 1
      ? " At β = 1, which never forgets its start, the start is the noisy class itself."
      : " The start is noise σ_0 around the mean of the mixture.";
  setText($("axis-note"), where + linear + start);
}
