// Limits on how often a function runs.

/** Return a function that runs `draw` in the next animation frame, once however often it is called. */
export function oncePerFrame(draw) {
  let scheduled = false;
  return () => {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      draw();
    });
  };
}

/** Return a function that runs `work` at most once every `ms`; the last call always runs. */
export function throttle(ms, work) {
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
