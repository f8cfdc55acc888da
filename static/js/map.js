/* Maps of flows: zoom buttons, the current passo in view, and arrow keys that walk along the lines.
   What somebody has chosen stays when the map is drawn anew. */

const SMALLEST = 0.3;
const LARGEST = 2;
const views = new Map(); // id of the canvas → {scale, left, top}

function natural(drawing) {
  const { width, height } = drawing.viewBox.baseVal;
  return { width, height };
}

function resize(canvas, scale) {
  const drawing = canvas.querySelector("svg.g");
  const { width, height } = natural(drawing);
  drawing.setAttribute("width", Math.round(width * scale));
  drawing.setAttribute("height", Math.round(height * scale));
}

function scaleOf(canvas) {
  return views.get(canvas.id)?.scale ?? 1;
}

function remember(canvas, scale = scaleOf(canvas)) {
  views.set(canvas.id, { scale, left: canvas.scrollLeft, top: canvas.scrollTop });
}

const AROUND = 24; // px that should be seen beside the current passo

/* Nothing moves when it is in view already: a flow is read from its start. */
function showCurrent(canvas) {
  const current = canvas.querySelector("[data-current] .nb");
  if (!current) return;
  const box = current.getBoundingClientRect();
  const frame = canvas.getBoundingClientRect();
  const isSeen = box.left >= frame.left + AROUND && box.right <= frame.right - AROUND
    && box.top >= frame.top + AROUND && box.bottom <= frame.bottom - AROUND;
  if (isSeen) return;
  canvas.scrollLeft += box.left + box.width / 2 - (frame.left + frame.width / 2);
  canvas.scrollTop += box.top + box.height / 2 - (frame.top + frame.height / 2);
}

function zoom(canvas, by) {
  const { width, height } = natural(canvas.querySelector("svg.g"));
  const fit = Math.min(canvas.clientWidth / width, canvas.clientHeight / height);
  const wanted = by === "fit" ? Math.min(1, fit) : scaleOf(canvas) * Number(by);
  const scale = Math.min(LARGEST, Math.max(SMALLEST, wanted));
  resize(canvas, scale);
  showCurrent(canvas);
  remember(canvas, scale);
}

/* -- walking: right along a line, left back where one came from, up and down within a column -- */

let here = null; // {map, node} that had the focus last

function nodesOf(canvas) {
  return new Map([...canvas.querySelectorAll("a[data-node]")].map((one) => [one.dataset.node, one]));
}

function middleOf(node) {
  const { x, y, width, height } = node.querySelector(".nb").getBBox();
  return { x: x + width / 2, y: y + height / 2 };
}

function nearest(nodes, from) {
  const { y } = middleOf(from);
  const far = (one) => Math.abs(middleOf(one).y - y);
  return [...nodes].sort((one, other) => far(one) - far(other))[0];
}

function joined(canvas, node, near, far) {
  const known = nodesOf(canvas);
  const lines = canvas.querySelectorAll(`path.e[data-${near}="${CSS.escape(node.dataset.node)}"]`);
  const others = [...lines].map((line) => known.get(line.dataset[far])).filter((one) => one && one !== node);
  return [...new Set(others)];
}

const cameFrom = new Map(); // a passo → the one that the keyboard came from

function next(canvas, node, key) {
  if (key === "ArrowRight") return nearest(joined(canvas, node, "from", "to"), node);
  if (key === "ArrowLeft") {
    const before = joined(canvas, node, "to", "from");
    const known = cameFrom.get(node.dataset.node);
    return before.find((one) => one.dataset.node === known) ?? nearest(before, node);
  }
  const all = [...nodesOf(canvas).values()];
  if (key === "Home") return all[0];
  const { x, y } = middleOf(node);
  const side = key === "ArrowDown" ? 1 : -1;
  const column = all.filter((one) => Math.abs(middleOf(one).x - x) < 1 && (middleOf(one).y - y) * side > 0);
  return nearest(column, node);
}

function walk(event) {
  const node = event.target.closest("a[data-node]");
  const keys = ["ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown", "Home"];
  if (!node || !keys.includes(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const other = next(event.currentTarget, node, event.key);
  if (!other) return;
  if (event.key === "ArrowRight") cameFrom.set(other.dataset.node, node.dataset.node);
  other.focus();
}

function note(event) {
  const node = event.target.closest("a[data-node]");
  if (node) here = { map: event.currentTarget.id, node: node.dataset.node };
}

/* Drawn anew, a map gives the focus back to the passo that had it. */
function goBack(canvas) {
  if (here?.map !== canvas.id || document.activeElement !== document.body) return;
  nodesOf(canvas).get(here.node)?.focus({ preventScroll: true });
}

document.addEventListener("focusin", (event) => {
  if (!event.target.closest("[data-map]")) here = null;
});

function setUp(root) {
  for (const canvas of root.querySelectorAll("[data-map]")) {
    const known = views.get(canvas.id);
    if (known) {
      resize(canvas, known.scale);
      canvas.scrollTo(known.left, known.top);
    } else {
      showCurrent(canvas);
    }
    canvas.addEventListener("scroll", () => remember(canvas), { passive: true });
    canvas.addEventListener("keydown", walk);
    canvas.addEventListener("focusin", note);
    goBack(canvas);
  }
  for (const buttons of root.querySelectorAll("[data-zoom]")) buttons.hidden = false;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-zoom] [data-by]");
  if (!button) return;
  zoom(document.getElementById(button.closest("[data-zoom]").dataset.zoom), button.dataset.by);
});

document.addEventListener("htmx:load", ({ detail }) => {
  if (detail.elt !== document.body) setUp(detail.elt);
});

setUp(document);
