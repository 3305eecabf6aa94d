// The event stream. EventSource reconnects by itself after a broken connection. This module also reconnects after an
// error response, and when the connection died silently, as it does while a computer sleeps.

const MIN_RETRY_MS = 1000;
const MAX_RETRY_MS = 15000;
const SILENCE_MS = 20000;
const PROBE_TIMEOUT_MS = 8000;
const TOPICS = ["transition", "progress", "notice"];

const fetchHealth = async () => {
  const response = await fetch("healthz", { cache: "no-store", signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
  return response.json();
};

/** Open the stream and keep it open; replay the entries after number `since`. Calls `onEvent(topic, data)`. */
export function openStream({ since, onOpen, onLost, onEvent }) {
  let lastId = since;
  let retryMs = MIN_RETRY_MS;
  let source = null;
  let timer = 0;
  let lastEventAt = performance.now();

  function open() {
    clearTimeout(timer);
    source?.close();
    source = new EventSource(lastId === "" ? "api/events" : `api/events?since=${lastId}`);
    source.onopen = () => {
      retryMs = MIN_RETRY_MS;
      lastEventAt = performance.now();
      onOpen();
    };
    source.onerror = retry;
    for (const topic of TOPICS) source.addEventListener(topic, (event) => receive(topic, event));
  }

  function receive(topic, event) {
    lastEventAt = performance.now();
    if (event.lastEventId) lastId = event.lastEventId;
    onEvent(topic, JSON.parse(event.data));
  }

  function retry() {
    onLost();
    if (source.readyState !== EventSource.CLOSED) return;
    clearTimeout(timer);
    timer = setTimeout(reopen, retryMs * (0.75 + Math.random() / 2));
    retryMs = Math.min(retryMs * 2, MAX_RETRY_MS);
  }

  /** Without its journal the daemon cannot replay entries, but sends live ones. */
  async function reopen() {
    const health = await fetchHealth().catch(() => null);
    if (health?.journal === false) lastId = "";
    open();
  }

  /** After a silence, check that the daemon is reachable: an idle stream and a dead one look alike. */
  async function probe() {
    if (source.readyState !== EventSource.OPEN || performance.now() - lastEventAt < SILENCE_MS) return;
    lastEventAt = performance.now();
    try {
      await fetchHealth();
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
