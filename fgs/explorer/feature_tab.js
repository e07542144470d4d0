// The feature tab: the classes of a model in a plane by φ, and strips of samples between two of them (Fig. 8).
//
// All pictures were sampled when this page was written. DATA.features holds names, points (ten-thousandths), sheets of
// thumbnails and strips, `ends`, the classes between any two of which there is a strip, and `distances`, ‖φ_y − φ_end‖
// of every class to those, in tenths.

const map = {
  data: null,
  thumbnails: new Image(),
  strips: new Image(),
  x: 0,
  y: 0,
  zoom: 1, // what part is shown: its middle, and how many times as large
  pointed: -1, // the class under the pointer, or that the keys have come to
  picked: [-1, -1],
  next: 0, // which of the two the next click chooses
  pressed: null,
};

const PICKED = ["#D55E00", "#0072B2"]; // first, second: the lessons' vermilion and blue

function buildFeatureTab(data) {
  map.data = data;
  map.whole = wholeMap();
  [map.x, map.y] = [map.whole.x, map.whole.y];
  map.thumbnails.onload = drawMap;
  map.strips.onload = drawStrip;
  map.thumbnails.src = data.thumbnails;
  if (data.strips) map.strips.src = data.strips;
  const K = data.names.length,
    ends = data.ends.length;
  setText(
    $("about-features"),
    `${K.toLocaleString("en")} textures that the model knows, each shown by one of its own samples ` +
      "and placed by its features φ: near ones look alike. The plane shows " +
      `${Math.round(100 * data.shown)} % of the variance of φ_y (classical scaling of ‖φ_y − φ_y'‖), ` +
      "so that some which look near are not. Choose two to see samples between them; there are strips " +
      `between any two of the ${ends} framed ones.`,
  );
  const canvas = $("map");
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    map.pressed = { px: event.clientX, py: event.clientY, x: map.x, y: map.y, moved: false };
  });
  canvas.addEventListener("pointermove", (event) => (map.pressed ? drag(event) : pointAt(classAt(event))));
  canvas.addEventListener("pointerup", (event) => {
    const k = classAt(event);
    if (map.pressed && !map.pressed.moved && k >= 0) pick(k);
    map.pressed = null;
  });
  canvas.addEventListener("pointercancel", () => (map.pressed = null));
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      zoomBy(Math.exp(-event.deltaY / 400));
    },
    { passive: false },
  );
  canvas.addEventListener("keydown", onMapKey);
  $("closer").addEventListener("click", () => zoomBy(1.5));
  $("wider").addEventListener("click", () => zoomBy(1 / 1.5));
  $("whole").addEventListener("click", () => zoomBy(0));
  ["pick-a", "pick-b"].forEach((id, which) => $(id).addEventListener("click", () => chooseNext(which)));
  $("search").addEventListener("input", showFound);
  window.addEventListener("resize", () => {
    drawMap();
    drawStrip();
  });
  if (ends > 1) map.picked = [data.ends[ends > 4 ? 1 : 0], data.ends[Math.min(4, ends - 1)]]; // to begin with
  showFound();
  showPicked();
}

// What part of the plane holds all classes: its middle, and half its sides.
function wholeMap() {
  const [left, right, low, high] = [0, 1].flatMap((axis) => {
    const values = map.data.points.map((point) => point[axis]);
    return [Math.min(...values), Math.max(...values)];
  });
  return { x: (left + right) / 2, y: (low + high) / 2, halfX: (right - left) / 2 + 1, halfY: (high - low) / 2 + 1 };
}

// Pixels to a unit, the same both ways, since distances are what is shown.
function mapScale(width, height) {
  return map.zoom * Math.min((width / 2 - 20) / map.whole.halfX, (height / 2 - 20) / map.whole.halfY);
}

// Where a class lies on the canvas, in pixels.
function placeOnMap(k, width, height) {
  const scale = mapScale(width, height),
    [x, y] = map.data.points[k];
  return [width / 2 + (x - map.x) * scale, height / 2 - (y - map.y) * scale];
}

const thumbSize = () => Math.min(48, 13 * Math.sqrt(map.zoom) + (map.zoom - 1));

function drawThumb(context, sheet, k, px, py, size) {
  const { side, columns } = map.data;
  // but for a rim of one pixel, into which a JPEG lets the neighbour's colours
  context.drawImage(
    sheet,
    (k % columns) * side + 1,
    Math.floor(k / columns) * side + 1,
    side - 2,
    side - 2,
    px,
    py,
    size,
    size,
  );
}

function drawMap() {
  const canvas = $("map");
  if (!map.data || $("features").hidden || !map.thumbnails.complete) return;
  const { context, width, height } = fitCanvas(canvas),
    size = thumbSize();
  context.clearRect(0, 0, width, height);
  for (let k = 0; k < map.data.names.length; k++) {
    const [px, py] = placeOnMap(k, width, height);
    if (px > -size && py > -size && px < width + size && py < height + size)
      drawThumb(context, map.thumbnails, k, px - size / 2, py - size / 2, size);
  }
  const frame = (k, colour, line, grow) => {
    const [px, py] = placeOnMap(k, width, height),
      side = size * grow;
    if (grow > 1) drawThumb(context, map.thumbnails, k, px - side / 2, py - side / 2, side);
    context.strokeStyle = colour;
    context.lineWidth = line;
    context.strokeRect(px - side / 2, py - side / 2, side, side);
  };
  map.data.ends.forEach((k) => frame(k, "#000000", 2, 1.2));
  if (map.pointed >= 0) frame(map.pointed, "#000000", 3, Math.max(1.2, 56 / size));
  map.picked.forEach((k, which) => {
    if (k >= 0) frame(k, PICKED[which], 4, Math.max(1.2, 34 / size));
  });
}

