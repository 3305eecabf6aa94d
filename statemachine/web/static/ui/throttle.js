// When to draw: at most once a frame, and what is dear at most once in a while.

/** A function that asks for `draw` in the next frame, however often it is called. */
export function onceAFrame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}

/** A function that runs `work` at once, and after that at most every `ms`; the last call is never left out. */
export function atMostEvery(ms, work) {
  let next = 0;
  let timer = 0;
  return () => {
    if (timer) return;
    timer = setTimeout(() => {
      timer = 0;
      next = performance.now() + ms;
      work();
    }, Math.max(0, next - performance.now()));
  };
}
