// The event stream, reopened whenever it breaks. The browser does so by itself after a broken connection, but not after
// an error answer (a daemon that starts, a proxy without it behind), nor soon after the network is back.

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 15000;
const TOPICS = ["transition", "progress", "notice"];

/** `onOpen()`, `onLost()`, and `onEvent(topic, data)` for each event. `since`: replay what came after this number. */
export function openStream({ since, onOpen, onLost, onEvent }) {
  let lastId = since;
  let wait = FIRST_WAIT_MS;
  let source = null;
  let timer = 0;

  function open() {
    clearTimeout(timer);
    source?.close();
    source = new EventSource(lastId === "" ? "api/events" : `api/events?since=${lastId}`);
    source.onopen = () => {
      wait = FIRST_WAIT_MS;
      onOpen();
    };
    source.onerror = fail;
    for (const topic of TOPICS) source.addEventListener(topic, (event) => receive(topic, event));
  }

  function receive(topic, event) {
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

  window.addEventListener("online", open);
  open();
}