function classAt(event) {
  const canvas = $("map"),
    box = canvas.getBoundingClientRect(),
    px = event.clientX - box.left,
    py = event.clientY - box.top;
  let best = -1,
    nearest = Math.max(16, thumbSize());
  for (let k = 0; k < map.data.names.length; k++) {
    const [x, y] = placeOnMap(k, canvas.clientWidth, canvas.clientHeight),
      distance = Math.hypot(x - px, y - py);
    if (distance < nearest) [best, nearest] = [k, distance];
  }
  return best;
}

function drag(event) {
  const canvas = $("map"),
    { pressed } = map,
    scale = mapScale(canvas.clientWidth, canvas.clientHeight),
    { whole } = map;
  const dx = event.clientX - pressed.px,
    dy = event.clientY - pressed.py;
  pressed.moved ||= Math.hypot(dx, dy) > 5;
  if (!pressed.moved) return;
  map.x = clamp(pressed.x - dx / scale, [whole.x - whole.halfX, whole.x + whole.halfX]);
  map.y = clamp(pressed.y + dy / scale, [whole.y - whole.halfY, whole.y + whole.halfY]);
  drawMap();
}

function zoomBy(factor) {
  map.zoom = factor ? clamp(map.zoom * factor, [1, 30]) : 1;
  if (factor > 1 && map.pointed >= 0) [map.x, map.y] = map.data.points[map.pointed];
  if (map.zoom === 1) [map.x, map.y] = [map.whole.x, map.whole.y];
  $("map").style.touchAction = map.zoom > 1 ? "none" : "pan-y"; // a finger scrolls the page, or moves the enlarged map
  drawMap();
}

function pointAt(k) {
  if (k === map.pointed) return;
  map.pointed = k;
  $("pointed").textContent = k >= 0 ? map.data.names[k] : "";
  drawMap();
}

// Arrow keys go to the nearest class that lies that way.
function onMapKey(event) {
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
  if (way) pointAt(nextClass(way));
  else if (event.key === "Enter" || event.key === " ") {
    if (map.pointed >= 0) pick(map.pointed);
  } else if (event.key === "+" || event.key === "=") zoomBy(1.5);
  else if (event.key === "-") zoomBy(1 / 1.5);
  else if (event.key === "0") zoomBy(0);
  else return;
  event.preventDefault();
}

function nextClass([wx, wy]) {
  const { points } = map.data,
    from = map.pointed >= 0 ? map.pointed : Math.max(0, map.picked[0]);
  let best = from,
    nearest = Infinity;
  points.forEach(([x, y], k) => {
    const dx = x - points[from][0],
      dy = y - points[from][1],
      ahead = dx * wx + dy * wy,
      aside = Math.abs(dx * wy - dy * wx);
    if (k !== from && ahead > 0 && aside <= ahead && ahead + 2 * aside < nearest)
      [best, nearest] = [k, ahead + 2 * aside];
  });
  return best;
}

function pick(k) {
  map.picked[map.next] = k;
  map.next = 1 - map.next;
  showPicked();
}

function chooseNext(which) {
  map.next = which;
  showPicked();
}

function showPicked() {
  ["pick-a", "pick-b"].forEach((id, which) => {
    const k = map.picked[which];
    $(id).textContent = `${which ? "Second" : "First"}: ${k >= 0 ? map.data.names[k] : "none"}`;
    $(id).setAttribute("aria-pressed", map.next === which);
    $(id).style.boxShadow = `inset 0 -4px ${PICKED[which]}`;
  });
  drawMap();
  drawStrip();
}

// Classes whose names hold what was typed, as buttons; of none typed those between which there are strips.
function showFound() {
  const { data } = map,
    text = $("search").value.trim().toLowerCase();
  const all = text ? data.names.map((_, k) => k).filter((k) => data.names[k].toLowerCase().includes(text)) : data.ends;
  const buttons = all.slice(0, 40).map((k) => {
    const thumb = make("span", { class: "thumb" }),
      scale = 32 / data.side;
    thumb.style.background =
      `url(${data.thumbnails}) ${-32 * (k % data.columns)}px ${-32 * Math.floor(k / data.columns)}px / ` +
      `${data.columns * data.side * scale}px auto`;
    const button = make("button", { type: "button", title: `Choose ${data.names[k]}` }, thumb, data.names[k]);
    button.addEventListener("click", () => {
      pointAt(k);
      pick(k);
    });
    return button;
  });
  const left = all.length - buttons.length;
  $("found").replaceChildren(
    ...buttons,
    ...(all.length ? [] : ["No class has that in its name."]),
    ...(left > 0 ? [`and ${left} more`] : []),
  );
}
