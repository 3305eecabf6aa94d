// The event stream, reopened whenever it breaks. The browser does so by itself after a broken connection, but not after
// an error answer (a daemon that starts, a proxy without it behind), nor soon after the network is back, nor when the
// connection has died without a word, as it does while a computer sleeps.

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 15000;
const SILENCE_MS = 20000;
const PROBE_TIMEOUT_MS = 8000;
const TOPICS = ["transition", "progress", "notice"];

/** `onOpen()`, `onLost()`, and `onEvent(topic, data)` for each event. `since`: replay what came after this number. */
export function openStream({ since, onOpen, onLost, onEvent }) {
  let lastId = since;
  let wait = FIRST_WAIT_MS;
  let source = null;
  let timer = 0;
  let heardAt = performance.now();

  function open() {
    clearTimeout(timer);
    source?.close();
    source = new EventSource(lastId === "" ? "api/events" : `api/events?since=${lastId}`);
    source.onopen = () => {
      wait = FIRST_WAIT_MS;
      heardAt = performance.now();
      onOpen();
    };
    source.onerror = fail;
    for (const topic of TOPICS) source.addEventListener(topic, (event) => receive(topic, event));
  }

  function receive(topic, event) {
    heardAt = performance.now();
    if (event.lastEventId) lastId = event.lastEventId;
    onEvent(topic, JSON.parse(event.data));
  }

  function fail() {
    onLost();
    if (source.readyState !== EventSource.CLOSED) return;
    clearTimeout(timer);
    timer = setTimeout(open, wait * (0.75 + Math.random() / 2));
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  }

  /** After a silence: is anybody there? A stream that says nothing and one that is dead look alike. */
  async function probe() {
    if (source.readyState !== EventSource.OPEN || performance.now() - heardAt < SILENCE_MS) return;
    heardAt = performance.now();
    try {
      await fetch("healthz", { cache: "no-store", signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
    } catch {
      onLost();
      open();
    }
  }

  setInterval(probe, SILENCE_MS / 4);
  document.addEventListener("visibilitychange", () => document.hidden || probe());
  window.addEventListener("online", open);
  open();
}
