/* The box empties as soon as it is sent, so that one can go on typing; every message gets an id of its
   own, so that a second click on the same one is no second message. */

function freshId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // a page without https
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

document.addEventListener("htmx:beforeSend", (event) => {
  const form = event.detail.elt;
  if (!form.matches("[data-says]")) return;
  const text = form.elements.text;
  if (text) {
    form.elements.message_id.value = freshId();
    text.value = "";
  }
});

document.addEventListener("htmx:afterRequest", (event) => {
  const form = event.detail.elt;
  if (!form.matches("[data-says]")) return;
  if (event.detail.successful) {
    if (!form.elements.text) form.elements.message_id.value = freshId();
  } else if (form.elements.text && !form.elements.text.value) {
    form.elements.text.value = event.detail.requestConfig.parameters.get("text"); // kept to try again
    form.elements.message_id.value = event.detail.requestConfig.parameters.get("message_id");
  }
});

/* The answer of a poll draws the forms anew. One whose request is under way must stay until its own
   answer has come, which otherwise finds nothing of the page: no poll meanwhile. */
let underWay = 0;

document.addEventListener("htmx:beforeRequest", (event) => {
  const { requestConfig, xhr } = event.detail;
  if (!requestConfig.path.includes("/simulator/")) return;
  const isPoll = requestConfig.elt.matches("[data-poll]");
  if (isPoll) {
    if (underWay) event.preventDefault();
    return;
  }
  const poller = document.querySelector("#simulator-poller");
  if (poller) window.htmx.trigger(poller, "htmx:abort");
  underWay += 1;
  xhr.addEventListener("loadend", () => { underWay -= 1; });
});

document.addEventListener("htmx:afterSettle", () => {
  if (document.activeElement === document.body) {
    document.querySelector("[data-says] input[name=text]")?.focus({ preventScroll: true });
  }
});
